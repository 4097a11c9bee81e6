// Runs ops on volumes, by the tick: what has arrived is executed in turns, as much of it as a tick has time for
// (turns.h; the rest comes in the next one), each op in a Txn of its own; at the tick's end each volume commits
// once, and only when its log has acknowledged that the answers leave.
// What all ops share is here and nowhere else: session, exactly-once (P3), parking and running again, commit,
// slow-op log.
//
//   call -> its turn -> [reply kept? send it] -> handler -> Txn applied with its reply
//                                                  |  |       -> EndTick: commit -> [outbox] -> answers
//                                                  |  `-> parked -> Rerun / Finish later
//                                                  `-> others hold what it has seen: dropped, they are asked
//                                                      (gate.h), then it runs again
//
// Whatever a handler has read may be of the batch that is not in the log yet, so every answer waits for it,
// and so does whatever else goes out (WhenLogged).
//
// Loop's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/lifetime.h"
#include "metaserver/base/call.h"
#include "metaserver/base/mount_rights.h"
#include "metaserver/executor/ending.h"
#include "metaserver/executor/executor_env.h"
#include "metaserver/executor/gate.h"
#include "metaserver/executor/open_proof.h"
#include "metaserver/executor/outbox.h"
#include "metaserver/executor/reclaim.h"
#include "metaserver/executor/session.h"
#include "metaserver/executor/turns.h"
#include "metaserver/executor/volume.h"
#include "metaserver/store/wal_sync.h"

namespace kfs::meta {

struct OpEnv;

struct ExecutorOptions {
  Duration session_ttl = std::chrono::seconds(30);
  Duration session_keep = std::chrono::hours(24);  // of one that has expired
  Duration slow_op = std::chrono::seconds(1);
  Entropy* entropy = &SystemRandom();
  OpenProofs proofs = {};
};

class Executor {
 public:
  // `env` outlives it.
  Executor(Clock& clock, ExecutorOptions options, WalSync* sync, ExecutorEnv& env);
  ~Executor();

  // What each of its volumes is opened with; to be drawn on the loop's thread.
  VolumeEnv& volume_env() { return inside_; }
  uint64_t DrawVolumeSeed() { return options_.entropy->Next(); }
  void AddVolume(std::unique_ptr<Volume> volume);
  // What both give back is the volume's store, still open: closing it may take long. Null: it was not open.
  // Closes it and ends its sessions.
  std::unique_ptr<VolumeStore> RemoveVolume(VolumeId id);
  // Closes it; its sessions live on, here or elsewhere. What they have under way is answered with `why`.
  std::unique_ptr<VolumeStore> CloseVolume(VolumeId id, const Status& why);
  Volume* FindVolume(VolumeId id);
  Volume* FindVolume(const std::string& name);
  const std::map<VolumeId, std::unique_ptr<Volume>>& volumes() const { return volumes_; }

  // A client's op, to run in its turn; call->session is its connection's.
  void Execute(const CallPtr& call);
  // The same for the ops on the session itself. Dropped, unanswered, when the connection ends before.
  void InTurn(const CallPtr& call, std::function<void()> run);

  // ---- sessions. The answers go through `call` after the commit.
  // Gives the session that the connection now has; null when refused (and answered).
  // `rights`: of the key that the connection came with.
  SessionPtr OpenSession(const CallPtr& call, const pb::OpenSessionRequest& request, const std::string& host,
                         const std::string& client_id, const MountRights& rights = {});
  // Those opened with a key that counts no more, for good; `counts` is asked with the id of each. So many of
  // one key that it would take long go with the next call.
  void EndSessionsOfKeys(const std::function<bool(const std::string& key)>& counts);
  // In pieces, which leave the loop where records are on disk. Dropped, unanswered, when the connection ends.
  void Reclaim(const CallPtr& call, const pb::ReclaimRequest& request);
  // What the session gets with an open that adds `rights`; none when it needs no proof.
  std::optional<pb::OpenProof> ProofOf(const Session& session, Ino ino, uint32_t rights) const;
  void KeepAlive(const CallPtr& call, const pb::KeepAliveRequest& request);
  void CloseSession(const CallPtr& call);
  void CancelOp(const CallPtr& call, const pb::CancelOpRequest& request);
  // A connection of a session has ended. What came on it and changes nothing is dropped; its appends end, and
  // with its last connection its tickets (docs/fencing.md). The session stays: Attach, or its time to live.
  void Disconnected(Session& session, uint8_t lane, uint64_t connection_number);

  // ---- for handlers
  // EAGAIN: what of this session waits (or of all) takes as much memory as it may.
  Status MayPark(const OpCall& call) const;
  ParkedPtr Park(const CallPtr& call, const char* waits_for);
  void Unpark(const ParkedPtr& parked);
  void Rerun(ParkedPtr parked);
  void Finish(const ParkedPtr& parked, const Status& status);
  void FinishLock(const ParkedPtr& parked, const Status& status, const pb::LockRange& lock);
  void FinishAfterSync(Volume& volume, ParkedPtr parked);
  // The mounts that have flock locks on the inode: their kernels may have queued releases of these.
  std::vector<Need> FlockHolders(const Volume& volume, Ino ino) const;
  Status MayAsk(const std::vector<Need>& needs) const { return gate_.MayAsk(needs); }
  // Runs the call again when all of them have answered, or are not waited for any more.
  void Ask(const std::vector<Need>& needs, ParkedPtr parked);
  // ---- for chunkservers: one has (re)appeared, has another key than its tokens were signed under.
  void ChunkserverUp(ServerId server);
  void ChunkserverKeyChanged(ServerId server);

  // What stands in the way of ops from here on. It outlives the executor.
  void AddHolders(Holders* kind) { gate_.Add(kind); }

  // An answer, to be sent after the tick's commit. `of`: the volume that it tells of; none: its session's.
  void Answer(const CallPtr& call, std::string body, VolumeId of = {});
  void Refuse(const CallPtr& call, const Status& status, uint64_t detail = 0, VolumeId of = {});
  void Schedule();
  // `fn` gets OK once all that has been changed so far is in the volume's log for good: in this call, when
  // nothing is on its way there; else an error, when that is not to be known any more.
  void WhenLogged(VolumeId id, Outbox::Fn fn);
  // The same once it survives loss of power, too; not in this call. Never, when the volume is closed before.
  void AfterSync(VolumeId id, Outbox::Fn fn);

  void EndTick();
  void NextTick();
  // Every 100 ms or so: expiry of sessions and drains, retries, background work.
  void OnTimer();
  // Commits everything; nothing may be executed afterwards.
  void Stop();

  const ExecutorOptions& options() const { return options_; }
  // Of all volumes, see Volume::CheckRoom.
  void SetDiskFull(bool full);
  // Of the configuration; clients that know another ask what has changed.
  void SetGeneration(uint64_t generation) { generation_ = generation; }
  uint64_t replays() const { return replays_; }
  uint64_t cold_runs() const { return cold_runs_; }
  uint64_t parked_now() const;

 private:
  // Runs of an op that came no further than the one before: its records were changed, and dropped from memory, each
  // time before it had its turn. It is to be sent again then.
  static constexpr int kColdAgainMax = 4;
  // Of a volume's log, appended and not acknowledged: no more is changed beyond it.
  static constexpr size_t kPendingBytesMax = 16u << 20;

  struct Outgoing {
    CallPtr call;
    Status status;
    uint64_t detail = 0;
    std::string body;
    VolumeId volume;
  };
  struct Closing {
    SessionPtr session;
    Status why;
    uint8_t lane = 0;
    uint64_t connection = 0;  // its number
  };
  // What kernels have queued and mounts not yet sent. It stands in the way of nothing by itself.
  class QueuedReleases : public Holders {
   public:
    explicit QueuedReleases(Executor& executor) : executor_(executor) {}
    void Conflicts(const Volume&, const Txn&, SessionId, std::vector<Need>*) override {}
    void Ask(const SessionPtr& holder, Ino ino, HoldMode mode, std::function<void()> done) override;

   private:
    Executor& executor_;
  };

  // What volumes, and sessions that end, ask of us.
  class Inside : public VolumeEnv, public EndingsEnv {
   public:
    explicit Inside(Executor& executor) : executor_(executor) {}
    void Rerun(ParkedPtr parked) override { executor_.Rerun(std::move(parked)); }
    void Changed() override { executor_.Schedule(); }
    void WhenLogged(VolumeId volume, std::function<void()> fn) override;
    void AfterSync(VolumeId volume, std::function<void()> fn) override;
    Status MayChange(const Volume& volume, const Txn& txn, std::function<void()> again) override;
    Volume* Find(VolumeId volume) override { return executor_.FindVolume(volume); }
    void Refuse(const CallPtr& call, const Status& why) override { executor_.Refuse(call, why); }

   private:
    Executor& executor_;
  };

  static VolumeId VolumeOf(const Session& session);
  void RunCall(const CallPtr& call);
  template <typename Rpc>
  void RunTyped(const CallPtr& call);
  // False when the op has been dealt with (replayed, refused, joined to its first arrival: `same` says
  // whether it asks for the same).
  using SameFn = bool (*)(const OpCall& first, const OpCall& again);
  bool Admit(const CallPtr& call, const pb::Context& ctx, bool logged, SameFn same);
  // True: the run is dropped, and others are asked first (or the call is refused).
  bool AsksFirst(OpEnv& env);
  SessionPtr FindSession(SessionId id) const;
  // Whether a run that its handler is content with counts: nothing has been done by then, all is done after.
  // `may_store`: it is kept with its answer. OK and parked: the call is to wait.
  Status Count(OpEnv& env, bool may_store);
  // What the run has done so far counts, and the call waits.
  void ParkRun(OpEnv& env);
  // False: what it did is not there any more, the op is to be executed.
  bool Replay(const CallPtr& call, bool logged);
  void ContinueReclaim(const SessionPtr& session);
  // False: they are being read.
  bool ReclaimOpens(const SessionPtr& session, Reclaiming& r);
  void ReclaimLocks(Session& session, Reclaiming& r);
  void ReclaimLater(const SessionPtr& session);
  void TrimReplies(Session& session, uint8_t of_lane, uint64_t acked);
  // The same of all up to `last` but those that are pending.
  void TrimReplies(Session& session, uint8_t of_lane, uint64_t last, std::set<uint64_t> pending);
  // Removes one that is stored; gives the next.
  static Session::Replies::iterator DropReply(Session& session, Session::Replies::iterator it);
  // Stores it with the tick's batch, or remembers it.
  void KeepReply(const OpCall& call, bool logged, const std::string& body, Ino opened, uint32_t opened_for,
                 const pb::LockRange* lock);
  // The keys are to be read, and at hand until `wanted` ends. Not OK: that has come to nothing too often.
  static Status Want(Db& db, const std::vector<std::string>& keys, std::shared_ptr<WantedRecords>* wanted,
                     int* again);
  // Runs the call again when the keys are in memory.
  void FetchAndRerun(Volume& volume, const CallPtr& call, std::vector<std::string> keys);
  void ForgetDb(Db& db);
  // False (and refused): the session has ended or expired.
  bool Alive(const CallPtr& call);
  // session_root.cc: the new session's root and rights.
  Status PlaceSession(Volume& volume, const pb::OpenSessionRequest& request, const MountRights& rights,
                      Session* session);
  // Whether the session goes on for who comes with these rights: the same key's, or the root secret's, whose
  // name it has with it once there is a newer one.
  static bool TakesRights(Session* session, const MountRights& rights);
  void ExpireKeys(Volume& volume);
  void ExpireSessions(Volume& volume);
  Status RoomForSession(Volume& volume, const std::string& key_id);
  // `done` once all that it held is let go.
  void EndSession(const SessionPtr& session, const std::string& why, std::function<void()> done = {});
  bool HasBackgroundWork() const;
  // The one place where batches are written. What waited for the log leaves.
  void CommitVolume(Volume& volume);
  void LetGoOfCalls();
  // As WhenLogged, of what has been committed.
  static void Leave(Volume* volume, Outbox::Fn fn);
  void SendAnswers();
  void SendAnswer(const Outgoing& o, const Status& logged);
  // Of all lanes, after the answers.
  void CloseConnections(const SessionPtr& session, const Status& why);
  void CloseConnections();
  // Its connection is closed, and what came on it has run or is dropped.
  void LeaveLane(Session& session, uint8_t lane, const char* why);
  void SyncFor(VolumeId id, std::vector<Outbox::Fn> waiting);
  static bool HasStep(Volume& volume);

  Clock& clock_;
  const ExecutorOptions options_;
  WalSync* const sync_;  // null: sync in line (tests)
  ExecutorEnv& env_;
  Inside inside_{*this};
  std::map<VolumeId, std::unique_ptr<Volume>> volumes_;
  Endings endings_{inside_};
  Gate gate_;
  QueuedReleases queued_releases_{*this};
  const size_t queued_releases_kind_ = gate_.Add(&queued_releases_);
  std::vector<Closing> closing_;  // connections
  Turns turns_{clock_};
  uint64_t parked_ever_ = 0;
  const std::shared_ptr<size_t> parked_bytes_ = std::make_shared<size_t>(0);      // of all sessions
  const std::shared_ptr<size_t> remembered_bytes_ = std::make_shared<size_t>(0);  // the same
  std::vector<Outgoing> outgoing_;
  std::vector<std::pair<VolumeId, Outbox::Fn>> leaving_;  // with the next commit
  std::map<VolumeId, std::vector<Outbox::Fn>> sync_waits_;
  bool scheduled_ = false;
  bool next_asked_ = false;
  bool disk_full_ = false;
  uint64_t generation_ = 0;
  uint64_t replays_ = 0;
  uint64_t cold_runs_ = 0;
  Lifetime lifetime_;
};

}  // namespace kfs::meta
