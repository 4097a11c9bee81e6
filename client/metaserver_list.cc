#include "client/metaserver_list.h"

#include <algorithm>
#include <utility>

namespace kfs {

MetaserverList::Taken MetaserverList::Take(const pb::LocateVolumeReply& reply) {
  std::vector<std::string> members;
  auto add = [&members](const std::string& address) {
    if (address.empty() || members.size() >= kMembersMax || std::ranges::count(members, address) != 0) return;
    members.push_back(address);
  };
  add(reply.owner());
  for (const std::string& address : reply.metaserver()) add(address);
  if (members.empty() || reply.generation() < generation_) return kIgnored;
  generation_ = reply.generation();
  const bool changed = members != members_ || reply.owner() != owner_;
  members_ = std::move(members);
  owner_ = reply.owner();
  return changed ? kNew : kSame;
}

std::vector<std::string> MetaserverList::Order() {
  std::vector<std::string> order = members_;
  if (order.size() > 2) {
    const auto others = order.begin() + 1;
    std::rotate(others, others + static_cast<ptrdiff_t>(turn_++ % (order.size() - 1)), order.end());
  }
  for (const std::string& address : given_) {
    if (std::ranges::count(order, address) == 0) order.push_back(address);
  }
  return order;
}

bool MetaserverList::IsStranger(const std::string& address) const {
  return !members_.empty() && std::ranges::count(members_, address) == 0;
}

bool MetaserverList::SaidGone(const std::string& address) {
  if (IsStranger(address)) return false;
  said_gone_.insert(address);
  return 2 * said_gone_.size() > members_.size();
}

}  // namespace kfs
