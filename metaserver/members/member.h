// This metaserver as a member of its cluster: the configuration's state machines with real clocks, sockets
// and disk around them. Loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "metaserver/cluster/node.h"
#include "metaserver/members/member_env.h"
#include "metaserver/members/peer_links.h"
#include "metaserver/members/test_stop.h"
#include "metaserver/store/member_db.h"
#include "proto/admin.pb.h"

namespace kfs::meta {

class Member final : public ClusterEnv {
 public:
  // REQUIRES: `db` holds a record (see members/founding.h). `seen`: who has gone over to a newer root secret;
  // null: not remembered. `dispatcher`: serves what other members ask on the connections that this one makes.
  Member(EventLoop& loop, Clock& clock, MemberDb& db, Credentials credentials, TestStop test_stop,
         std::shared_ptr<Dispatcher> dispatcher, std::shared_ptr<SeenPeers> seen = {});
  ~Member() override;

  // Whom the configuration is for. REQUIRES: called before anything is changed or received; it outlives this.
  void Serve(MemberEnv& env) { env_ = &env; }
  // Connects to the others. Before it is called changes can be made only in a cluster of one.
  void Start();
  void Stop();

  // As they are on disk (P7).
  const pb::ClusterConf& conf() const { return node_->acceptor().durable().conf(); }
  std::string checksum() const;
  const std::string& uuid() const { return node_->acceptor().durable().uuid(); }
  uint64_t incarnation() const { return node_->acceptor().durable().incarnation(); }
  std::string address() const;  // in the configuration; empty: not in it
  const Credentials& credentials() const { return credentials_; }
  // Whether a majority can be heard: what this member knows is then what the cluster has decided, but for
  // moments.
  bool InTouch() const;
  // `s` rests on what this member knows: unless it is InTouch(), that may be old, and the answer is EAGAIN with
  // why, for a person who should ask another one.
  Status UnlessOld(const Status& s) const;

  ClusterNode& node() { return *node_; }
  const ClusterNode& node() const { return *node_; }
  const PeerLinks& links() const { return *links_; }
  MemberDb& db() { return db_; }

  // Through all phases. `done` comes once, in a bounded time.
  using ChangeDone = std::function<void(const Status&, const pb::ConfChangeReply&)>;
  void Change(const pb::CommandContext& ctx, pb::Change change, ChangeDone done);
  // What came of the change with that id, if it was made, lately.
  std::optional<pb::ConfChangeReply> Made(const std::string& id) const;
  using StatusDone = std::function<void(const pb::VolumeStatusReply&)>;
  void ReadStatus(const pb::CommandContext& ctx, StatusDone done);
  // Takes part in another cluster from here on, and says so once that is durable. REQUIRES: nothing is lost by it.
  void Adopt(const pb::PeerAdoptRequest& request, std::function<void()> done);
  // Runs `fn` once what has been changed here is durable; not when the member goes over to another cluster meanwhile.
  void WhenDurable(std::function<void()> fn) { node_->acceptor().WhenDurable(std::move(fn)); }
  // `connection`: the one it came by, if the peer has made it.
  void OnMessage(const pb::PeerMessage& message, const ConnectionPtr& connection);

  // Wall clock (ns) of a moment; 0 for none.
  int64_t WallOf(MonoTime at) const;
  // "m3:7400 (since 12:00:05)"
  std::string Absent(const std::string& uuid) const;

  // ClusterEnv.
  MonoTime Now() const override;
  uint64_t Random() override;
  std::string NewTransactionId() override;
  void Send(const std::string& uuid, const pb::PeerMessage& message) override;
  bool Reachable(const std::string& uuid) const override;
  Status Validate(const pb::Change& change, const pb::ClusterConf& next) override;
  void Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
              std::function<void(Status, std::string report)> done) override;

 private:
  void Begin();
  void OnLearned(const pb::ClusterConf& before);
  void ConfigureLinks();

  EventLoop& loop_;
  Clock& clock_;
  MemberDb& db_;
  const Credentials credentials_;
  const std::shared_ptr<SeenPeers> seen_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  MemberEnv* env_ = nullptr;
  std::mt19937_64 random_;
  std::unique_ptr<PeerLinks> links_;
  std::unique_ptr<ClusterNode> node_;
  EventLoop::Timer timer_;
  TestStop test_stop_;
  bool started_ = false;
};

}  // namespace kfs::meta
