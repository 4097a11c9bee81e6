// A volume that is being served: its store, and what is known of it in memory only (sessions, open files,
// locks, appenders, pending work). Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/chunks/fences.h"
#include "metaserver/chunks/garbage.h"
#include "metaserver/chunks/mutations.h"
#include "metaserver/executor/outbox.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/tickets.h"
#include "metaserver/executor/volume_env.h"
#include "metaserver/locks/lock_table.h"
#include "metaserver/store/txn.h"
#include "metaserver/store/volume_store.h"

namespace kfs::meta {

class Volume : private ChunkJobsEnv {
 public:
  // Any thread: it is the caller's until an executor has it, and asks nothing of `env` before. Sessions known
  // from before wait for their clients until `ttl` has passed from `now`. `seed`: of what it draws; nobody
  // shall guess it.
  static Result<std::unique_ptr<Volume>> Open(const rec::Volume& info, std::unique_ptr<Db> db,
                                              size_t cache_bytes, Chunkservers& servers, Clock& clock,
                                              VolumeEnv& env, uint64_t seed);

  VolumeId id() const { return VolumeId(info.id()); }
  uint64_t chunk_size() const { return info.chunk_size(); }

  // ---- sessions
  // Numbers it, notes it durably, takes it in.
  void AddSession(const SessionPtr& session);
  // One that it has not used before: from here on all is known of it.
  void BeginLane(Session& session, uint8_t lane);
  // Notes durably what has changed of it.
  void PutSession(const Session& session);
  // Durably; from here on it has no open files, is granted no locks, and others wait for no call of its. The
  // caller lets go of the rest (executor/ending.h). What it may have to answer a second time stays.
  void Expire(const SessionPtr& session);
  // The client of an expired session is there again, and will be told.
  void Revive(Session& session);
  size_t mounts() const { return sessions.size() - expired_; }
  // The same mount has come with another key (of the same rights).
  void ChangeKey(Session& session, const std::string& key_id);
  // Those opened with the key of this id, expired ones too.
  size_t SessionsOf(const std::string& key_id) const {
    auto it = of_key_.find(key_id);
    return it == of_key_.end() ? 0 : it->second;
  }
  // The one that has expired the longest ago, of one key's or (null) of all; null: none has.
  SessionPtr OldestExpired(const std::string* key_id) const;
  // The same for good: it is not known any more.
  void EndSession(const SessionPtr& session, const std::string& why);
  // Sessions that were known at start and have neither reclaimed nor ended.
  size_t unreclaimed() const { return unreclaimed_; }
  bool in_grace() const { return unreclaimed_ > 0; }
  void BeginReclaim(Session& session);  // forgets what an earlier, unfinished one said
  void Reclaimed(Session& session);

  // ---- open files
  void AddOpen(Session& session, Ino ino, uint32_t rights, uint32_t count = 1);
  // False when the session does not have it open.
  bool DropOpen(Session& session, Ino ino, uint32_t count = 1);
  // The session has nothing open any more; the inodes are let go of in steps.
  void DropOpens(Session& session);
  // Whether it may open one more inode: ENFILE when those of all sessions take too much. What it has open
  // already it may open again, and what it had it is given back (Reclaim).
  Status RoomForOpen(const Session& session, Ino ino) const;
  bool IsOpen(Ino ino) const { return open_counts_.contains(ino); }

  // ---- stored answers that are not acknowledged yet: on disk, and their ids here
  void AddStored(Session& session, uint64_t op_id, uint32_t life, size_t record_bytes);
  Session::Replies::iterator DropStored(Session& session, Session::Replies::iterator it);
  // Of a session that has ended.
  void DropFirstStored(Session::Replies* of_ended);
  // kTryAgain when those of all sessions take too much.
  Status RoomForStored(const Session& session) const;
  // Which answers a client says that it does not have (Lane::Answered) is kept as they are, and counts with
  // them. False: it is too much, and nothing is changed.
  bool SetAnswered(Session& session, Lane& lane, Lane::Answered answered);
  // It has all up to there.
  void Acknowledged(Session& session, Lane& lane, uint64_t acked);

  // What all sessions together make the metaserver keep, in bytes. Beyond it each has what a client needs
  // that acknowledges and closes. Those of one more are refused; what is there stays.
  struct Limits {
    size_t stored = 256u << 20, opens = 512u << 20;
    size_t always = 64u << 10;
  };
  Limits limits;
  size_t stored_bytes() const { return stored_bytes_; }
  size_t open_bytes() const { return opens_held_ * kOpenWeight; }

  // ---- what is no op and changes inodes, names or chunks: answers of chunkservers, inventories, freeing
  // As an op's handler `change` changes nothing but the txn.
  Status Change(const std::function<Status(Txn&)>& change, std::function<void()> again) override;

  // ---- orphans: inodes without a name, kept while open. Collected in bounded steps.
  void MaybeReap(Ino ino);
  // The inode has lost its last name, a moment ago. On a local disk a path that was looked up before can
  // still be opened after; here lookup and open are two messages, so the inode stays for as long as they may
  // lie apart (kLinger). Without this, open() of a file that others keep replacing by rename would fail with
  // ESTALE.
  void Linger(Ino ino);
  bool Lingers(Ino ino) const { return lingering_.contains(ino); }
  // Those whose time is over may go on their way.
  void EndLinger();
  // Work that is nobody's request, one step of each kind: what lingered, orphans found and freed, opens
  // dropped, locks given on. True when there is more to do.
  bool Step();
  bool HasStep() const;
  size_t orphans_queued() const { return reap_.size(); }

  // ---- locks: while those that waited have their turn (LockTable::Settling), who comes waits
  void WaitUntilSettled(Ino ino, ParkedPtr parked) { unsettled_[ino].push_back(std::move(parked)); }

  // ---- appenders
  struct Appender {
    uint64_t token = 0;
    SessionId session;
    uint8_t lane = 0;  // of it
    MonoTime granted{};
    std::deque<ParkedPtr> waiters;
  };
  Appender* FindAppender(Ino ino);
  uint64_t next_token() const { return next_token_; }
  void GrantAppend(Ino ino, Session& session, uint8_t lane);  // with that one
  // Gives the token back and lets the next one run. `clean`: the holder has no writes under way.
  void EndAppend(Ino ino, Session* session, bool clean);
  // Who has kept others waiting for too long has its turn no more: its write, which may be on its way, is
  // fenced off by the chunks' versions, and it appends again.
  void EndLongAppends();
  bool AppendSafe(Ino ino) const { return append_safe_.contains(ino); }
  void SetAppendSafe(Ino ino);

  int64_t Now();  // never goes back

  // It began with a backup. Chunkservers that have registered anew since then have other numbers: until they
  // have said what they hold, nobody knows that a chunk is lost.
  void Restored() { settled_at_ = clock_.MonoNow() + kSettle; }
  bool settled() const { return clock_.MonoNow() >= settled_at_; }

  // The disk of the metadata is nearly full: an op that would add a record (an inode, a name, an attribute, a
  // chunk) is refused with ENOSPC; what exists can be read, written and removed.
  Status CheckRoom() const;
  bool disk_full = false;

  // Tells one opening of the volume from another: whoever holds something reclaims it when this has changed.
  uint64_t incarnation() const { return incarnation_; }

  // As the configuration has them; taking effect at once.
  struct Settings {
    bool atime = true;  // as relatime does; else never
    bool read_only = false;
    Duration session_keep{};
    Duration slow_op{};
  };
  Settings settings;
  // EROFS when nothing may be changed.
  Status CheckWritable() const;

  // ---- files that were cut, and have chunks behind their end yet (file_chunks.h)
  struct Trim {
    uint64_t before = 0;  // chunks with lower numbers are to go
    uint64_t from = 0;    // from this index on
  };
  const Trim* FindTrim(Ino ino) const {
    auto it = trims_.find(ino);
    return it == trims_.end() ? nullptr : &it->second;
  }
  void StartTrim(Ino ino, uint64_t before);
  void TrimFrom(Ino ino, uint64_t index) { trims_.at(ino).from = index; }
  void EndTrim(Ino ino) { trims_.erase(ino); }

  // Whether to believe that a chunkserver is ahead of us with the chunk: once in a while.
  bool MayRepair(ChunkId chunk) const;
  void Repaired(ChunkId chunk);

  // To be closed elsewhere. Nothing else is done with the volume afterwards.
  std::unique_ptr<VolumeStore> TakeStore() { return std::move(store_); }

 private:
  std::unique_ptr<VolumeStore> store_;

 public:
  rec::Volume info;
  uint64_t line = 0;      // SyncPoint.line
  bool attached = false;  // a mount has been, since it was opened
  VolumeStore& store;
  Txn txn;
  Outbox outbox;
  std::mt19937_64 random;
  LockTable locks;
  std::unordered_map<SessionId, SessionPtr> sessions;
  Chunkservers& servers;
  Mutations mutations;
  Garbage garbage;
  Fences fences;
  Tickets tickets;
  static constexpr auto kSettle = std::chrono::seconds(60);
  static constexpr size_t kStep = 32;         // inodes looked at in one step
  static constexpr uint64_t kReapStep = 128;  // chunks freed in one step
  static constexpr auto kLinger = std::chrono::seconds(1);
  static constexpr size_t kLingerMax = 100000;       // inodes; beyond it the oldest go early
  static constexpr size_t kAppendWaitersMax = 4096;  // of one inode
  static constexpr size_t kAppendSafeMax = 100000;
  static constexpr size_t kRepairedMax = 100000;
  static constexpr auto kRepairedFor = std::chrono::seconds(10);
  static constexpr size_t kOpenWeight = 128;                     // of one session's opens of one inode
  static constexpr size_t kStoredWeight = 128;                   // of a stored answer, besides its record
  static constexpr size_t kUnansweredWeight = 64;                // of an id in Lane::Answered
  static constexpr auto kAppendTurn = std::chrono::seconds(10);  // while others wait

 private:
  Volume(const rec::Volume& info, std::unique_ptr<Db> db, size_t cache_bytes, Chunkservers& servers,
         Clock& clock, VolumeEnv& env, uint64_t seed);
  Status Load();
  void Rerun(ParkedPtr parked) override { env_.Rerun(std::move(parked)); }
  void Changed() override { env_.Changed(); }
  void WhenLogged(std::function<void()> fn) override { env_.WhenLogged(id(), std::move(fn)); }
  void AfterSync(std::function<void()> fn) override { env_.AfterSync(id(), std::move(fn)); }
  void QueueAllOrphans();
  void QueueStep();
  void LingerStep();
  void LingersNoMore();  // the first
  void DropStep();
  void ReapStep();
  void EndReap();
  void TrimOne();
  void TakeIn(const SessionPtr& session);
  void UncountKey(const std::string& key_id);
  void NoteExpired(const Session& session);
  void ForgetExpired(const Session& session);
  // A change of ReapStep or TrimOne; while it has to wait for others both do.
  Status FreeingStep(const std::function<Status(Txn&)>& change);
  void Confine(Session& session);
  void Leave(Session& session);
  void DropOpen(Ino ino, uint64_t count);
  void TakeAnswered(Session& session, Lane& lane, Lane::Answered answered);

  Clock& clock_;
  VolumeEnv& env_;
  uint64_t incarnation_ = 0;
  int64_t last_now_ = 0;
  MonoTime settled_at_{};
  size_t unreclaimed_ = 0;
  std::unordered_map<std::string, size_t> of_key_;  // sessions
  // Those of them that have expired, the oldest first: whoever wants room does not look through all.
  std::map<std::string, std::set<std::pair<int64_t, SessionId>>> expired_of_;
  size_t expired_ = 0;
  std::unordered_map<Ino, uint64_t> open_counts_;
  size_t opens_held_ = 0;  // entries of sessions and of `dropped_`
  size_t stored_bytes_ = 0;
  const std::shared_ptr<size_t> reached_ =
      std::make_shared<size_t>(0);                      // entries of all Reach; they may outlive us
  std::deque<std::unordered_map<Ino, Opens>> dropped_;  // of sessions that have none of them any more
  std::unordered_map<Ino, std::vector<ParkedPtr>> unsettled_;
  std::deque<Ino> reap_;
  uint64_t reap_from_ = 0;  // of the first one: the chunks before are gone
  std::unordered_set<Ino> reap_queued_;
  std::map<Ino, Trim> trims_;
  bool steps_wait_ = false;  // those that free: for others who are asked first
  std::unordered_map<ChunkId, MonoTime> repaired_;
  bool orphans_to_queue_ = false;  // from this key on
  std::string orphans_from_;
  // What stored answers had opened, of clients that may not have got them: asked for again, it is opened
  // again.
  std::unordered_set<Ino> opened_before_;
  std::deque<std::pair<MonoTime, Ino>> linger_;  // in order of their end
  MonoTime linger_end_{};                        // until which they have gone, or go in the next steps
  std::unordered_set<Ino> lingering_;
  std::unordered_map<Ino, Appender> appenders_;
  // Inodes whose last chunk cannot be reached by late writes of a former appender.
  std::unordered_set<Ino> append_safe_;
  uint64_t next_token_ = 1;
  Lifetime lifetime_;  // answers may come later than our end
};

}  // namespace kfs::meta
