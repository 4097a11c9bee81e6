// The answers that are kept: an op that comes again is answered, not executed again (P3). Those of ops that
// are logged are stored; those of others are as old as what the ops did, which is memory, too.
#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"
#include "metaserver/executor/executor.h"
#include "metaserver/store/keys.h"
#include "proto/lanes.h"

namespace kfs::meta {
namespace {

// A note names all that are pending: with more of them, answers are dropped with signs of life only, which
// cost the client as much, and not with each op.
constexpr size_t kNotedOften = 64;

// The last one of a lane stays: versions before take it for how far this database knows what the session has
// done.
bool IsDropped(const Session& session, Session::Replies::const_iterator it, uint64_t acked) {
  if (it == session.replies.end() || it->first > acked) return false;
  const auto next = std::next(it);
  return next != session.replies.end() && LaneOf(next->first) == LaneOf(it->first);
}

void NoteAnswered(const Session& session, uint8_t lane) {
  const Lane::Answered& answered = session.lanes.at(lane).answered;
  rec::Answered record;
  record.set_to(answered.to);
  record.mutable_but()->Assign(answered.but.begin(), answered.but.end());
  session.volume->store.db().PutSoon(ReplyKey(session.id, LaneBase(lane)), record.SerializeAsString());
}

}  // namespace

void Executor::KeepReply(const OpCall& call, bool logged, const std::string& body, Ino opened,
                         uint32_t opened_for, const pb::LockRange* lock) {
  Session& session = *call.session;
  if (!logged) session.remembered.Keep(call.op_id, {call.op(), body}, remembered_bytes_);
  if (!logged && !session.counts_all) return;
  rec::Reply record;
  record.set_op(static_cast<uint32_t>(call.op()));
  record.set_body(body);
  record.set_opened(opened.v);
  record.set_opened_for(opened_for);
  if (lock != nullptr) record.set_lock(lock->SerializeAsString());
  const std::string value = record.SerializeAsString();
  session.volume->store.db().Put(ReplyKey(session.id, call.op_id), value);
  session.volume->stored_replies.Add(session, call.op_id, session.life, value.size());
}

Session::Replies::iterator Executor::DropReply(Session& session, Session::Replies::iterator it) {
  session.volume->store.db().DeleteSoon(ReplyKey(session.id, it->first));
  return session.volume->stored_replies.Drop(session, it);
}

void Executor::TrimReplies(Session& session, uint8_t of_lane, uint64_t acked) {
  Lane& lane = session.lane(of_lane);
  lane.acked = acked;
  session.remembered.Drop(LaneBase(of_lane), acked, {});
  session.volume->stored_replies.Acknowledged(session, lane, acked);
  session.volume->open_files.Heard(session, LaneBase(of_lane), acked);
  if (lane.answered.but.size() > kNotedOften) return;
  bool dropped = false;
  for (auto it = session.replies.lower_bound(LaneBase(of_lane)); IsDropped(session, it, acked);) {
    it = DropReply(session, it);
    dropped = true;
  }
  if (dropped && lane.answered.exact) NoteAnswered(session, of_lane);
}

void Executor::TrimReplies(Session& session, uint8_t of_lane, uint64_t last, std::set<uint64_t> pending) {
  Lane& lane = session.lane(of_lane);
  if (last < lane.answered.to) return;
  pending.erase(pending.upper_bound(last), pending.end());
  // From here on a session of a version before has what it had done without a note, too.
  bool dropped = !lane.answered.exact;
  // Without room it is as if it had not been said: the answers stay, which are bounded, too.
  if (!session.volume->stored_replies.SetAnswered(session, lane,
                                                  {.exact = true, .to = last, .but = std::move(pending)}))
    return;
  const std::set<uint64_t>& but = lane.answered.but;
  session.volume->open_files.Heard(session, LaneBase(of_lane), last, but);
  for (auto it = session.replies.lower_bound(LaneBase(of_lane)); IsDropped(session, it, last);) {
    if (but.contains(it->first)) {
      ++it;
      continue;
    }
    it = DropReply(session, it);
    dropped = true;
  }
  session.remembered.Drop(LaneBase(of_lane), last, but);
  if (dropped) NoteAnswered(session, of_lane);
}

bool Executor::Replay(const CallPtr& call, bool logged) {
  Session& session = *call->session;
  Volume& volume = *session.volume;
  const auto another = [&] {
    Refuse(call, Status(EINVAL, Code::kMalformed, "the op id belongs to another op"));
    return true;
  };
  const auto answer = [&](const std::string& body) {
    ++replays_;
    KFS_LOG(debug, "op.replayed op={} session={} op_id={}", OpName(call->op()), session.id.v, call->op_id);
    Answer(call, body);
    return true;
  };
  if (const Remembered::Reply* kept = session.remembered.Find(call->op_id); kept != nullptr) {
    KFS_REACHED("reply.remembered");
    return kept->op == call->op() ? answer(kept->body) : another();
  }
  std::optional<std::string> stored = volume.store.db().Get(ReplyKey(session.id, call->op_id));
  rec::Reply record;
  if (!stored || !record.ParseFromString(*stored)) {
    (void)volume.store.db().TakeReadError();
    Refuse(call, Status(EIO, "the stored answer cannot be read"));
    return true;
  }
  if (record.op() != static_cast<uint32_t>(call->op())) return another();
  // Stored for a client that counts all, or by a version that stored all: what it did went with the memory.
  if (!logged) return false;
  KFS_REACHED("reply.stored");
  // What a create had opened did, too; the client has not reclaimed what it did not know of.
  const uint32_t given_in = std::exchange(session.replies.at(call->op_id).life, session.life);
  if (given_in != session.life && record.opened() != 0 &&
      volume.store.GetInode(Ino(record.opened())) != nullptr) {
    volume.open_files.Add(session, Ino(record.opened()),
                          record.opened_for() != 0 ? record.opened_for() : kReadChunk | kWriteChunk);
  }
  volume.open_files.Heard(session, call->op_id, call->op_id);
  return answer(record.body());
}

}  // namespace kfs::meta
