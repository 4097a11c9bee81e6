// A volume that is being served: its store, and what is known of it in memory only, each kind in a class of its
// own (sessions, open files, locks, appenders, pending work). Loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/chunks/chunkservers.h"
#include "metaserver/chunks/fences.h"
#include "metaserver/chunks/garbage.h"
#include "metaserver/chunks/mutations.h"
#include "metaserver/executor/appenders.h"
#include "metaserver/executor/freeing.h"
#include "metaserver/executor/open_files.h"
#include "metaserver/executor/outbox.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/sessions_by_key.h"
#include "metaserver/executor/stored_replies.h"
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
  size_t mounts() const { return sessions.size() - by_key_.expired(); }
  // The same mount has come with another key (of the same rights).
  void ChangeKey(Session& session, const std::string& key_id);
  // Those opened with the key of this id, expired ones too.
  size_t SessionsOf(const std::string& key_id) const { return by_key_.CountOf(key_id); }
  // The one that has expired the longest ago, of one key's or (null) of all; null: none has.
  SessionPtr OldestExpired(const std::string* key_id) const;
  // The same for good: it is not known any more.
  void EndSession(const SessionPtr& session, const std::string& why);
  // Sessions that were known at start and have neither reclaimed nor ended.
  size_t unreclaimed() const { return unreclaimed_; }
  bool in_grace() const { return unreclaimed_ > 0; }
  void BeginReclaim(Session& session);  // forgets what an earlier, unfinished one said
  void Reclaimed(Session& session);

  // ---- what is no op and changes inodes, names or chunks: answers of chunkservers, inventories, freeing
  // As an op's handler `change` changes nothing but the txn.
  Status Change(const std::function<Status(Txn&)>& change, std::function<void()> again) override;
  // There is something to do for Step, or to commit.
  void Changed() override { env_.Changed(); }
  // Work that is nobody's request, one step of each kind: locks given on, opens dropped, what is to be freed.
  // True when there is more to do.
  bool Step();
  bool HasStep() const;

  // ---- locks: while those that waited have their turn (LockTable::Settling), who comes waits
  void WaitUntilSettled(Ino ino, ParkedPtr parked) { unsettled_[ino].push_back(std::move(parked)); }

  // Those of Appenders::TooLong.
  void EndLongAppends();

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
  Appenders appenders;
  OpenFiles open_files;
  StoredReplies stored_replies;
  Freeing freeing;
  static constexpr auto kSettle = std::chrono::seconds(60);
  static constexpr size_t kRepairedMax = 100000;
  static constexpr auto kRepairedFor = std::chrono::seconds(10);

 private:
  Volume(const rec::Volume& info, std::unique_ptr<Db> db, size_t cache_bytes, Chunkservers& servers,
         Clock& clock, VolumeEnv& env, uint64_t seed);
  Status Load();
  void Rerun(ParkedPtr parked) override { env_.Rerun(std::move(parked)); }
  void WhenLogged(std::function<void()> fn) override { env_.WhenLogged(id(), std::move(fn)); }
  void AfterSync(std::function<void()> fn) override { env_.AfterSync(id(), std::move(fn)); }
  void Confine(Session& session);
  void Leave(Session& session);

  Clock& clock_;
  VolumeEnv& env_;
  const uint64_t incarnation_;
  int64_t last_now_ = 0;
  MonoTime settled_at_{};
  size_t unreclaimed_ = 0;
  SessionsByKey by_key_;
  // Entries of all Reach, which may outlive us.
  const std::shared_ptr<size_t> reached_ = std::make_shared<size_t>(0);
  std::unordered_map<Ino, std::vector<ParkedPtr>> unsettled_;
  std::unordered_map<ChunkId, MonoTime> repaired_;
  Lifetime lifetime_;  // answers may come later than our end
};

}  // namespace kfs::meta
