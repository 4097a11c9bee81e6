#include "metaserver/placement/placement.h"

#include <algorithm>
#include <set>

namespace kfs::meta {
namespace {

bool Usable(const Candidate& c) {
  return c.up && c.available > std::min(kServerReserveBytes, c.capacity / kServerReserveDivisor);
}

// Where servers fail together; a server that does not say stands for itself.
std::string Host(const Candidate& c) { return c.host.empty() ? "#" + std::to_string(c.id.v) : c.host; }

size_t DrawByFreeSpace(const std::vector<const Candidate*>& from, std::mt19937_64& rng) {
  double total = 0;
  for (const Candidate* c : from) total += static_cast<double>(c->available);
  double at = std::uniform_real_distribution<double>(0, total)(rng);
  for (size_t i = 0; i < from.size(); ++i) {
    at -= static_cast<double>(from[i]->available);
    if (at < 0) return i;
  }
  return from.size() - 1;  // rounding
}

}  // namespace

std::vector<ServerId> Choose(const std::vector<Candidate>& candidates, size_t replicas,
                             std::mt19937_64& rng) {
  std::vector<const Candidate*> left;
  std::set<ServerId> seen;
  for (const Candidate& c : candidates) {
    if (Usable(c) && seen.insert(c.id).second) left.push_back(&c);
  }
  std::vector<ServerId> chosen;
  std::set<std::string> hosts;
  while (chosen.size() < replicas && !left.empty()) {
    std::vector<const Candidate*> fresh;
    for (const Candidate* c : left) {
      if (!hosts.contains(Host(*c))) fresh.push_back(c);
    }
    const auto& from = fresh.empty() ? left : fresh;
    const Candidate* pick = from[DrawByFreeSpace(from, rng)];
    chosen.push_back(pick->id);
    hosts.insert(Host(*pick));
    std::erase(left, pick);
  }
  return chosen;
}

}  // namespace kfs::meta
