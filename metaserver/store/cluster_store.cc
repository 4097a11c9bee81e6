#include "metaserver/store/cluster_store.h"

#include <utility>

#include "common/uuid.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
Result<std::unique_ptr<ClusterStore>> ClusterStore::Open(const std::string& data_dir, DbMemory& memory,
                                                         Entropy& entropy) {
  Result<std::unique_ptr<Db>> db = Db::Open(data_dir + "/cluster", "cluster", memory);
  if (!db.ok()) return db.status();
  auto store = std::make_unique<ClusterStore>();
  store->db_ = std::move(*db);
  store->sync_.emplace(*store->db_);
  if (Status s = store->Load(entropy); !s.ok()) return s;
  return store;
}

Status ClusterStore::Load(Entropy& entropy) {
  const std::optional<std::string> id = db_->Get("U");
  cluster_id_ = id ? *id : NewUuid(entropy);
  if (!id) db_->Put("U", cluster_id_);
  rec::ClusterCounters counters;
  if (auto stored = db_->Get(CountersKey()); stored && !counters.ParseFromString(*stored)) {
    return Status(EIO, Code::kCorrupt, "damaged counters in " + db_->path());
  }
  starts_ = counters.starts() + 1;
  counters.set_starts(starts_);
  db_->Put(CountersKey(), counters.SerializeAsString());
  db_->Scan("V", "", [&](std::string_view, std::string_view value) {
    rec::Volume v;
    if (v.ParseFromArray(value.data(), static_cast<int>(value.size()))) volumes_[VolumeId(v.id())] = v;
    return true;
  });
  KFS_RETURN_IF_ERROR(db_->TakeReadError());
  db_->Commit();
  return db_->Sync();
}

void ClusterStore::Save(std::function<void()> durable) {
  db_->Commit();
  sync_->Sync(std::move(durable));
}

void ClusterStore::SetClusterId(const std::string& id) {
  cluster_id_ = id;
  db_->Put("U", id);
  Save();
}

void ClusterStore::PutVolume(const rec::Volume& volume, std::function<void()> durable) {
  volumes_[VolumeId(volume.id())] = volume;
  db_->Put(VolumeKey(VolumeId(volume.id())), volume.SerializeAsString());
  Save(std::move(durable));
}

void ClusterStore::RemoveVolume(VolumeId id) {
  volumes_.erase(id);
  db_->Delete(VolumeKey(id));
  Save();
}

}  // namespace kfs::meta
