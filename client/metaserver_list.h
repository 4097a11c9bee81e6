// Where the metaservers are: as the mount was told, then as the cluster itself says (LocateVolume). Worker's
// thread only.
//
// The addresses that the mount was given stay at the end of the list, as a last resort: the cluster may know
// its members under names that do not lead there from this machine. But a machine that is no longer a member
// may have any opinion of the volume, so what such a stranger says ends nothing.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "proto/meta.pb.h"

namespace kfs {

class MetaserverList {
 public:
  // More are not kept; a cluster has a handful.
  static constexpr size_t kMembersMax = 32;

  explicit MetaserverList(std::vector<std::string> given) : given_(std::move(given)) {}

  enum Taken { kIgnored, kSame, kNew };
  // Ignored: it names nobody, or is older than what is known.
  Taken Take(const pb::LocateVolumeReply& reply);
  // Of the configuration that told the members; 0: none did.
  uint64_t generation() const { return generation_; }
  // There is nothing to be learned from this one.
  void Skip(uint64_t generation) { generation_ = generation; }

  const std::vector<std::string>& members() const { return members_; }  // the owner first
  const std::string& owner() const { return owner_; }                   // empty: not known

  // The order in which to try them: the owner, the other members, those given. Each time another one comes
  // after the owner, so that nobody who is wrong about the owner is asked for ever.
  std::vector<std::string> Order();

  bool IsStranger(const std::string& address) const;
  // `address` says that the volume does not exist. True when enough of them say so: one that was away when
  // the volume was made may not know it yet.
  bool SaidGone(const std::string& address);
  void IsThere() { said_gone_.clear(); }

 private:
  const std::vector<std::string> given_;
  std::vector<std::string> members_;
  std::string owner_;
  uint64_t generation_ = 0;
  size_t turn_ = 0;
  std::set<std::string> said_gone_;
};

}  // namespace kfs
