#include "metaserver/store/cluster_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/secret.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

std::string MakeUuid() {
  std::string b = RandomBytes(16);
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  std::string text;
  for (size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(b[i]));
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<ClusterStore>> ClusterStore::Open(const std::string& data_dir, DbMemory& memory) {
  Result<std::unique_ptr<Db>> db = Db::Open(data_dir + "/cluster", "cluster", memory);
  if (!db.ok()) return db.status();
  auto store = std::make_unique<ClusterStore>();
  store->db_ = std::move(*db);
  if (Status s = store->Load(); !s.ok()) return s;
  return store;
}

Status ClusterStore::Load() {
  std::optional<std::string> id = db_->Get("U");
  first_start_ = !id;
  cluster_id_ = id ? *id : MakeUuid();
  if (!id) db_->Put("U", cluster_id_);
  rec::ClusterCounters counters;
  if (auto stored = db_->Get(CountersKey()); stored && !counters.ParseFromString(*stored)) {
    return Status(EIO, Code::kCorrupt, "damaged counters in " + db_->path());
  }
  next_volume_ = VolumeId(std::max<uint32_t>(counters.next_volume(), 1));
  incarnation_ = counters.incarnation() + 1;
  counters.set_next_volume(next_volume_.v);
  counters.set_incarnation(incarnation_);
  db_->Put(CountersKey(), counters.SerializeAsString());
  db_->Scan("V", "", [&](std::string_view, std::string_view value) {
    rec::Volume v;
    if (v.ParseFromArray(value.data(), static_cast<int>(value.size()))) volumes_[VolumeId(v.id())] = v;
    return true;
  });
  KFS_RETURN_IF_ERROR(db_->TakeReadError());
  return Save();
}

Status ClusterStore::Save() {
  db_->Commit();
  return db_->Sync();
}

const rec::Volume* ClusterStore::FindVolume(const std::string& name) const {
  for (const auto& [id, v] : volumes_) {
    if (v.name() == name && !v.deleting()) return &v;
  }
  return nullptr;
}

Result<rec::Volume> ClusterStore::AddVolume(rec::Volume volume) {
  volume.set_id(next_volume_.v);
  next_volume_ = VolumeId(next_volume_.v + 1);
  rec::ClusterCounters counters;
  if (auto stored = db_->Get(CountersKey())) (void)counters.ParseFromString(*stored);
  counters.set_next_volume(next_volume_.v);
  db_->Put(CountersKey(), counters.SerializeAsString());
  if (Status s = UpdateVolume(volume); !s.ok()) return s;
  return volume;
}

Status ClusterStore::UpdateVolume(const rec::Volume& volume) {
  volumes_[VolumeId(volume.id())] = volume;
  db_->Put(VolumeKey(VolumeId(volume.id())), volume.SerializeAsString());
  return Save();
}

Status ClusterStore::RemoveVolume(VolumeId id) {
  volumes_.erase(id);
  db_->Delete(VolumeKey(id));
  return Save();
}

}  // namespace kfs::meta
