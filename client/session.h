// The mount's session at the metaserver: opened on the first connection, attached again on later ones, told
// to a restarted metaserver (Reclaim), kept alive at a third of its time to live, and replaced, loudly, when
// the metaserver no longer knows it.
//
//   connected -> OpenSession(id, key) -+- same incarnation ------------------------> ready: pending calls are
//                                      |                                             sent
//                                      +- another incarnation -> Reclaim... -------> ready
//                                      +- expired meanwhile -> all held is lost ...-> as above
//                                      +- kUnknownSession -> on_lost -> OpenSession() -> ready
//                                      +- kNotOwner -> LocateVolume -> reconnect, to the owner first
//                                      +- kStopped -> on_stopped; once a second again, until it is started
//
// Ops that are answered with kNotOwner or kStopped on an attached session come here too (Refused).
// Worker's thread only.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/held_state.h"
#include "client/layout_cache.h"
#include "client/metaserver_list.h"
#include "client/op_ids.h"
#include "client/recent_changes.h"
#include "proto/chunk.pb.h"
#include "rpc/net_client.h"

namespace kfs {

// Whose session it is.
class SessionEnv {
 public:
  virtual ~SessionEnv() = default;
  virtual void Attached() = 0;                      // each time, before `ready`
  virtual void NotAttached(const Status& why) = 0;  // no session at the first try: Connect fails
  virtual void MutationsLost() = 0;                 // pending ones must end now
  virtual void HandlesLost() = 0;                   // those that rest on an open file or a lock must
  virtual void VolumeStopped() = 0;                 // all ops must end now, with stopped()
  virtual Duration OldestCall() = 0;                // for how long the oldest has waited that is unanswered
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  // So often a stopped volume is asked for.
  static constexpr Duration kStoppedPause = std::chrono::seconds(1);
  // The owner is gone to at once, but not more often than this: metaservers may not agree on who it is.
  static constexpr Duration kRedirectPause = std::chrono::seconds(1);

  struct Options {
    std::vector<std::string> metaservers;  // as the mount was told
    std::string volume;
    std::string path;  // of the directory to be the root
    std::string mountpoint;
  };
  // `env`: until Stop.
  Session(EventLoop& loop, Options options, SessionEnv& env);

  // What NetClient::OnConnected wants.
  void Attach(const ConnectionPtr& connection, NetClient::ReadyFn ready);
  // Keeps the session alive over `net`, and tells `net` where the metaservers are.
  void KeepAlive(std::shared_ptr<NetClient> net);
  // The metaserver refused an op because of the session or the volume: attach again, there or elsewhere.
  void Refused(const Status& why);
  // Told to the metaserver, so that 'kfs health' knows of a mount whose programs wait for long.
  void CallEnded(Duration took);
  // A program's call, of however many of those, has ended after so long.
  void ProgramWaited(Duration took) { calls_.slowest = std::max(calls_.slowest, took); }
  // An attached connection is gone: a restarted owner is the common case.
  void Disconnected();
  void Stop();

  OpIds& ids() { return ids_; }
  RecentChanges& changes() { return changes_; }
  // Called for each op id given out.
  void IdGiven(uint64_t id);
  HeldState& held() { return held_; }
  // Not OK: an administrator has stopped the volume. What ops end with until it is started.
  const Status& stopped() const { return stopped_; }
  const MetaserverList& metaservers() const { return metaservers_; }
  // Who answers at the owner's address says that it is not the owner.
  bool another_at_owner() const { return another_at_owner_; }
  uint64_t id() const { return session_; }
  uint64_t incarnation() const { return incarnation_; }
  uint64_t attaches() const { return attaches_; }
  uint64_t chunk_size() const { return chunk_size_; }
  uint32_t volume() const { return volume_; }

  // What an access to this chunk shows the chunkserver of the replica: the token, and our latest ticket for
  // it.
  void FillAccess(const ChunkPlace& place, const ChunkReplica& replica, pb::ChunkAccess* access) const;
  void TakeTickets(const google::protobuf::RepeatedPtrField<pb::ServerTicket>& tickets);

 private:
  // One connection's way to `ready`.
  struct Attaching {
    ConnectionPtr connection;
    NetClient::ReadyFn ready;
    uint64_t incarnation = 0;
    uint64_t generation = 0;
    std::vector<pb::ReclaimRequest> reclaims;
    size_t next_reclaim = 0;
  };
  // Another cluster's metaserver answers: nothing of what it says is about our volume.
  Status CheckCluster();
  void Open(const std::shared_ptr<Attaching>& a);
  void OnOpened(const std::shared_ptr<Attaching>& a, const Answer& answer);
  void NotOpened(const std::shared_ptr<Attaching>& a, const Status& status);
  void Redirect(const std::shared_ptr<Attaching>& a, const Status& why);
  void OnRedirected(const std::shared_ptr<Attaching>& a, const Status& why, const Answer& answer);
  void Stopped(const Status& why);
  void NoteGeneration(uint64_t generation);
  MetaserverList::Taken TakeMetaservers(const pb::LocateVolumeReply& reply);
  void Reclaim(const std::shared_ptr<Attaching>& a);
  void Ready(const std::shared_ptr<Attaching>& a);
  void ChangesLost(const KnownOps& known);
  void HeldLost(const std::string& why);
  void Lost(const Status& why);
  void SendKeepAlive();
  void TakeSynced(const pb::SyncPoint& told);

  // Calls that have ended since the last KeepAlive.
  struct Calls {
    uint64_t count = 0;
    Duration took{}, slowest{};
  };
  Calls calls_;

  EventLoop& loop_;
  const Options options_;
  SessionEnv* env_;  // null: stopped
  std::weak_ptr<NetClient> net_;
  std::string cluster_;        // whose volume it is, from the first attachment on
  std::string other_cluster_;  // that answered in its place, told last
  MetaserverList metaservers_;
  bool locating_ = false;
  bool another_at_owner_ = false;
  MonoTime last_redirect_{};
  Status stopped_;
  OpIds ids_;
  RecentChanges changes_;
  HeldState held_;
  uint64_t session_ = 0;
  std::string key_;
  // The volume's number of our root: what a later session begins with, wherever it is by then.
  uint64_t root_ = 0;
  uint64_t incarnation_ = 0;
  uint32_t expiries_ = 0;
  uint64_t attaches_ = 0;
  uint64_t chunk_size_ = 0;
  uint32_t volume_ = 0;
  // How far the volume was durable, as told last: whoever serves an older copy of it learns so from us.
  pb::SyncPoint synced_;
  std::unordered_map<uint64_t, pb::SessionTicket> tickets_;  // the latest, by chunkserver
  Duration ttl_{};
  EventLoop::Timer keep_alive_;
  bool keep_alive_pending_ = false;
};

}  // namespace kfs
