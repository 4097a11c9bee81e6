// The stored answers: an op that comes again is answered, not executed again (P3).
#include "common/limits.h"
#include "common/log.h"
#include "metaserver/executor/executor.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

void Executor::StoreReply(Volume& volume, Session& session, uint64_t op_id, Op op, const std::string& body,
                          Ino opened, uint32_t opened_for, const pb::LockRange* lock) {
  rec::Reply record;
  record.set_op(static_cast<uint32_t>(op));
  record.set_body(body);
  record.set_opened(opened.v);
  record.set_opened_for(opened_for);
  if (lock != nullptr) record.set_lock(lock->SerializeAsString());
  volume.store.db().PutBlind(ReplyKey(session.id, op_id), record.SerializeAsString());
  session.replies.insert(session.replies.end(), op_id);
}

// The last one stays: it tells how far this database knows what the session has done (ReclaimReply.known).
void Executor::TrimReplies(Session& session, uint64_t acked) {
  session.acked = acked;
  while (session.replies.size() > 1 && *session.replies.begin() <= acked) {
    uint64_t op_id = *session.replies.begin();
    session.volume->store.db().DeleteBlind(ReplyKey(session.id, op_id));
    if (!session.old_replies.empty()) session.old_replies.erase(op_id);
    session.replies.erase(session.replies.begin());
  }
  Schedule();
}

bool Executor::Replay(const CallPtr& call) {
  ++replays_;
  Session& session = *call->session;
  Volume& volume = *session.volume;
  volume.store.Commit();  // stored replies of this tick are not indexed
  std::optional<std::string> stored = volume.store.db().Get(ReplyKey(session.id, call->op_id));
  rec::Reply record;
  if (!stored || !record.ParseFromString(*stored)) {
    (void)volume.store.db().TakeReadError();
    Refuse(call, Status(EIO, "the stored answer cannot be read"));
    return true;
  }
  if (record.op() != static_cast<uint32_t>(call->op())) {
    Refuse(call, Status(EINVAL, Code::kMalformed, "the op id belongs to another op"));
    return true;
  }
  if (session.old_replies.erase(call->op_id) > 0) {
    // Its memory effects died with the last incarnation; the client has not reclaimed what it did not know
    // of.
    if (record.opened() != 0 && volume.store.GetInode(Ino(record.opened())) != nullptr) {
      volume.AddOpen(session, Ino(record.opened()),
                     record.opened_for() != 0 ? record.opened_for() : kReadChunk | kWriteChunk);
    }
    pb::LockRange lock;
    if (!record.lock().empty() && lock.ParseFromString(record.lock()) &&
        volume.locks.Set(Ino(lock.ino()), {session.id, lock.owner()},
                         {.type = static_cast<LockType>(lock.type()),
                          .flock = lock.flock(),
                          .start = lock.start(),
                          .end = lock.end(),
                          .pid = lock.pid()}) != LockTable::Outcome::kGranted) {
      // Nobody was told of that grant, and another holds the lock by now: the op is run anew.
      session.replies.erase(call->op_id);
      volume.store.db().DeleteBlind(ReplyKey(session.id, call->op_id));
      return false;
    }
  }
  KFS_LOG(debug, "op.replayed op={} session={} op_id={}", OpName(call->op()), session.id.v, call->op_id);
  Answer(call, record.body());
  return true;
}

}  // namespace kfs::meta
