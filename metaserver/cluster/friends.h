// All the peers of a member: a FriendMachine for each member of the configuration but itself, and for those
// that were detached until they know; the exchange by which whoever is behind gets the decided configuration;
// and answers for strangers. Loop's thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "metaserver/cluster/friend.h"

namespace kfs::meta {

struct PeerView {
  std::string uuid, address;
  FriendState state = FriendState::kDefault;
  bool connected = false;
  uint64_t generation = 0;  // that the peer has told us last
  std::string checksum;
  MonoTime last_heard{};               // none: never
  std::string reason;                  // why it is not a friend, if that is known
  const TransitionLog* log = nullptr;  // valid until the node's next call
};

class Friends {
 public:
  Friends(ClusterEnv& env, Acceptor& acceptor) : env_(env), acceptor_(acceptor) {}

  // Of any message first: false when it is a stranger's (of another cluster, or of a member as it was before
  // it lost its state), who is told so.
  bool Admit(const pb::PeerMessage& message);
  // REQUIRES: admitted; it has a hello or a friendship.
  void OnMessage(const pb::PeerMessage& message);
  // Follows the configuration, if that has changed.
  void Follow();
  void OnTimer();

  std::vector<PeerView> Peers() const;
  // Why this metaserver is not in its own (decided) configuration; empty: it is, or has none yet.
  const std::string& out() const { return out_; }
  uint64_t strangers() const { return strangers_; }

  static constexpr auto kHelloEvery = std::chrono::seconds(1);
  // A stranger is told, and logged, as often as this.
  static constexpr auto kTellEvery = std::chrono::seconds(5);
  static constexpr size_t kStrangersKept = 256;

 private:
  FriendMachine* Find(const std::string& uuid);
  void TakeConf(const pb::PeerMessage& from, const pb::ClusterConf& conf);
  void CatchUp(const pb::PeerMessage& message);
  void OnStranger(const pb::PeerMessage& message);
  void OnRemove(const pb::PeerMessage& message);
  bool TellNow(const std::string& uuid);
  void Refuse(const pb::PeerMessage& message, const std::string& words, bool with_conf = false);

  ClusterEnv& env_;
  Acceptor& acceptor_;
  std::map<std::string, std::unique_ptr<FriendMachine>> machines_;  // by uuid
  std::string followed_;  // checksum of the configuration that they are as of
  std::string out_;
  MonoTime hello_at_{};
  std::map<std::string, MonoTime> told_;  // strangers, by uuid
  uint64_t strangers_ = 0;                // messages of theirs
};

}  // namespace kfs::meta
