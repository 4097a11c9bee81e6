#include "metaserver/executor/reclaim.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "common/chunk_token.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"
#include "metaserver/executor/executor.h"
#include "proto/lanes.h"
#include "rpc/stall.h"

namespace kfs::meta {
namespace {

constexpr uint32_t kOpensMax = 1u << 20;  // handles of one mount on one inode
constexpr int kReclaimStep = 64;          // opens or locks in one turn

// Whether what its callers could open is more than what the session may have open, whoever they are.
bool NeedsProof(const Session& session) {
  const rec::Rights& r = session.rights;
  return r.read_only() || r.squash() != pb::KeyConf::NONE || session.reach != nullptr;
}

// Which ops of the session are stored: of the others, those that had been answered were lost with the power.
template <typename Reply>
void TellKnownOf(const Session& session, uint8_t n, Reply* reply) {
  const auto& [exact, to, but] = session.lanes.at(n).answered;
  if (!exact) return;
  reply->set_known_to(to);
  for (const uint64_t id : but) {
    if (!session.replies.contains(id)) reply->add_not_known(id);
  }
  for (auto it = session.replies.upper_bound(to); it != session.replies.end() && LaneOf(it->first) == n; ++it)
    reply->add_known_later(it->first);
}

void TellKnown(const Session& session, pb::ReclaimReply* reply) {
  const auto end = session.replies.lower_bound(LaneBase(1));
  reply->set_known(end == session.replies.begin() ? 0 : std::prev(end)->first);
  for (const auto& [n, lane] : session.lanes) {
    if (n == 0) {
      TellKnownOf(session, n, reply);
    } else {
      pb::ReclaimReply::Lane* known = reply->add_lane();
      known->set_lane(n);
      TellKnownOf(session, n, known);
    }
  }
}

// The last op ids that the client had handed out when it told what it holds, by lane.
std::vector<uint64_t> HandedOut(const pb::ReclaimRequest& request) {
  std::vector<uint64_t> ids{request.lane_op_ids().begin(), request.lane_op_ids().end()};
  ids.push_back(request.op_ids());
  return ids;
}

}  // namespace

std::optional<pb::OpenProof> Executor::ProofOf(const Session& session, Ino ino, uint32_t rights) const {
  if (!NeedsProof(session)) return {};
  const auto open = session.opens.find(ino);
  if (open != session.opens.end()) rights |= open->second.rights;
  return options_.proofs.Sign(session.volume->id(), session.id, ino, rights);
}

void Executor::Reclaim(const CallPtr& call, const pb::ReclaimRequest& request) {
  if (!Alive(call)) return;
  const SessionPtr& session = call->session;
  session->last_heard = clock_.MonoNow();
  if (static_cast<size_t>(request.open_size() + request.lock_size()) > kInventoryBatch) {
    return Refuse(call, Status(EINVAL, Code::kMalformed, "too many opens and locks in one message"));
  }
  for (const uint64_t id : HandedOut(request)) {
    if (LaneOf(id) >= kLanesMax)
      return Refuse(call, Status(EINVAL, Code::kMalformed, "a session has no such lane"));
  }
  call->connection = session->lane(call->lane).connection_number;
  if (!session->reclaimed && session->reclaim_connection != 0 && session->reclaim_lane != call->lane &&
      session->lane(session->reclaim_lane).attached()) {
    return Refuse(call, Status(EAGAIN, Code::kTryAgain, "another lane is telling what the session holds"));
  }
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
  const bool left = r->call->connection != session.lane(r->call->lane).connection_number;
  if (left || !Alive(r->call)) return session.reclaims.clear();
  Volume& volume = *session.volume;
  if (!r->begun) {
    r->begun = true;
    // A client whose connection broke in the middle begins again. Who has said all has nothing to add: it may
    // not have got the answer, and is told what it has.
    r->settled = session.reclaimed;
    if (r->settled) KFS_REACHED("session.reclaimed_again");
    if (!r->settled && session.reclaim_connection != r->call->connection) {
      session.reclaim_lane = r->call->lane;
      session.reclaim_connection = r->call->connection;
      volume.BeginReclaim(session);
    }
    for (const uint64_t id : HandedOut(r->request)) {
      const auto n = static_cast<uint8_t>(LaneOf(id));
      if (!session.lanes.contains(n)) volume.BeginLane(session, n);
      Lane& lane = session.lane(n);
      // Told once more, because the answer was lost, it stands as it was told first: a release that was
      // handed out since is of it.
      if (!r->settled || session.revived) lane.reclaimed_up_to = std::max(lane.reclaimed_up_to, id);
      // Begun again, it has locks that were told first, and perhaps given back since.
      if ((!r->settled && lane.unlocked_up_to == 0) || session.revived)
        lane.unlocked_up_to = std::max(lane.unlocked_up_to, id);
    }
    if (r->request.last()) TellKnown(session, &r->reply);
  }
  if (r->open < r->request.open_size()) {
    if (!ReclaimOpens(s, *r)) return;
  } else {
    ReclaimLocks(session, *r);
  }
  if (r->open < r->request.open_size() || r->lock < r->request.lock_size()) return ReclaimLater(s);
  if (r->request.last() && !r->settled) {
    volume.Reclaimed(session);
    KFS_REACHED("session.reclaimed");
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
  std::vector<uint32_t> rights;  // 0: it is lost
  db.FromMemoryOnly(env_.CanFetch());
  for (int i = r.open; i < end; ++i) {
    const Ino ino = FromSession(session, r.request.open(i).ino());
    const pb::ReclaimRequest::Open& open = r.request.open(i);
    if (volume.store.GetInode(ino) == nullptr) {
      rights.push_back(0);
    } else if (r.settled) {
      rights.push_back(session.opens.contains(ino) ? kReadChunk : 0);
    } else if (NeedsProof(session)) {
      // Also of what has lost the name by which the session reached it.
      rights.push_back(options_.proofs.Check(volume.id(), session.id, ino, open.proof()).value_or(0));
    } else {
      rights.push_back(open.rights() != 0 ? open.rights() : kReadChunk | kWriteChunk);
    }
  }
  db.FromMemoryOnly(false);
  if (std::vector<std::string> cold = db.TakeCold(); !cold.empty()) {
    ++cold_runs_;
    if (const Status more = Want(db, cold, &r.wanted, &r.cold_again); !more.ok()) {
      Refuse(r.call, more);
      session.reclaims.clear();
      return false;
    }
    env_.Fetch(db, std::move(cold),
               lifetime_.While([this, s, r = std::weak_ptr<Reclaiming>(session.reclaims.front())] {
                 if (!s->reclaims.empty() && s->reclaims.front() == r.lock()) ReclaimLater(s);
               }));
    return false;
  }
  if (const Status read = db.TakeReadError(); !read.ok()) {
    Refuse(r.call, read);
    session.reclaims.clear();
    return false;
  }
  for (size_t i = 0; i < rights.size(); ++i) {
    const pb::ReclaimRequest::Open& open = r.request.open(r.open + static_cast<int>(i));
    if (rights[i] == 0) {
      r.reply.add_lost(open.ino());
    } else if (open.count() > 0 && !r.settled) {
      volume.open_files.Add(session, FromSession(session, open.ino()), rights[i],
                            std::min(open.count(), kOpensMax));
    }
  }
  r.open = end;
  r.wanted.reset();
  r.cold_again = 0;
  return true;
}

void Executor::ReclaimLocks(Session& session, Reclaiming& r) {
  Volume& volume = *session.volume;
  if (r.settled) {
    r.lock = r.request.lock_size();
    return;
  }
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
    const InodePtr inode = volume.store.GetInode(ino);
    const bool held = session.opens.contains(ino) || (inode != nullptr && S_ISDIR(inode->mode()));
    KFS_REACHED("lock.reclaimed");
    if (!held || !InReach(volume, session, ino) ||
        volume.locks.Set(ino, {session.id, lock.owner()}, request) != LockTable::Outcome::kGranted) {
      KFS_LOG(error, "session.lock_lost session={} ino={} start={} end={}", session.id.v, lock.ino(),
              lock.start(), lock.end());
      r.reply.add_lost(lock.ino());
    }
  }
}

}  // namespace kfs::meta
