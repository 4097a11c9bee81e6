// What is kept of stored answers that are not acknowledged, and how much of it.
#include <fmt/format.h>

#include "common/limits.h"
#include "metaserver/executor/volume.h"

namespace kfs::meta {

void Volume::AddStored(Session& session, uint64_t op_id, uint32_t life, size_t record_bytes) {
  const auto bytes = static_cast<uint32_t>(kStoredWeight + record_bytes);
  session.replies.emplace_hint(session.replies.end(), op_id, Session::Stored{life, bytes});
  session.stored_bytes += bytes;
  stored_bytes_ += bytes;
}

Session::Replies::iterator Volume::DropStored(Session& session, Session::Replies::iterator it) {
  session.stored_bytes -= it->second.bytes;
  stored_bytes_ -= it->second.bytes;
  return session.replies.erase(it);
}

void Volume::TakeAnswered(Session& session, Lane& lane, Lane::Answered answered) {
  const size_t more = kUnansweredWeight * (answered.but.size() - lane.answered.but.size());
  session.stored_bytes += more;
  stored_bytes_ += more;
  lane.answered = std::move(answered);
}

bool Volume::SetAnswered(Session& session, Lane& lane, Lane::Answered answered) {
  const size_t had = lane.answered.but.size(), has = answered.but.size();
  if (has > had) {
    size_t of_session = has - had;
    for (const auto& [n, l] : session.lanes) of_session += l.answered.but.size();
    const size_t more = kUnansweredWeight * (has - had);
    if (of_session > kRepliesKeptMax ||
        (stored_bytes_ + more > limits.stored && session.stored_bytes + more > limits.always))
      return false;
  }
  TakeAnswered(session, lane, std::move(answered));
  return true;
}

void Volume::Acknowledged(Session& session, Lane& lane, uint64_t acked) {
  Lane::Answered& answered = lane.answered;
  const size_t had = answered.but.size();
  answered.but.erase(answered.but.begin(), answered.but.upper_bound(acked));
  answered.to = std::max(answered.to, acked);
  const size_t less = kUnansweredWeight * (had - answered.but.size());
  session.stored_bytes -= less;
  stored_bytes_ -= less;
}

void Volume::DropFirstStored(Session::Replies* of_ended) {
  stored_bytes_ -= of_ended->begin()->second.bytes;
  of_ended->erase(of_ended->begin());
}

Status Volume::RoomForStored(const Session& session) const {
  if (stored_bytes_ < limits.stored || session.stored_bytes < limits.always) return {};
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format("the answers that clients of volume {} have not acknowledged take {} bytes: no more "
                  "are kept, but what a session needs that acknowledges",
                  info.name(), stored_bytes_));
}

}  // namespace kfs::meta
