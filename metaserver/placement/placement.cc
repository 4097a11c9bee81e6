#include "metaserver/placement/placement.h"

#include <algorithm>
#include <set>

namespace kfs::meta {
namespace {

bool Usable(const Candidate& c) {
  return c.up && c.available > std::min(kServerReserveBytes, c.capacity / kServerReserveDivisor);
}

uint64_t Free(const Candidate& c) { return c.available > c.promised ? c.available - c.promised : 0; }

// Promises are guesses: a server that has given many still takes its share when all have.
double Weight(const Candidate& c) { return static_cast<double>(std::max(Free(c), c.available / 64)); }

// Where servers fail together; a server that does not say stands for itself.
std::string Host(const Candidate& c) { return c.host.empty() ? "#" + std::to_string(c.id.v) : c.host; }

size_t DrawByFreeSpace(const std::vector<const Candidate*>& from, std::mt19937_64& rng) {
  double total = 0;
  for (const Candidate* c : from) total += Weight(*c);
  double at = std::uniform_real_distribution<double>(0, total)(rng);
  for (size_t i = 0; i < from.size(); ++i) {
    at -= Weight(*from[i]);
    if (at < 0) return i;
  }
  return from.size() - 1;  // rounding
}

}  // namespace

std::vector<ServerId> Choose(const std::vector<Candidate>& candidates, size_t replicas, uint64_t chunk_size,
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
    const auto& any = fresh.empty() ? left : fresh;
    std::vector<const Candidate*> roomy;
    for (const Candidate* c : any) {
      if (Free(*c) >= chunk_size) roomy.push_back(c);
    }
    const auto& from = roomy.empty() ? any : roomy;
    const Candidate* pick = from[DrawByFreeSpace(from, rng)];
    chosen.push_back(pick->id);
    hosts.insert(Host(*pick));
    std::erase(left, pick);
  }
  return chosen;
}

}  // namespace kfs::meta
