#include "metaserver/hosting/volume_host.h"

#include <fmt/format.h>

#include <utility>

#include "common/log.h"
#include "metaserver/cluster/conf_options.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

constexpr int kAtOnce = 2;

// The value in force; none when it is not set.
std::optional<int64_t> Get(const pb::VolumeConf& v, std::string_view name) {
  auto it = v.option().find(std::string(name));
  if (it == v.option().end()) return {};
  return ConfValue(*FindConfOption(ConfOption::Of::kVolume, name), it->second);
}

void SetOptions(const pb::VolumeConf& v, const ExecutorOptions& standard, Volume* volume) {
  Volume::Settings& s = volume->settings;
  s.atime = Get(v, "atime").value_or(0) == 0;
  s.read_only = Get(v, "read-only").value_or(0) != 0;
  const auto keep = Get(v, "session-keep"), slow = Get(v, "slow-op-ms");
  s.session_keep = keep ? std::chrono::seconds(*keep) : standard.session_keep;
  s.slow_op = slow ? std::chrono::milliseconds(*slow) : standard.slow_op;
}

}  // namespace

VolumeHost::VolumeHost(Options options, FileOps& files, ClusterStore& cluster, DbMemory& memory,
                       Executor& executor, Chunkservers& chunkservers, Clock& clock, ImageStore& images,
                       const SyncPoints& points)
    : options_(std::move(options)),
      files_(files),
      cluster_(cluster),
      memory_(memory),
      executor_(executor),
      chunkservers_(chunkservers),
      clock_(clock),
      images_(images),
      points_(points) {}

VolumeHost::~VolumeHost() { StopThreads(); }

std::string VolumeHost::Path(VolumeId id) const {
  return fmt::format("{}/volumes/{}", options_.data_dir, id.v);
}

Status VolumeHost::Apply(const pb::ClusterConf& conf, const std::string& self, uint64_t incarnation) {
  if (jobs_ != nullptr) applied_ = {conf, self, incarnation};
  std::map<VolumeId, const pb::VolumeConf*> there;
  for (const pb::VolumeConf& v : conf.volume()) there[VolumeId(v.id())] = &v;
  std::vector<VolumeId> open;
  for (const auto& [id, volume] : executor_.volumes()) open.push_back(id);
  for (VolumeId id : open) {
    auto it = there.find(id);
    if (it == there.end()) {
      Close(id, executor_.RemoveVolume(id));
    } else if (it->second->owner() != self || !it->second->started()) {
      Close(id, executor_.CloseVolume(id, WhyNotServed(conf, self, it->second->name())));
      KFS_LOG(info, "volume.closed name={} id={} started={} owner={}", it->second->name(), id.v,
              it->second->started(), NameOf(conf, it->second->owner()));
    }
  }
  Status first;
  undeleted_.clear();
  for (const auto& [id, info] : std::map<VolumeId, rec::Volume>(cluster_.volumes())) {
    if (opening_.contains(id) || deleting_.contains(id)) continue;  // when that has ended
    if (auto it = there.find(id); it != there.end()) {
      // What was handed over has its owner elsewhere now: decided, so that the copy there is the volume.
      const bool gone = it->second->owner() != self && !info.handed().empty() &&
                        it->second->epoch() > info.handed_epoch() && !held_.contains(id);
      if (!gone) continue;
    }
    // Who was given up keeps what perhaps nobody else has heard of.
    if (FindMember(conf, self) == nullptr) continue;
    Delete(id);
    if (first.ok() && undeleted_.contains(id)) first = undeleted_.at(id);
  }
  const std::map<VolumeId, Status> before = std::exchange(trouble_, {});
  for (const auto& [id, v] : there) {
    if (v->owner() != self || !v->started()) unfit_.erase(id);
    if (v->owner() != self || !v->started() || held_.contains(id)) continue;
    if (auto damaged = unfit_.find(id); damaged != unfit_.end()) {
      trouble_[id] = damaged->second;
      continue;
    }
    if (IsSealed(*v)) {
      trouble_[id] = HandedOver(*v);
      continue;
    }
    if (executor_.FindVolume(id) == nullptr) {
      if (jobs_ != nullptr) {
        if (auto known = before.find(id); known != before.end()) trouble_.insert(*known);  // until it is open
        if (!opening_.contains(id) && !deleting_.contains(id)) Begin(conf, *v, incarnation);
        continue;
      }
      if (Status s = Open(conf, *v, incarnation); !s.ok()) {
        Failed(*v, s, before);
        if (!unfit_.contains(id) && first.ok()) first = s;
        continue;
      }
    }
    SetOptions(*v, executor_.options(), executor_.FindVolume(id));
  }
  executor_.SetGeneration(conf.generation());
  return first;
}

VolumeOpening VolumeHost::OpeningOf(const pb::ClusterConf& conf, const pb::VolumeConf& v,
                                    uint64_t incarnation) const {
  const VolumeId id(v.id());
  VolumeOpening o{.path = Path(id),
                  .cluster_id = conf.cluster_id(),
                  .conf = v,
                  .incarnation = incarnation,
                  .known = cluster_.volumes().contains(id)};
  if (const pb::SyncPoint* heard = points_.Latest(id)) o.heard_line = heard->line();
  if (v.transfer().empty()) return o;
  if (const pb::ImageManifest* copy = images_.Find(v.transfer())) o.copy = *copy;
  return o;
}

void VolumeHost::Known(const VolumeOpening& o, std::function<void()> durable) {
  if (o.copy_taken) images_.Taken(o.conf.transfer());
  auto known = cluster_.volumes().find(VolumeId(o.conf.id()));
  if (known != cluster_.volumes().end() && known->second.handed().empty()) return durable();
  cluster_.PutVolume(InfoOf(o.conf), std::move(durable));
}

Result<std::unique_ptr<Volume>> VolumeHost::OpenVolume(VolumeOpening* o, uint64_t seed) const {
  Result<std::unique_ptr<Db>> db = OpenDatabase(o, files_, images_, memory_);
  if (!db.ok()) return db.status();
  const uint64_t line = LineOf(**db);
  auto volume = Volume::Open(InfoOf(o->conf), std::move(*db), options_.cache_bytes, chunkservers_, clock_,
                             executor_.volume_env(), seed);
  if (volume.ok()) (*volume)->line = line;
  return volume;
}

Status VolumeHost::Serve(const VolumeOpening& o, Result<std::unique_ptr<Volume>> volume) {
  if (!volume.ok()) {
    if (o.copy_taken) images_.Taken(o.conf.transfer());
    return volume.status();
  }
  KFS_RETURN_IF_ERROR(points_.Check((*volume)->id(), o.conf.name(), (*volume)->line,
                                    (*volume)->store.db().opened_at(), (*volume)->incarnation()));
  if (o.conf.restored()) {
    (*volume)->Restored();
    chunkservers_.WantInventories();
  }
  KFS_LOG(info, "volume.opened name={} id={} inodes={} sessions={}", o.conf.name(), o.conf.id(),
          (*volume)->store.counters().inodes(), (*volume)->sessions.size());
  executor_.AddVolume(std::move(*volume));
  return {};
}

Status VolumeHost::Open(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation) {
  VolumeOpening o = OpeningOf(conf, v, incarnation);
  Result<std::unique_ptr<Volume>> volume = OpenVolume(&o, executor_.DrawVolumeSeed());
  if (volume.ok()) Known(o, [] {});  // at once: there are no threads yet
  return Serve(o, std::move(volume));
}

// ---- on threads ----

void VolumeHost::UseThreads(std::function<void(std::function<void()>)> post,
                            std::unique_ptr<Workers> workers) {
  jobs_ = std::make_unique<VolumeJobs>(std::move(post), std::move(workers));
}

void VolumeHost::UseThreads(EventLoop& loop) {
  UseThreads([&loop](std::function<void()> fn) { loop.Post(std::move(fn)); },
             loop.StartWorkers("kfs-volumes", kAtOnce));
}

void VolumeHost::StopThreads() {
  jobs_.reset();
  opening_.clear();
  deleting_.clear();
  closing_ = 0;
}

void VolumeHost::Do(VolumeId id, std::function<Status()> work, std::function<void(const Status&)> done) {
  if (jobs_ == nullptr) return done(work());
  jobs_->Do(id, std::move(work), std::move(done));
}

// Its caches are freed, its last records written: a second, for a volume that has just been busy.
void VolumeHost::Close(VolumeId id, std::shared_ptr<void> open) {
  if (open == nullptr) return;
  ++closing_;
  Do(
      id,
      [open = std::move(open)]() mutable {
        open.reset();
        return Status();
      },
      [this](const Status&) {
        --closing_;
        TellIfSettled();
      });
}

void VolumeHost::Begin(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation) {
  auto u = std::make_shared<UnderWay>();
  u->opening = OpeningOf(conf, v, incarnation);
  u->generation = conf.generation();
  u->began = clock_.MonoNow();
  opening_[VolumeId(v.id())] = u;
  Do(
      VolumeId(v.id()),
      [this, u, seed = executor_.DrawVolumeSeed()] {
        u->volume = OpenVolume(&u->opening, seed);
        return Status();
      },
      [this, u](const Status&) { Opened(u); });
}

void VolumeHost::Opened(const std::shared_ptr<UnderWay>& u) {
  if (!u->volume.ok()) return TakeOver(u);
  Known(u->opening, [this, u] { TakeOver(u); });
}

void VolumeHost::TakeOver(const std::shared_ptr<UnderWay>& u) {
  const VolumeId id(u->opening.conf.id());
  opening_.erase(id);
  const pb::VolumeConf* v = FindVolumeById(applied_.conf, id.v);
  const bool wanted = v != nullptr && v->owner() == applied_.self && v->started() && !held_.contains(id) &&
                      v->epoch() == u->opening.conf.epoch() && !IsSealed(*v);
  if (!wanted) {
    if (u->volume.ok()) {
      Close(id, (*u->volume)->TakeStore());
      u->volume = Status(ECANCELED, "it is not to be served any more");
    }
  } else if (Status s = Serve(u->opening, std::move(u->volume)); !s.ok()) {
    Failed(*v, s, trouble_);
  } else {
    trouble_.erase(id);
    SetOptions(*v, executor_.options(), executor_.FindVolume(id));
    chunkservers_.WantInventories();  // what was told meanwhile was not looked at
  }
  // What had to wait until it was open, or has changed since.
  if (!wanted || applied_.conf.generation() != u->generation) ApplyAgain();
  TellIfSettled();
}

void VolumeHost::TellIfSettled() {
  if (!opening_.empty() || closing_ != 0) return;
  for (auto& told : std::exchange(when_settled_, {})) told();
}

void VolumeHost::WhenSettled(std::function<void()> done) {
  when_settled_.push_back(std::move(done));
  TellIfSettled();
}

const char* VolumeHost::EventOf(VolumeId id, const Status& s) const {
  if (LogFailed(id)) return "volume.log_failed";
  return s.code() == Code::kTryAgain ? "volume.older_copy" : "volume.open_failed";
}

// Logged once, not with each change of the configuration.
void VolumeHost::Failed(const pb::VolumeConf& v, const Status& s, const std::map<VolumeId, Status>& before) {
  const VolumeId id(v.id());
  if (auto known = before.find(id); known == before.end() || known->second.message() != s.message())
    KFS_LOG(error, "{} name={} id={} reason=\"{}\"", EventOf(id, s), v.name(), id.v, s.ToString());
  trouble_[id] = s;
  if (s.code() == Code::kCorrupt || s.code() == Code::kTryAgain) unfit_[id] = s;
}

void VolumeHost::CloseDamaged(VolumeId id) {
  const Db* db = OpenDb(id);
  if (db == nullptr || db->damage().ok()) return;
  const Status why = db->damage();
  KFS_LOG(error, "{} name={} id={} reason=\"{}\" effect=\"it is not served any more\"",
          db->log_failed() ? "volume.log_failed" : "volume.damaged", executor_.FindVolume(id)->info.name(),
          id.v, why.message());
  trouble_[id] = unfit_[id] = why;
  Close(id, executor_.CloseVolume(id, why));
}

void VolumeHost::CloseOlder(VolumeId id) {
  const Volume* v = executor_.FindVolume(id);
  if (v == nullptr) return;
  const Status why = points_.Check(id, v->info.name(), v->line, v->store.db().opened_at(), v->incarnation());
  if (why.ok()) return;
  KFS_LOG(error, "volume.older_copy name={} id={} reason=\"{}\" effect=\"it is not served any more\"",
          v->info.name(), id.v, why.message());
  trouble_[id] = unfit_[id] = why;
  Close(id, executor_.CloseVolume(id, why));
}

Db* VolumeHost::OpenDb(VolumeId id) const {
  Volume* v = executor_.FindVolume(id);
  return v == nullptr ? nullptr : &v->store.db();
}

void VolumeHost::Delete(VolumeId id) {
  deleting_.insert(id);
  Do(
      id,
      [this, path = Path(id)] {
        KFS_RETURN_IF_ERROR(Db::Destroy(path, memory_.env()));
        (void)files_.RemoveAll(path);
        (void)files_.RemoveAll(path + ".replaced");
        return Status();
      },
      [this, id](const Status& s) {
        deleting_.erase(id);
        if (Status deleted = Deleted(id, s); !deleted.ok()) {
          KFS_LOG(error, "volume.delete_failed id={} reason=\"{}\"", id.v, deleted.ToString());
          undeleted_[id] = deleted;
        } else if (FindVolumeById(applied_.conf, id.v) != nullptr) {
          ApplyAgain();  // one that was made under its number meanwhile
        }
      });
}

Status VolumeHost::Deleted(VolumeId id, Status s) {
  if (!s.ok()) return s;
  unfit_.erase(id);
  KFS_LOG(info, "volume.deleted id={}", id.v);
  cluster_.RemoveVolume(id);  // its chunks are garbage at the next inventory
  return {};
}

void VolumeHost::ApplyAgain() {
  const Applied now = applied_;
  (void)Apply(now.conf, now.self, now.incarnation);  // told by Trouble
}

Status VolumeHost::Trouble(VolumeId id) const {
  if (auto it = trouble_.find(id); it != trouble_.end()) return it->second;
  auto opening = opening_.find(id);
  if (opening == opening_.end()) return {};
  // Most take milliseconds.
  constexpr int kUsual = 5;
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(clock_.MonoNow() - opening->second->began);
  if (s.count() < kUsual) return {};
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format("it has been being opened for {} s: its log is long, or the disk slow", s.count()));
}

Status VolumeHost::WhyNotServed(const pb::ClusterConf& conf, const std::string& self,
                                const std::string& name) const {
  const pb::VolumeConf* v = meta::FindVolume(conf, name);
  if (v == nullptr)
    return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", name));
  if (!v->started()) {
    return Status(ESHUTDOWN, Code::kStopped,
                  fmt::format("volume \"{}\" is stopped: start it with 'kfs volume start {}'", name, name));
  }
  if (v->owner() != self) {
    return Status(EAGAIN, Code::kNotOwner,
                  fmt::format("volume \"{}\" is served by {}", name, NameOf(conf, v->owner())));
  }
  if (auto held = held_.find(VolumeId(v->id())); held != held_.end()) return held->second;
  const Status trouble = Trouble(VolumeId(v->id()));
  return trouble.ok() ? Status(EAGAIN, Code::kTryAgain, "the volume is being opened") : trouble;
}

}  // namespace kfs::meta
