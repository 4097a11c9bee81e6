#include "metaserver/executor/volume.h"

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
      appenders(clock, env, (random() >> 1) | 1),
      open_files(info, env, freeing),
      stored_replies(info),
      freeing(*this, clock),
      clock_(clock),
      env_(env),
      incarnation_((random() >> 1) | 1) {
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
    if (s->expired == 0) {
      s->reclaimed = false;
      s->unreclaimed_since = s->last_heard;
      ++unreclaimed_;
    }
    sessions.emplace(s->id, s);
    by_key_.Add(*s);
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
        stored_replies.TakeAnswered(*it->second, lane,
                                    {true, answered.to(), {answered.but().begin(), answered.but().end()}});
      return true;
    }
    rec::Reply reply;
    const Lane::Answered& has = lane.answered;
    const bool heard = has.exact && op_id <= has.to && !has.but.contains(op_id);
    if (reply.ParseFromArray(value.data(), static_cast<int>(value.size())) && reply.opened() != 0 && !heard &&
        it->second->expired == 0)
      open_files.AddUnheard(*it->second, op_id, Ino(reply.opened()));
    stored_replies.Add(*it->second, op_id, 0, value.size());
    return true;
  });
  store.Scan("T", "", [&](std::string_view key, std::string_view value) {
    rec::Trim trim;
    if (trim.ParseFromArray(value.data(), static_cast<int>(value.size())))
      freeing.StartTrim(Ino(KeyU64(key, 1)), trim.before_chunk());
    return true;
  });
  KFS_RETURN_IF_ERROR(store.db().TakeReadError());
  if (!in_grace()) freeing.QueueAllOrphans();
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
  sessions.emplace(s->id, s);
  by_key_.Add(*s);
}

void Volume::BeginLane(Session& session, uint8_t lane) {
  store.db().PutSoon(ReplyKey(session.id, LaneBase(lane)), "");
  session.lanes[lane].answered = {.exact = true, .to = LaneBase(lane), .but = {}};
}

SessionPtr Volume::OldestExpired(const std::string* key_id) const {
  const std::optional<SessionId> oldest = by_key_.OldestExpired(key_id);
  return oldest ? sessions.at(*oldest) : nullptr;
}

void Volume::ChangeKey(Session& session, const std::string& key_id) {
  by_key_.Remove(session);
  session.rights.set_key(key_id);
  by_key_.Add(session);
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
  open_files.DropAll(session);
  open_files.Heard(session, 0, UINT64_MAX);
  if (!session.reclaimed) Reclaimed(session);
}

void Volume::Expire(const SessionPtr& session) {
  KFS_LOG(warn,
          "session.expired volume={} session={} host={} mountpoint={} effect=\"its locks and open files are "
          "released\"",
          info.name(), session->id.v, session->host, session->mountpoint);
  // What a replayed reply had opened or locked is gone with the rest, and taken anew when it is replayed.
  ++session->life;
  by_key_.Remove(*session);
  session->expired = Now();
  by_key_.Add(*session);
  ++session->expiries;
  PutSession(*session);
  Leave(*session);
}

void Volume::Revive(Session& session) {
  session.revived = true;
  by_key_.Remove(session);
  session.expired = 0;
  by_key_.Add(session);
  PutSession(session);
}

void Volume::EndSession(const SessionPtr& session, const std::string& why) {
  KFS_LOG(info, "session.ended volume={} session={} host={} mountpoint={} reason=\"{}\"", info.name(),
          session->id.v, session->host, session->mountpoint, why);
  store.db().Delete(SessionKey(session->id));
  Leave(*session);
  stored_replies.Ended(*session);
  by_key_.Remove(*session);
  sessions.erase(session->id);
  session->volume = nullptr;
  Changed();
}

void Volume::BeginReclaim(Session& session) {
  if (session.reclaimed) {
    session.reclaimed = false;
    session.unreclaimed_since = clock_.MonoNow();
    ++unreclaimed_;
  }
  open_files.DropAll(session);
}

void Volume::Reclaimed(Session& session) {
  if (session.reclaimed) return;
  session.reclaimed = true;
  if (--unreclaimed_ == 0) {
    KFS_LOG(info, "volume.grace_ended volume={}", info.name());
    freeing.QueueAllOrphans();
    Changed();
  }
}

bool Volume::MayRepair(ChunkId chunk) const {
  const auto it = repaired_.find(chunk);
  return it == repaired_.end() || clock_.MonoNow() - it->second >= kRepairedFor;
}

void Volume::Repaired(ChunkId chunk) {
  if (repaired_.size() >= kRepairedMax) repaired_.clear();
  repaired_[chunk] = clock_.MonoNow();
}

void Volume::EndLongAppends() {
  for (const auto& [ino, holder] : appenders.TooLong()) {
    KFS_LOG(warn,
            "append.turn_over volume={} ino={} session={} reason=\"others have waited for it for {} s\"",
            info.name(), ino.v, holder.v, Appenders::kTurn / std::chrono::seconds(1));
    auto it = sessions.find(holder);
    appenders.End(ino, it == sessions.end() ? nullptr : it->second.get(), /*clean=*/false);
  }
}

bool Volume::HasStep() const { return locks.HasStep() || open_files.HasStep() || freeing.HasStep(); }

bool Volume::Step() {
  if (locks.HasStep()) locks.Step();
  open_files.Step();
  freeing.Step();
  return HasStep();
}

Status Volume::Change(const std::function<Status(Txn&)>& change, std::function<void()> again) {
  Txn own(store);  // an op's may be under way
  Status s = change(own);
  if (Status read = store.db().TakeReadError(); !read.ok()) s = read;
  KFS_RETURN_IF_ERROR(s);
  KFS_RETURN_IF_ERROR(env_.MayChange(*this, own, lifetime_.While(std::move(again))));
  own.Apply();
  Changed();
  return {};
}

}  // namespace kfs::meta
