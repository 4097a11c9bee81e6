#include "metaserver/executor/stored_replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.h"

namespace kfs::meta {

void StoredReplies::Add(Session& session, uint64_t op_id, uint32_t life, size_t record_bytes) {
  const auto bytes = static_cast<uint32_t>(kWeight + record_bytes);
  session.replies.emplace_hint(session.replies.end(), op_id, Session::Stored{life, bytes});
  session.stored_bytes += bytes;
  bytes_ += bytes;
}

Session::Replies::iterator StoredReplies::Drop(Session& session, Session::Replies::iterator it) {
  session.stored_bytes -= it->second.bytes;
  bytes_ -= it->second.bytes;
  return session.replies.erase(it);
}

void StoredReplies::TakeAnswered(Session& session, Lane& lane, Lane::Answered answered) {
  const size_t more = kUnansweredWeight * (answered.but.size() - lane.answered.but.size());
  session.stored_bytes += more;
  bytes_ += more;
  lane.answered = std::move(answered);
}

bool StoredReplies::SetAnswered(Session& session, Lane& lane, Lane::Answered answered) {
  const size_t had = lane.answered.but.size(), has = answered.but.size();
  if (has > had) {
    size_t of_session = has - had;
    for (const auto& [n, l] : session.lanes) of_session += l.answered.but.size();
    const size_t more = kUnansweredWeight * (has - had);
    if (of_session > kRepliesKeptMax || (bytes_ + more > bytes_max && session.stored_bytes + more > always))
      return false;
  }
  TakeAnswered(session, lane, std::move(answered));
  return true;
}

void StoredReplies::Acknowledged(Session& session, Lane& lane, uint64_t acked) {
  Lane::Answered& answered = lane.answered;
  const size_t had = answered.but.size();
  answered.but.erase(answered.but.begin(), answered.but.upper_bound(acked));
  answered.to = std::max(answered.to, acked);
  const size_t less = kUnansweredWeight * (had - answered.but.size());
  session.stored_bytes -= less;
  bytes_ -= less;
}

void StoredReplies::Ended(Session& session) {
  for (auto& [n, lane] : session.lanes) TakeAnswered(session, lane, {});
}

void StoredReplies::DropFirst(Session::Replies* of_ended) {
  bytes_ -= of_ended->begin()->second.bytes;
  of_ended->erase(of_ended->begin());
}

Status StoredReplies::Room(const Session& session) const {
  if (bytes_ < bytes_max || session.stored_bytes < always) return {};
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format("the answers that clients of volume {} have not acknowledged take {} bytes: no more "
                  "are kept, but what a session needs that acknowledges",
                  volume_.name(), bytes_));
}

}  // namespace kfs::meta
