#include <fmt/format.h>

#include <utility>

#include "metaserver/hosting/volume_host.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Status VolumeHost::HandedOver(const pb::VolumeConf& v) {
  return Status(
      EAGAIN, Code::kTryAgain,
      fmt::format("volume \"{}\" was being handed to another metaserver: whether it was is not known "
                  "until a majority of the metaservers is there",
                  v.name()));
}

void VolumeHost::Hold(VolumeId id, const Status& why, std::function<void()> closed) {
  held_[id] = why;
  Close(id, executor_.CloseVolume(id, why));
  Do(
      id, [] { return Status(); }, [closed = std::move(closed)](const Status&) { closed(); });
}

void VolumeHost::Unhold(VolumeId id, std::unique_ptr<Db> db) {
  held_.erase(id);
  Close(id, std::move(db));
}

void VolumeHost::HoldStopped(const pb::ClusterConf& conf, const pb::VolumeConf& v, uint64_t incarnation,
                             const Status& why, std::function<void(Result<std::unique_ptr<Db>>)> held) {
  const VolumeId id(v.id());
  const auto busy = [&](const char* what) {
    held(Status(EBUSY, fmt::format("volume \"{}\" is being {}: try again later", v.name(), what)));
  };
  if (held_.contains(id)) return busy("copied already");
  if (opening_.contains(id)) return busy("opened");
  if (deleting_.contains(id)) return busy("deleted");
  if (IsSealed(v)) return held(HandedOver(v));
  held_[id] = why;
  struct Opens {
    VolumeOpening opening;
    Result<std::unique_ptr<Db>> db = Status(ECANCELED, "it has not been opened");
  };
  auto opens = std::make_shared<Opens>(Opens{.opening = OpeningOf(conf, v, incarnation)});
  Do(
      id,
      [this, opens] {
        opens->db = OpenDatabase(&opens->opening, files_, images_, memory_);
        return Status();
      },
      [this, id, opens, held = std::move(held)](const Status&) {
        if (opens->db.ok()) return Known(opens->opening, [opens, held] { held(std::move(opens->db)); });
        if (opens->opening.copy_taken) images_.Taken(opens->opening.conf.transfer());
        held_.erase(id);
        held(std::move(opens->db));
      });
}

namespace {

Result<std::unique_ptr<Db>> OpenLeft(const std::string& path, const std::string& cluster_id, VolumeId id,
                                     FileOps& files, DbMemory& memory) {
  if (!files.Exists(path + "/CURRENT"))  // nothing is made in its place
    return Status(EIO, fmt::format("the volume's data is not in {}", path));
  Result<std::unique_ptr<Db>> db = Db::Open(path, "volume", memory);
  if (!db.ok()) return db;
  const std::optional<std::string> stored = (*db)->Get(StampKey());
  KFS_RETURN_IF_ERROR((*db)->TakeReadError());
  rec::VolumeStamp stamp;
  if (!stored || !stamp.ParseFromString(*stored) || stamp.cluster_id() != cluster_id ||
      stamp.volume() != id.v)
    return Status(EIO, fmt::format("{} holds another volume", path));
  return db;
}

}  // namespace

void VolumeHost::HoldLeft(const std::string& name, const std::string& cluster_id, const Status& why,
                          std::function<void(VolumeId, Result<std::unique_ptr<Db>>)> held) {
  VolumeId id;
  for (const auto& [its, info] : cluster_.volumes()) {
    if (info.name() == name) id = its;  // the latest of that name
  }
  if (id.v == 0)
    return held(id, Status(ENOENT, fmt::format("there is no data of a volume \"{}\" here", name)));
  if (held_.contains(id) || opening_.contains(id) || deleting_.contains(id))
    return held(id,
                Status(EBUSY, fmt::format("volume \"{}\" is being copied already: try again later", name)));
  held_[id] = why;
  auto db = std::make_shared<Result<std::unique_ptr<Db>>>(Status(ECANCELED, "it has not been opened"));
  Do(
      id,
      [this, id, db, cluster_id, path = Path(id)] {
        *db = OpenLeft(path, cluster_id, id, files_, memory_);
        return Status();
      },
      [this, id, db, held = std::move(held)](const Status&) {
        if (!db->ok()) held_.erase(id);
        held(id, std::move(*db));
      });
}

void VolumeHost::Seal(VolumeId id, const std::string& transfer, uint64_t epoch,
                      std::function<void(const Status&)> done) {
  auto it = cluster_.volumes().find(id);
  if (it == cluster_.volumes().end()) return done(Status(EIO, "the volume is not here"));
  rec::Volume info = it->second;
  info.set_handed(transfer);
  info.set_handed_epoch(epoch);
  cluster_.PutVolume(info, [done = std::move(done)] { done({}); });
}

void VolumeHost::Unseal(VolumeId id) {
  auto it = cluster_.volumes().find(id);
  if (it == cluster_.volumes().end()) return;
  rec::Volume info = it->second;
  info.clear_handed();
  info.clear_handed_epoch();
  cluster_.PutVolume(info, [] {});
}

bool VolumeHost::IsSealed(const pb::VolumeConf& v) const {
  auto it = cluster_.volumes().find(VolumeId(v.id()));
  return it != cluster_.volumes().end() && !it->second.handed().empty() &&
         it->second.handed_epoch() == v.epoch();
}

}  // namespace kfs::meta
