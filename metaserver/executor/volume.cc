#include "metaserver/executor/volume.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "metaserver/store/keys.h"
#include "proto/lanes.h"

namespace kfs::meta {

Volume::Volume(const rec::Volume& i, std::unique_ptr<Db> db, size_t cache_bytes, Chunkservers& chunkservers,
               Clock& clock, VolumeEnv& env, uint64_t seed)
    : store_(std::make_unique<VolumeStore>(std::move(db), cache_bytes)),
      info(i),
      store(*store_),
      txn(store),
      random(seed),
      locks(random()),
      servers(chunkservers),
      mutations(VolumeId(i.id()), i.chunk_size(), store, chunkservers, *this),
      garbage(VolumeId(i.id()), store, chunkservers, *this),
      fences(VolumeId(i.id()), chunkservers, clock, *this),
      tickets(VolumeId(i.id()), chunkservers, clock, fences),
      clock_(clock),
      env_(env) {
  // Tokens of an earlier incarnation must not look like ours.
  next_token_ = (random() >> 1) | 1;
  incarnation_ = (random() >> 1) | 1;
  locks.InSteps([this] { Changed(); },
                [this](Ino ino) {
                  auto waiting = unsettled_.extract(ino);
                  if (waiting.empty()) return;
                  for (ParkedPtr& p : waiting.mapped()) Rerun(std::move(p));
                });
}

Result<std::unique_ptr<Volume>> Volume::Open(const rec::Volume& info, std::unique_ptr<Db> db,
                                             size_t cache_bytes, Chunkservers& servers, Clock& clock,
                                             VolumeEnv& env, uint64_t seed) {
  std::unique_ptr<Volume> volume(new Volume(info, std::move(db), cache_bytes, servers, clock, env, seed));
  if (Status s = volume->Load(); !s.ok()) return s;
  return volume;
}

Status Volume::Load() {
  KFS_RETURN_IF_ERROR(store.Init(Now()));
  KFS_RETURN_IF_ERROR(mutations.Load());
  KFS_RETURN_IF_ERROR(garbage.Load());
  store.Scan("S", "", [&](std::string_view, std::string_view value) {
    rec::Session record;
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) return true;
    auto s = std::make_shared<Session>();
    s->id = SessionId(record.id());
    s->key = record.key();
    s->host = record.host();
    s->mountpoint = record.mountpoint();
    s->client_id = record.client_id();
    s->opened = record.opened();
    s->expired = record.expired();
    s->expiries = record.expiries();
    if (record.root() != 0) s->root = Ino(record.root());
    s->path = record.path();
    s->rights = record.rights();
    Confine(*s);
    s->volume = this;
    s->last_heard = clock_.MonoNow();
    if (s->expired != 0) {
      ++expired_;
    } else {
      s->reclaimed = false;
      s->unreclaimed_since = s->last_heard;
      ++unreclaimed_;
    }
    TakeIn(s);
    return true;
  });
  store.Scan("A", "", [&](std::string_view key, std::string_view value) {
    auto it = sessions.find(SessionId(KeyU64(key, 1)));
    if (it == sessions.end()) {
      store.db().Delete(key);
      return true;
    }
    const uint64_t op_id = KeyU64(key, 9);
    Lane& lane = it->second->lanes[static_cast<uint8_t>(LaneOf(op_id))];
    if (NumberInLane(op_id) == 0) {
      rec::Answered answered;
      if (answered.ParseFromArray(value.data(), static_cast<int>(value.size())))
        TakeAnswered(*it->second, lane,
                     {true, answered.to(), {answered.but().begin(), answered.but().end()}});
      return true;
    }
    rec::Reply reply;
    if (reply.ParseFromArray(value.data(), static_cast<int>(value.size())) && reply.opened() != 0)
      opened_before_.insert(Ino(reply.opened()));
    AddStored(*it->second, op_id, 0, value.size());
    return true;
  });
  store.Scan("T", "", [&](std::string_view key, std::string_view value) {
    rec::Trim trim;
    if (trim.ParseFromArray(value.data(), static_cast<int>(value.size())))
      trims_[Ino(KeyU64(key, 1))] = {trim.before_chunk(), 0};
    return true;
  });
  KFS_RETURN_IF_ERROR(store.db().TakeReadError());
  orphans_to_queue_ = !in_grace();
  return {};
}

Status Volume::CheckWritable() const {
  if (!settings.read_only) return {};
  return Status(EROFS, "the volume is read-only (see: kfs volume get " + info.name() + " read-only)");
}

Status Volume::CheckRoom() const {
  if (!disk_full) return {};
  return Status(ENOSPC, "the metaserver's disk is full: make room there, or remove files");
}

int64_t Volume::Now() {
  last_now_ = std::max(last_now_, clock_.WallNow());
  return last_now_;
}

void Volume::AddSession(const SessionPtr& s) {
  s->id = store.NewSession(id());
  s->opened = Now();
  s->volume = this;
  s->last_heard = clock_.MonoNow();
  Confine(*s);
  PutSession(*s);
  BeginLane(*s, 0);
  TakeIn(s);
}

void Volume::BeginLane(Session& session, uint8_t lane) {
  store.db().PutSoon(ReplyKey(session.id, LaneBase(lane)), "");
  session.lanes[lane].answered = {.exact = true, .to = LaneBase(lane), .but = {}};
}

void Volume::TakeIn(const SessionPtr& s) {
  sessions.emplace(s->id, s);
  NoteExpired(*s);
  ++of_key_[s->rights.key()];
}

void Volume::NoteExpired(const Session& session) {
  if (session.expired != 0) expired_of_[session.rights.key()].emplace(session.expired, session.id);
}

void Volume::ForgetExpired(const Session& session) {
  const auto of = expired_of_.find(session.rights.key());
  if (session.expired == 0 || of == expired_of_.end()) return;
  of->second.erase({session.expired, session.id});
  if (of->second.empty()) expired_of_.erase(of);
}

SessionPtr Volume::OldestExpired(const std::string* key_id) const {
  const std::pair<int64_t, SessionId>* oldest = nullptr;
  if (key_id != nullptr) {
    const auto of = expired_of_.find(*key_id);
    if (of != expired_of_.end()) oldest = &*of->second.begin();
  } else {
    for (const auto& [key, expired] : expired_of_) {
      if (oldest == nullptr || *expired.begin() < *oldest) oldest = &*expired.begin();
    }
  }
  return oldest == nullptr ? nullptr : sessions.at(oldest->second);
}

void Volume::UncountKey(const std::string& key_id) {
  if (auto of = of_key_.find(key_id); --of->second == 0) of_key_.erase(of);
}

void Volume::ChangeKey(Session& session, const std::string& key_id) {
  UncountKey(session.rights.key());
  ForgetExpired(session);
  session.rights.set_key(key_id);
  NoteExpired(session);
  ++of_key_[key_id];
  PutSession(session);
}

void Volume::Confine(Session& session) {
  if (session.rights.confined() != 0) session.reach = std::make_unique<Reach>(session.root, reached_);
}

void Volume::PutSession(const Session& session) {
  rec::Session record;
  record.set_id(session.id.v);
  record.set_key(session.key);
  record.set_host(session.host);
  record.set_mountpoint(session.mountpoint);
  record.set_opened(session.opened);
  record.set_client_id(session.client_id);
  record.set_expired(session.expired);
  record.set_expiries(session.expiries);
  if (session.root != kRootIno) record.set_root(session.root.v);
  record.set_path(session.path);
  *record.mutable_rights() = session.rights;
  store.db().Put(SessionKey(session.id), record.SerializeAsString());
  Changed();
}

// Of what it has nothing comes to anybody else at once, however much it is: locks, append tokens and waiting
// calls are let go of by the caller.
// After the record that says so: chunkservers are told once that is in the log.
void Volume::Leave(Session& session) {
  tickets.End(session);  // an expired one's have run out, and one that is closed has settled its writes
  locks.EndSession(session.id);
  DropOpens(session);
  if (!session.reclaimed) Reclaimed(session);
}

void Volume::Expire(const SessionPtr& session) {
  KFS_LOG(warn,
          "session.expired volume={} session={} host={} mountpoint={} effect=\"its locks and open files are "
          "released\"",
          info.name(), session->id.v, session->host, session->mountpoint);
  // What a replayed reply had opened or locked is gone with the rest, and taken anew when it is replayed.
  ++session->life;
  session->expired = Now();
  NoteExpired(*session);
  ++session->expiries;
  ++expired_;
  PutSession(*session);
  Leave(*session);
}

void Volume::Revive(Session& session) {
  session.revived = true;
  ForgetExpired(session);
  session.expired = 0;
  --expired_;
  PutSession(session);
}

void Volume::EndSession(const SessionPtr& session, const std::string& why) {
  KFS_LOG(info, "session.ended volume={} session={} host={} mountpoint={} reason=\"{}\"", info.name(),
          session->id.v, session->host, session->mountpoint, why);
  store.db().Delete(SessionKey(session->id));
  Leave(*session);
  for (auto& [n, lane] : session->lanes) TakeAnswered(*session, lane, {});
  if (session->expired != 0) --expired_;
  ForgetExpired(*session);
  sessions.erase(session->id);
  UncountKey(session->rights.key());
  session->volume = nullptr;
  Changed();
}

void Volume::BeginReclaim(Session& session) {
  if (session.reclaimed) {
    session.reclaimed = false;
    session.unreclaimed_since = clock_.MonoNow();
    ++unreclaimed_;
  }
  DropOpens(session);
}

void Volume::Reclaimed(Session& session) {
  if (session.reclaimed) return;
  session.reclaimed = true;
  // Only now is it known which nameless inodes nobody holds.
  if (--unreclaimed_ == 0) {
    KFS_LOG(info, "volume.grace_ended volume={}", info.name());
    QueueAllOrphans();
  }
}

void Volume::AddOpen(Session& session, Ino ino, uint32_t rights, uint32_t count) {
  const auto [it, fresh] = session.opens.try_emplace(ino);
  if (fresh) ++opens_held_;
  Opens& opens = it->second;
  count = std::min(count, UINT32_MAX - opens.count);  // whoever says that it has more has lost count
  opens.count += count;
  opens.rights |= rights;
  open_counts_[ino] += count;
}

bool Volume::DropOpen(Session& session, Ino ino, uint32_t count) {
  auto it = session.opens.find(ino);
  if (it == session.opens.end()) return false;
  count = std::min(count, it->second.count);
  if ((it->second.count -= count) == 0) {
    session.opens.erase(it);
    --opens_held_;
  }
  DropOpen(ino, count);
  return true;
}

Status Volume::RoomForOpen(const Session& session, Ino ino) const {
  if (open_bytes() < limits.opens || session.opens.contains(ino) ||
      session.opens.size() * kOpenWeight < limits.always)
    return {};
  return Status(ENFILE,
                fmt::format("{} files are open on volume {}: no more can be", opens_held_, info.name()));
}

void Volume::DropOpen(Ino ino, uint64_t count) {
  auto total = open_counts_.find(ino);
  if ((total->second -= count) != 0) return;
  open_counts_.erase(total);
  MaybeReap(ino);
}

void Volume::DropOpens(Session& session) {
  if (session.opens.empty()) return;
  dropped_.emplace_back().swap(session.opens);
  Changed();
}

bool Volume::MayRepair(ChunkId chunk) const {
  const auto it = repaired_.find(chunk);
  return it == repaired_.end() || clock_.MonoNow() - it->second >= kRepairedFor;
}

void Volume::Repaired(ChunkId chunk) {
  if (repaired_.size() >= kRepairedMax) repaired_.clear();
  repaired_[chunk] = clock_.MonoNow();
}

Volume::Appender* Volume::FindAppender(Ino ino) {
  auto it = appenders_.find(ino);
  return it == appenders_.end() ? nullptr : &it->second;
}

void Volume::GrantAppend(Ino ino, Session& session, uint8_t lane) {
  Appender& a = appenders_[ino];
  a.token = next_token_++;
  a.session = session.id;
  a.lane = lane;
  a.granted = clock_.MonoNow();
  session.append_tokens.insert(ino);
}

void Volume::EndAppend(Ino ino, Session* session, bool clean) {
  auto it = appenders_.find(ino);
  if (it == appenders_.end()) return;
  if (session != nullptr) session->append_tokens.erase(ino);
  if (!clean) append_safe_.erase(ino);
  std::deque<ParkedPtr> waiters = std::move(it->second.waiters);
  appenders_.erase(it);
  // All run again, in order: the first takes the token, the others queue behind it as they stood.
  for (ParkedPtr& p : waiters) Rerun(std::move(p));
}

void Volume::EndLongAppends() {
  const MonoTime since = clock_.MonoNow() - kAppendTurn;
  std::vector<std::pair<Ino, SessionId>> over;
  for (const auto& [ino, a] : appenders_) {
    const bool awaited = std::any_of(a.waiters.begin(), a.waiters.end(),
                                     [](const ParkedPtr& p) { return p->call != nullptr; });
    if (awaited && a.granted < since) over.emplace_back(ino, a.session);
  }
  for (const auto& [ino, holder] : over) {
    KFS_LOG(warn,
            "append.turn_over volume={} ino={} session={} reason=\"others have waited for it for {} s\"",
            info.name(), ino.v, holder.v, kAppendTurn / std::chrono::seconds(1));
    auto it = sessions.find(holder);
    EndAppend(ino, it == sessions.end() ? nullptr : it->second.get(), /*clean=*/false);
  }
}

void Volume::SetAppendSafe(Ino ino) {
  // Forgetting costs an empty mutation, nothing else.
  if (append_safe_.size() >= kAppendSafeMax) append_safe_.clear();
  append_safe_.insert(ino);
}

}  // namespace kfs::meta
