#include "chunkserver/access_gate.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/chunk_token.h"
#include "common/reached.h"
#include "common/secret.h"

namespace kfs {
namespace {

// Two clocks that count the same seconds differ by less than this part of them: quartz is good for a tenth.
constexpr uint64_t kDriftPart = 1000;

uint64_t AtMost(uint64_t shows_ms, uint64_t elapsed_ms) {
  return shows_ms + elapsed_ms + elapsed_ms / kDriftPart + 1;  // 1: both were rounded down
}
uint64_t AtLeast(uint64_t shows_ms, uint64_t elapsed_ms) {
  const uint64_t slack_ms = elapsed_ms / kDriftPart + 1;
  return shows_ms + elapsed_ms - std::min(elapsed_ms, slack_ms);
}

Status Refused(std::string why) { return Status(EACCES, Code::kTokenRefused, std::move(why)); }

}  // namespace

void AccessGate::LearnClock(uint64_t clock, uint64_t shows_ms, uint64_t asked_ms) {
  if (clock == 0) return;
  const uint64_t now = NowMs();
  std::lock_guard lock(mutex_);
  auto it = clocks_.find(clock);
  // Of all that was heard the least: an answer that took long says little.
  if (it != clocks_.end() && AtMost(it->second.shows_ms, now - std::min(now, it->second.asked_ms)) <=
                                 AtMost(shows_ms, now - std::min(now, asked_ms))) {
    return;
  }
  if (it == clocks_.end() && clocks_.size() >= kClocksMax) {
    clocks_.erase(std::ranges::min_element(
        clocks_, [](const auto& a, const auto& b) { return a.second.asked_ms < b.second.asked_ms; }));
  }
  clocks_[clock] = {shows_ms, asked_ms, now};
}

bool AccessGate::Latest(uint64_t clock, uint64_t* ms) const {
  auto it = clocks_.find(clock);
  if (it == clocks_.end()) return false;
  const uint64_t now = NowMs();
  *ms = AtMost(it->second.shows_ms, now - std::min(now, it->second.asked_ms));
  return true;
}

// By the least that its clock may show: what was given out before is never taken for run out too early.
bool AccessGate::Over(const Fenced& fence) const {
  const uint64_t now = NowMs();
  auto it = clocks_.find(fence.clock);
  if (it == clocks_.end()) return now - std::min(now, fence.came_ms) >= kFenceMsMax;
  return AtLeast(it->second.shows_ms, now - std::min(now, it->second.heard_ms)) >= fence.expires_ms;
}

bool AccessGate::Fenced::Refuses(const Grant& grant) const {
  if (grant.clock == clock) return grant.serial < serial;
  return others;
}

Result<AccessGate::Grant> AccessGate::Verify(const pb::ChunkRef& ref, const pb::ChunkAccess& access,
                                             uint32_t right) {
  const pb::SessionTicket& t = access.ticket();
  if (without_ && !access.has_ticket() && access.mac().empty()) return Grant{.without = true};
  if (access.mac().empty() || t.mac().empty()) {
    ++counters_.forged;
    return Status(EACCES,
                  "an access to a chunk needs the metaserver's token (is the mount older than this?)");
  }
  const bool token = EqualConstantTime(access.mac(), TokenMac(key_, {ref.volume(), ref.chunk(), ref.version(),
                                                                     access.session(), access.rights()}));
  const bool ticket = EqualConstantTime(
      t.mac(), TicketMac(key_, {ref.volume(), access.session(), t.clock(), t.expires_ms(), t.serial()}));
  if (!token || !ticket) {
    ++counters_.forged;
    // Or it was made before this chunkserver had the key that it has now: the metaserver gives out others.
    return Refused(
        fmt::format("the {} is not one that a metaserver made for this chunkserver, chunk, "
                    "version and session",
                    token ? "session's ticket" : "chunk's token"));
  }
  if ((access.rights() & right) != right) {
    ++counters_.forged;
    return Status(EACCES, "the chunk's token is for another kind of access");
  }
  return Grant{ref.volume(), access.session(), t.serial(), t.clock(), t.expires_ms()};
}

Status AccessGate::Check(const Grant& grant) {
  if (grant.without) return {};
  std::lock_guard lock(mutex_);
  uint64_t now = 0;
  if (!Latest(grant.clock, &now)) {
    ++counters_.unknown_clock;
    KFS_REACHED("ticket.of_unknown_clock");
    return Refused("the ticket is of a metaserver that has not been heard of since this chunkserver started");
  }
  if (now >= grant.expires_ms) {
    ++counters_.expired;
    KFS_REACHED("ticket.ran_out");
    return Refused(fmt::format("the session's ticket ran out {} ms ago", now - grant.expires_ms));
  }
  auto it = fences_.lower_bound({grant.volume, grant.session, 0});
  const auto end = fences_.upper_bound({grant.volume, grant.session, UINT64_MAX});
  bool fenced = false;
  for (; it != end; ++it) {
    fenced = fenced || (it->second.Refuses(grant) && !Over(it->second));
  }
  if (fenced) {
    ++counters_.fenced;
    KFS_REACHED("ticket.fenced");
    return Refused("the session has been fenced since its ticket was made");
  }
  return {};
}

Status AccessGate::Fence(const pb::FenceSessionsRequest& request) {
  std::lock_guard lock(mutex_);
  const auto key = [&](const auto& f) {
    return std::tuple(request.volume(), f.session(), f.others() ? 0 : request.clock());
  };
  const auto room = static_cast<size_t>(
      std::ranges::count_if(request.fence(), [&](const auto& f) { return !fences_.contains(key(f)); }));
  if (fences_.size() + room > kFencesMax) Sweep();
  if (fences_.size() + room > kFencesMax)
    return Status(EAGAIN, Code::kTryAgain, "too many sessions are fenced");
  for (const auto& f : request.fence()) {
    Fenced& fenced = fences_[key(f)];
    if (!f.others() && f.serial() < fenced.serial) continue;  // overtaken
    fenced = {f.serial(), f.others(), request.clock(), f.expires_ms(), NowMs()};
  }
  return {};
}

// A clock that is not known opens nothing, so that what fences only its own tickets can go: when it is heard
// of again (it was pushed out), its metaserver tells of its fences first.
void AccessGate::Sweep() {
  std::erase_if(fences_, [this](const auto& f) {
    return Over(f.second) || (!f.second.others && !clocks_.contains(f.second.clock));
  });
}

size_t AccessGate::fences() const {
  std::lock_guard lock(mutex_);
  return fences_.size();
}

}  // namespace kfs
