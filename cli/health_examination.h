// How findings are put together (health.cc, health_metaservers.cc). No part of what others see.
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "cli/health.h"

namespace kfs::cli {

// A metaserver that takes longer to answer what it has in memory is busy, or short of memory or a CPU.
constexpr auto kSlow = std::chrono::milliseconds(200);
// The mean of what a metaserver answers by itself, and of the calls of a mount's programs, which may have to
// be synced to several disks; of so many at least, since a few say nothing.
constexpr auto kSlowOps = std::chrono::milliseconds(50), kSlowMount = std::chrono::milliseconds(250);
constexpr uint64_t kOpsMin = 20;

inline std::chrono::milliseconds MeanOf(uint64_t count, uint64_t micros) {
  return std::chrono::milliseconds(count == 0 ? 0 : micros / count / 1000);
}
inline std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }
// Why the metaserver there has not answered: what follows "metaserver ADDRESS: ".
std::string WhyNotAsked(const std::string& address, const Status& why);
// What to do about one that was asked and has not answered: where it has refused us, or we it, the error's
// own second line says it.
std::string NextStep(const Status& refused, std::string otherwise);

struct Examination {
  const std::vector<MemberAnswer>& answers;
  const TimeNs now;
  std::vector<Finding> found;
  // Of those that answered, the one with the newest configuration; null: none did.
  const MemberAnswer* best = nullptr;

  void Add(Severity severity, std::string alarm, std::string subject, std::string words,
           std::string next = "") {
    found.push_back({severity, std::move(alarm), std::move(subject), std::move(words), std::move(next)});
  }
  const MemberAnswer* AnswerOf(const std::string& uuid) const {
    for (const MemberAnswer& a : answers) {
      if (a.status.ok() && a.conf.self() == uuid) return &a;
    }
    return nullptr;
  }
  const pb::ClusterConf& conf() const { return best->conf.conf(); }
  const pb::MemberConf* Member(const std::string& uuid) const {
    for (const auto& m : conf().member()) {
      if (m.uuid() == uuid) return &m;
    }
    return nullptr;
  }
  // How another member sees it; null: nobody that answered has it as a peer.
  const pb::ConfShowReply::Peer* SeenAs(const std::string& uuid) const {
    const pb::ConfShowReply::Peer* out = nullptr;
    for (const MemberAnswer& a : answers) {
      if (!a.status.ok()) continue;
      for (const auto& p : a.conf.peer()) {
        if (p.uuid() == uuid && (out == nullptr || p.connected())) out = &p;
      }
    }
    return out;
  }
  // Who has answered at a member's address instead of it; null: nobody.
  const MemberAnswer* InsteadOf(const pb::MemberConf& member) const {
    for (const MemberAnswer& a : answers) {
      if (a.status.ok() && a.conf.self() != member.uuid() &&
          (a.address == member.address() ||
           std::find(a.also_at.begin(), a.also_at.end(), member.address()) != a.also_at.end()))
        return &a;
    }
    return nullptr;
  }
  bool Alive(const std::string& uuid) const {
    const auto* seen = SeenAs(uuid);
    return AnswerOf(uuid) != nullptr || (seen != nullptr && seen->connected());
  }

  // The chunkserver that is up at the address of one that is not; 0: none.
  uint64_t InsteadOf(const pb::ClusterStatusReply::Chunkserver& down) const;

  void Metaservers();
  void Instead(const pb::MemberConf& member, const MemberAnswer& there);
  void Peers(const MemberAnswer& of);
  void Volumes();
  void Chunkservers();
  void Room(const std::string& name, uint64_t capacity, uint64_t available, bool some_full);
  void Mounts();
  void Told();
  void SlowMount(const pb::ClusterStatusReply::Session& s);
  void LostSessions(const MemberAnswer& of);
};

}  // namespace kfs::cli
