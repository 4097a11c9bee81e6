#include "metaserver/executor/reclaim.h"

#include <algorithm>

#include "common/limits.h"
#include "common/log.h"
#include "metaserver/executor/executor.h"
#include "rpc/stall.h"

namespace kfs::meta {
namespace {

constexpr uint32_t kOpensMax = 1u << 20;  // handles of one mount on one inode
constexpr int kReclaimStep = 64;          // opens or locks in one turn

}  // namespace

void Executor::Reclaim(const CallPtr& call, const pb::ReclaimRequest& request) {
  if (!Alive(call)) return;
  const SessionPtr& session = call->session;
  session->last_heard = clock_.MonoNow();
  if (static_cast<size_t>(request.open_size() + request.lock_size()) > kInventoryBatch) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "too many opens and locks in one message"));
  }
  call->connection = session->connection_number;
  auto r = std::make_shared<Reclaiming>();
  r->call = call;
  r->request = request;
  // The last of several messages ends it: they keep their order, whatever is on disk.
  session->reclaims.push_back(std::move(r));
  if (session->reclaims.size() == 1) ContinueReclaim(session);
}

void Executor::ReclaimLater(const SessionPtr& session) {
  turns_.Add(VolumeOf(*session), session->id, Turns::Lane::kFirst,
             [this, session, r = std::weak_ptr<Reclaiming>(session->reclaims.front())] {
               const bool waits = !session->reclaims.empty() && session->reclaims.front() == r.lock();
               if (waits) ContinueReclaim(session);
             });
  Schedule();
}

void Executor::ContinueReclaim(const SessionPtr& s) {
  const RanPart part("Reclaim");
  Session& session = *s;
  const std::shared_ptr<Reclaiming> r = session.reclaims.front();
  // Who has another connection begins again.
  const bool left = r->call->connection != session.connection_number;
  if (left || !Alive(r->call)) return session.reclaims.clear();
  Volume& volume = *session.volume;
  if (!r->begun) {
    r->begun = true;
    // A client whose connection broke in the middle begins again.
    if (session.reclaim_connection != session.connection_number || session.reclaimed) {
      session.reclaim_connection = session.connection_number;
      volume.BeginReclaim(session);
    }
    session.reclaimed_up_to = std::max(session.reclaimed_up_to, r->request.op_ids());
    r->reply.set_known(session.replies.empty() ? 0 : *session.replies.rbegin());
  }
  if (r->open < r->request.open_size()) {
    if (!ReclaimOpens(s, *r)) return;
  } else {
    ReclaimLocks(session, *r);
  }
  if (r->open < r->request.open_size() || r->lock < r->request.lock_size()) return ReclaimLater(s);
  if (r->request.last()) {
    volume.Reclaimed(session);
    KFS_LOG(info, "session.reclaimed volume={} session={} opens={} locks={} waiting_for={}",
            volume.info.name(), session.id.v, session.opens.size(), volume.locks.CountOf(session.id),
            volume.unreclaimed());
  }
  Answer(r->call, r->reply.SerializeAsString());
  session.reclaims.pop_front();
  if (!session.reclaims.empty()) ReclaimLater(s);
}

bool Executor::ReclaimOpens(const SessionPtr& s, Reclaiming& r) {
  Session& session = *s;
  Volume& volume = *session.volume;
  Db& db = volume.store.db();
  const int end = std::min(r.open + kReclaimStep, r.request.open_size());
  std::vector<bool> there;
  db.FromMemoryOnly(hooks_.fetch && r.cold_runs < kColdRunsMax);
  for (int i = r.open; i < end; ++i) {
    const Ino ino = FromSession(session, r.request.open(i).ino());
    there.push_back(volume.store.GetInode(ino) != nullptr && InReach(volume, session, ino));
  }
  db.FromMemoryOnly(false);
  if (std::vector<std::string> cold = db.TakeCold(); !cold.empty()) {
    ++cold_runs_;
    ++r.cold_runs;
    hooks_.fetch(db, std::move(cold),
                 [this, alive = alive_, s, r = std::weak_ptr<Reclaiming>(session.reclaims.front())] {
                   if (!*alive || s->reclaims.empty() || s->reclaims.front() != r.lock()) return;
                   ReclaimLater(s);
                 });
    return false;
  }
  if (const Status read = db.TakeReadError(); !read.ok()) {
    Refuse(r.call, read);
    session.reclaims.clear();
    return false;
  }
  for (size_t i = 0; i < there.size(); ++i) {
    const pb::ReclaimRequest::Open& open = r.request.open(r.open + static_cast<int>(i));
    if (!there[i]) {
      r.reply.add_lost(open.ino());
    } else if (open.count() > 0) {
      volume.AddOpen(session, FromSession(session, open.ino()),
                     open.rights() != 0 ? open.rights() : kReadChunk | kWriteChunk,
                     std::min(open.count(), kOpensMax));
    }
  }
  r.open = end;
  r.cold_runs = 0;
  return true;
}

void Executor::ReclaimLocks(Session& session, Reclaiming& r) {
  Volume& volume = *session.volume;
  const int end = std::min(r.lock + kReclaimStep, r.request.lock_size());
  for (; r.lock < end; ++r.lock) {
    const pb::LockRange& lock = r.request.lock(r.lock);
    if (lock.type() != pb::LockRange::READ && lock.type() != pb::LockRange::WRITE) continue;
    if (!lock.flock() && lock.start() > lock.end()) continue;
    const LockRequest request{.type = static_cast<LockType>(lock.type()),
                              .flock = lock.flock(),
                              .start = lock.start(),
                              .end = lock.end(),
                              .pid = lock.pid()};
    const Ino ino = FromSession(session, lock.ino());
    if (!InReach(volume, session, ino) ||
        volume.locks.Set(ino, {session.id, lock.owner()}, request) != LockTable::Outcome::kGranted) {
      KFS_LOG(error, "session.lock_lost session={} ino={} start={} end={}", session.id.v, lock.ino(),
              lock.start(), lock.end());
      r.reply.add_lost(lock.ino());
    }
  }
}

}  // namespace kfs::meta
