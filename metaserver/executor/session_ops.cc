// The executor's ops on sessions: open, attach, reclaim, keep alive, close, cancel, expiry.
#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"
#include "common/secret.h"
#include "common/utf8.h"
#include "metaserver/executor/executor.h"
#include "metaserver/store/keys.h"
#include "proto/lanes.h"

namespace kfs::meta {
namespace {

// Of one volume; and of them with one key, so that nobody's are forgotten before their day is over because
// somebody else's program mounts in a loop.
constexpr size_t kSessionsMax = 65536, kSessionsOfKeyMax = 8192;
constexpr size_t kTextMax = 1024;
// In one call of the timer: of each a line is logged and a record written. The others come with the next.
constexpr size_t kExpiredAtOnce = 256;

}  // namespace

SessionPtr Executor::OpenSession(const CallPtr& call, const pb::OpenSessionRequest& request,
                                 const std::string& host, const std::string& client_id,
                                 const MountRights& rights) {
  Volume* volume = FindVolume(request.volume());
  SessionPtr session;
  if (volume == nullptr) {
    const std::string name = Printable(request.volume(), kTextMax);
    Refuse(call, env_.WhyNotHere(name));
    return nullptr;
  }
  if (request.lane() >= (request.session() != 0 ? kLanesMax : 1)) {
    Refuse(call, Status(EINVAL, Code::kMalformed, "a session has no such lane"));
    return nullptr;
  }
  const auto n = static_cast<uint8_t>(request.lane());
  if (request.session() != 0) {
    auto it = volume->sessions.find(SessionId(request.session()));
    // With another key it would have other rights.
    if (it == volume->sessions.end() || !EqualConstantTime(it->second->key, request.key()) ||
        !TakesRights(it->second.get(), rights)) {
      KFS_REACHED("session.unknown");
      Refuse(call, Status(EACCES, Code::kUnknownSession, "the session is not known (any more)"), 0,
             volume->id());
      return nullptr;
    }
    session = it->second;
    KFS_REACHED("session.attached_again");
    if (session->endings != 0) {
      Refuse(call,
             Status(EAGAIN, Code::kTryAgain, "the session has expired, and what it held is being let go"), 0,
             volume->id());
      return nullptr;
    }
    session->closing = false;
    // What is still on the way over the old connection must not be executed after what comes over this one.
    if (!session->lanes.contains(n)) volume->BeginLane(*session, n);
    LeaveLane(*session, n, "the session has attached another connection");
    if (session->expired != 0) {
      // Their ends may still be on the way, too, and what came on them is of before.
      for (const auto& [other, lane] : session->lanes) LeaveLane(*session, other, "the session has expired");
      volume->Revive(*session);
      KFS_REACHED("session.revived");
      volume->tickets.EndEarlier(*session, /*may_write=*/false);
    }
    KFS_LOG(info, "session.attached volume={} session={} lane={} host={} expiries={}", volume->info.name(),
            session->id.v, n, session->host, session->expiries);
  } else {
    if (const Status room = RoomForSession(*volume, rights.key); !room.ok()) {
      Refuse(call, room, 0, volume->id());
      return nullptr;
    }
    session = std::make_shared<Session>();
    if (const Status s = PlaceSession(*volume, request, rights, session.get()); !s.ok()) {
      Refuse(call, s, 0, volume->id());
      return nullptr;
    }
    session->key = options_.entropy->Bytes(16);
    session->host = Printable(host, kTextMax);
    session->mountpoint = Printable(request.mountpoint(), kTextMax);
    session->client_id = Printable(client_id, kTextMax);
    volume->AddSession(session);
    KFS_LOG(info, "session.opened volume={} session={} host={} mountpoint=\"{}\" path=\"/{}\" key={}",
            volume->info.name(), session->id.v, session->host, session->mountpoint, session->path,
            rights.key.empty() ? "-" : rights.key);
  }
  volume->attached = true;
  if (n == 0) session->counts_all = !request.counts_logged();  // who has others is of no version before
  session->lane(n).connection_number = ++session->attachments;
  session->last_heard = clock_.MonoNow();
  pb::OpenSessionReply reply;
  reply.set_session(session->id.v);
  reply.set_key(session->key);
  reply.set_volume(volume->id().v);
  reply.set_chunk_size(volume->chunk_size());
  reply.set_ttl_ms(static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.session_ttl).count()));
  reply.set_incarnation(volume->incarnation());
  reply.set_generation(generation_);
  reply.set_expiries(session->expiries);
  reply.set_root(session->root.v);
  reply.set_read_only(session->rights.read_only());
  if (pb::SyncPoint point; env_.SyncedTo(*volume, &point)) *reply.mutable_synced() = point;
  Answer(call, reply.SerializeAsString(), volume->id());
  return session;
}

bool Executor::Alive(const CallPtr& call) {
  const Session& session = *call->session;
  if (session.volume == nullptr) {
    Refuse(call, session.elsewhere.ok() ? Status(EACCES, Code::kUnknownSession, "the session has ended")
                                        : session.elsewhere);
    return false;
  }
  if (session.expired != 0) {  // what was under way when the connection was closed
    Refuse(call, Status(EAGAIN, Code::kTryAgain, "the session has expired: attach again"));
    return false;
  }
  return true;
}

void Executor::KeepAlive(const CallPtr& call, const pb::KeepAliveRequest& request) {
  Session& session = *call->session;
  if (!Alive(call)) return;
  session.last_heard = clock_.MonoNow();
  session.NoteCalls({.count = request.calls(),
                     .micros = request.calls_micros(),
                     .slowest_micros = request.slowest_micros()},
                    session.last_heard);
  const auto of_lane = [lane = call->lane](uint64_t id) { return IsOfLane(id, lane); };
  if (!of_lane(request.acked()) || !of_lane(request.last()) ||
      !std::ranges::all_of(request.pending(), of_lane))
    return Refuse(call, Status(EINVAL, Code::kMalformed, "an op id of another lane than the connection's"));
  if (request.acked() > session.lane(call->lane).acked) TrimReplies(session, call->lane, request.acked());
  if (request.last() != 0 && static_cast<size_t>(request.pending_size()) <= kRepliesKeptMax)
    TrimReplies(session, call->lane, request.last(), {request.pending().begin(), request.pending().end()});
  pb::KeepAliveReply reply;
  reply.set_generation(generation_);
  if (pb::SyncPoint point; env_.SyncedTo(*session.volume, &point)) *reply.mutable_synced() = point;
  if (session.reclaimed) session.volume->tickets.Renew(session, &reply);
  Answer(call, reply.SerializeAsString());
}

void Executor::CloseSession(const CallPtr& call) {
  // The connection stays: the answer leaves on it, and the client closes it.
  const std::shared_ptr<Connection> connection =
      std::exchange(call->session->lane(call->lane).connection, nullptr);
  // Whoever hears of the end may ask for what the session held.
  const auto ended = [this, call] { Answer(call, ""); };
  if (call->session->volume == nullptr) return ended();
  EndSession(call->session, "closed by the client", ended);
}

void Executor::CancelOp(const CallPtr& call, const pb::CancelOpRequest& request) {
  Session& session = *call->session;
  if (!Alive(call)) return;
  auto it = session.waiting.find(request.op_id());
  if (it != session.waiting.end() && !it->second->decided &&
      !session.volume->locks.CancelWaiter(session.id, request.op_id())) {
    Finish(ParkedPtr(it->second), Status(EINTR, "cancelled"));
  }
  Answer(call, "");
}

void Executor::LeaveLane(Session& session, uint8_t lane, const char* why) {
  Disconnected(session, lane, session.lane(lane).connection_number);
  env_.CloseConnection(session, lane, Status(EPIPE, Code::kConnectionLost, why));
}

void Executor::Disconnected(Session& session, uint8_t lane, uint64_t connection_number) {
  Lane& left = session.lane(lane);
  if (left.connection_number != connection_number || session.volume == nullptr) return;
  left.left_connection = connection_number;
  std::erase_if(session.reclaims, [lane](const auto& r) { return r->call->lane == lane; });
  if (session.closing) {
    const auto held = session.volume->sessions.find(session.id);
    if (held != session.volume->sessions.end())
      return EndSession(SessionPtr(held->second), "closed by the client");
  }
  // It may have ended, and its last writes be on their way; one that comes back gets new tickets.
  if (!session.attached()) session.volume->tickets.End(session);
  // The client sends again what it has no answer to; what changes something keeps its place meanwhile.
  for (auto it = session.parked.begin(); it != session.parked.end();) {
    if ((*it)->call->op_id == 0 && (*it)->call->lane == lane) {
      (*it)->call = nullptr;
      KFS_REACHED("call.dropped_with_its_connection");
      it = session.parked.erase(it);
    } else {
      ++it;
    }
  }
  // A token whose grant may have been lost on the way would keep other appenders waiting for good.
  std::set<Ino> tokens = session.append_tokens;
  for (Ino ino : tokens) {
    const Appender* appender = session.volume->appenders.Find(ino);
    if (appender == nullptr || appender->lane != lane) continue;
    KFS_REACHED("append.holder_left");
    session.volume->appenders.End(ino, &session, /*clean=*/false);
  }
}

void Executor::ExpireSessions(Volume& volume) {
  const MonoTime now = clock_.MonoNow();
  const int64_t forget =
      clock_.WallNow() -
      std::chrono::duration_cast<std::chrono::nanoseconds>(volume.settings.session_keep).count();
  std::vector<SessionPtr> expired, forgotten;
  for (auto& [sid, s] : volume.sessions) {
    if (expired.size() + forgotten.size() >= kExpiredAtOnce) break;
    if (s->expired != 0) {
      if (s->expired <= forget) forgotten.push_back(s);
      continue;
    }
    const bool silent = now - s->last_heard > options_.session_ttl;
    // It may be there, but not say what it holds: others have waited long enough.
    const bool unclear = !s->reclaimed && now - s->unreclaimed_since > 2 * options_.session_ttl;
    if (silent || unclear) expired.push_back(s);
  }
  for (const SessionPtr& s : expired) {
    volume.Expire(s);
    KFS_REACHED("session.expired");
    gate_.Ended(s->id);
    Ending ending(s, &volume);
    ending.keeps_locks = true;
    endings_.Add(std::move(ending));
    ++s->endings;
    AfterSync(volume.id(), [this, locks = std::make_shared<Ending>(s, &volume)](const Status&) {
      --locks->session->endings;
      endings_.Add(std::move(*locks));
    });
    CloseConnections(s, Status(EPIPE, Code::kConnectionLost, "the session has expired"));
  }
  for (const SessionPtr& s : forgotten) EndSession(s, "expired long ago");
}

// By the oldest that has expired, where there are too many. Who has the root secret is every key.
Status Executor::RoomForSession(Volume& volume, const std::string& key_id) {
  const auto of_key = [&] { return !IsRootKey(key_id) && volume.SessionsOf(key_id) >= kSessionsOfKeyMax; };
  const auto full = [&] { return volume.sessions.size() >= kSessionsMax; };
  if (!full() && !of_key()) return {};
  const SessionPtr oldest = volume.OldestExpired(of_key() ? &key_id : nullptr);
  if (oldest != nullptr) EndSession(oldest, "room for another");
  if (of_key()) return Status(EAGAIN, Code::kTryAgain, "too many sessions of this key on the volume");
  if (full()) return Status(EAGAIN, Code::kTryAgain, "too many sessions on this volume");
  return {};
}

void Executor::EndSession(const SessionPtr& session, const std::string& why, std::function<void()> done) {
  Volume* volume = session->volume;
  if (volume == nullptr) return;
  volume->EndSession(session, why);
  gate_.Ended(session->id);
  Ending ending(session, volume);
  ending.why = Status(EACCES, Code::kUnknownSession, "the session has ended: " + why);
  ending.keeps_locks = session->expired != 0;
  ending.replies.swap(session->replies);
  for (const auto& [n, lane] : session->lanes)  // rec::Answered, which may yet be to be written
    volume->store.db().DeleteSoon(ReplyKey(session->id, LaneBase(n)));
  ending.done = [this, session, why, done = std::move(done)] {
    if (done) done();
    CloseConnections(session, Status(EPIPE, "the session has ended: " + why));
  };
  endings_.Add(std::move(ending));
}

}  // namespace kfs::meta
