#include "chunkserver/disk_status.h"

#include <algorithm>

namespace kfs {

void FillDiskStatus(const ChunkStore& store, bool fresh,
                    google::protobuf::RepeatedPtrField<pb::DiskStatus>* out) {
  for (const auto& disk : store.disks()) {
    const auto space = fresh && disk->healthy() ? disk->RefreshSpace() : disk->space();
    auto* status = out->Add();
    status->set_path(disk->path());
    status->set_capacity(space.capacity);
    // What was deleted lately makes room as soon as it is needed.
    status->set_available(disk->healthy() ? std::min(space.available + disk->bin().bytes(), space.capacity)
                                          : 0);
    status->set_chunks(static_cast<uint64_t>(std::max<int64_t>(disk->chunks, 0)));
    status->set_error(disk->error());
    status->set_file_system(disk->file_system());
    status->set_set_aside(disk->bin().set_aside());
    if (const DiskAge age = disk->age(); age.age != 0) {
      status->set_uuid(disk->identity().disk_uuid);
      status->set_age(age.age);
      status->set_start(age.start);
      status->set_copy_accepted(age.copy_accepted);
      status->set_copy_age(age.copy_age);
    }
  }
}

}  // namespace kfs
