// The chunkservers of the cluster: who they are (from the configuration), where they were last (durable), how
// full they are, and the connection on which the metaserver asks things of them. Loop's thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/credentials.h"
#include "common/entropy.h"
#include "common/status.h"
#include "common/types.h"
#include "metaserver/chunks/disk_ages.h"
#include "metaserver/chunks/space_sum.h"
#include "metaserver/placement/placement.h"
#include "metaserver/store/db.h"
#include "metaserver/store/record_sync.h"
#include "proto/chunk.pb.h"
#include "proto/cluster.pb.h"
#include "proto/ops.h"

namespace kfs {
class Connection;
}

namespace kfs::meta {

struct Chunkserver {
  ServerId id;
  std::string uuid, address;
  std::string token_key;                     // what its chunk tokens are signed under
  bool own_key = false;                      // it does not know the root secret, as far as we know
  std::string key_id;                        // that it has shown last; empty: not known
  uint32_t key_generation = 1;               // of the root secret that token_key comes from
  std::string instance;                      // of its process; empty: it has not registered since we started
  std::map<std::string, std::string> label;  // from the configuration
  std::shared_ptr<Connection> connection;    // null: not connected
  std::vector<pb::DiskStatus> disks;         // as told last
  SpaceSum space;                            // theirs
  DiskAges ages;                             // also of disks that it does not have any more
  int64_t last_seen_wall = 0;
  MonoTime last_heard{};
  bool up = false;
  std::string unreached;  // why clients may not reach it at `address`, in words; empty: no trouble is known
  uint64_t rss_bytes = 0;
  // Links that others have to it without TLS, as it told last; some of their hosts.
  uint32_t plain_links = 0;
  std::vector<std::string> plain_from;
  bool inventory_wanted = false;
  MonoTime not_before{};   // nothing is placed on it until then
  MonoTime last_placed{};  // by this metaserver
  uint64_t promised = 0;   // bytes of chunks placed lately; what they have taken shows in later heartbeats

  void SetDisks(const google::protobuf::RepeatedPtrField<pb::DiskStatus>& now);
  uint64_t capacity() const { return space.capacity(); }
  uint64_t available() const { return space.available(); }
  uint64_t chunks() const;
  std::string error() const;
  std::string host() const;  // failure domain: the label, or the address without its port
};

// How requests reach chunkservers.
class ChunkserverLinks {
 public:
  using Done = std::function<void(Status, std::string body)>;
  virtual ~ChunkserverLinks() = default;
  virtual bool IsUp(const Chunkserver& server) const = 0;
  // Ends with EIO/kConnectionLost at once when it is not connected.
  virtual void Request(const Chunkserver& server, Op op, const google::protobuf::MessageLite& request,
                       Done done) = 0;
};

// Over the connections that they have made to this metaserver.
std::unique_ptr<ChunkserverLinks> LinksByConnection();

class Chunkservers {
 public:
  // `cluster` outlives this.
  Chunkservers(Db& cluster, Clock& clock, Entropy& entropy = SystemRandom(),
               std::unique_ptr<ChunkserverLinks> links = LinksByConnection());
  Status Load();
  // Records are synced by that thread from now on; null: before the call returns.
  void SyncOn(WalSync* thread) { sync_.UseThread(thread); }

  // Who belongs to the cluster. Those that no longer do are let go of.
  void Configure(const pb::ClusterConf& conf);
  // A chunkserver (re)connected. ENOENT when the configuration does not have it. An older connection of the
  // same server is superseded. ESTALE/kOlderCopy: its data is an older copy, nothing has changed. REQUIRES:
  // no other process has its uuid (TwinCheck). `done` once what is new of it is durable, or at once; it is up then.
  using Registered = std::function<void(const Result<ServerId>&)>;
  void Register(const pb::RegisterChunkserverRequest& request, std::shared_ptr<Connection> connection,
                Registered done);
  Status Heartbeat(ServerId server, const pb::HeartbeatRequest& request);
  // Each is asked for an inventory with its next heartbeat.
  void WantInventories();
  bool TakeInventoryWanted(ServerId server);
  // Nothing is placed on it for some seconds: it is about to be removed.
  void PauseUse(ServerId server);
  // Whether chunks were placed so lately that the last heartbeat may not count them.
  bool PlacedLately(const Chunkserver& server) const;
  void Placed(ServerId server, uint64_t chunk_size);
  void SetUnreached(ServerId server, const std::string& why);
  void Disconnected(const Connection* connection);
  // Marks those down that have been silent for too long.
  void CheckSilence();

  // Ends with EIO/kConnectionLost at once when the server is not there.
  void Request(ServerId server, Op op, const google::protobuf::MessageLite& request,
               ChunkserverLinks::Done done);

  bool IsUp(ServerId server) const;
  const Chunkserver* Find(ServerId server) const;
  const Chunkserver* FindUuid(const std::string& uuid) const;
  ServerId OfConnection(const Connection* connection) const;
  // The root secret, with the older one while there are two, from which chunkservers' keys come. Before the
  // first Configure.
  void SetKeys(Credentials root) { root_ = std::move(root); }
  // Called when a server turns out to have another key than its tokens were signed under.
  void OnKeyChanged(std::function<void(ServerId)> fn) { on_key_changed_ = std::move(fn); }
  // Of one that is not known (any more): none.
  const std::string& TokenKey(ServerId server) const;
  bool HasOwnKey(ServerId server) const;
  // What a metaserver shows to a chunkserver of that uuid; `root`: the cluster's secret, with the older one.
  Credentials ToMeet(const std::string& uuid, const Credentials& root) const;
  // By which tickets of this process run out, with Clock::BootMs.
  uint64_t clock_id() const { return clock_id_; }
  uint64_t clock_ms() const { return clock_.BootMs(); }
  const std::map<ServerId, Chunkserver>& all() const { return servers_; }
  std::vector<Candidate> Candidates() const;
  // Of all that are up; what they share counts once.
  SpaceSum Space() const;
  // Called when a server (re)appears.
  void OnUp(std::function<void(ServerId)> fn) { on_up_ = std::move(fn); }

  static constexpr uint32_t kHeartbeatMs = 2000;
  static constexpr uint32_t kHeartbeatsMissed = 3;

 private:
  Db& cluster_;
  RecordSync sync_;
  Clock& clock_;
  std::map<ServerId, Chunkserver> servers_;
  std::function<void(ServerId)> on_up_;
  const std::unique_ptr<ChunkserverLinks> links_;
  // Sets its token_key and own_key.
  void SetKey(Chunkserver* server, const std::string& key_id, std::string_view invitation);
  void Store(const Chunkserver& server);
  // Takes over what the request says of it; gives whether that is to be durable before it is used.
  Result<bool> Note(const pb::RegisterChunkserverRequest& request, const Connection* connection,
                    ServerId* id);
  Result<ServerId> LetIn(ServerId id, const pb::RegisterChunkserverRequest& request,
                         std::shared_ptr<Connection> connection);

  Credentials root_;  // empty: in tests
  std::function<void(ServerId)> on_key_changed_;
  const uint64_t clock_id_;
};

}  // namespace kfs::meta
