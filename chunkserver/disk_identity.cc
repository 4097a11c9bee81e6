// The identity file.
#include <fmt/format.h>

#include <map>

#include "chunkserver/disk.h"
#include "chunkserver/text_record.h"

namespace kfs {
namespace {

constexpr char kDiskTitle[] = "kfs-chunk-disk";

}  // namespace

std::string EncodeDiskIdentity(const DiskIdentity& identity) {
  return SealTextRecord(TextRecordHead(kDiskTitle) +
                        fmt::format("disk-uuid={}\nserver-uuid={}\ncluster-id={}\n", identity.disk_uuid,
                                    identity.server_uuid, identity.cluster_id));
}

Result<DiskIdentity> DecodeDiskIdentity(const std::string& text, const std::string& path) {
  std::multimap<std::string, std::string> fields;
  switch (ParseTextRecord(text, kDiskTitle, &fields)) {
    case TextRecord::kGood:
      break;
    case TextRecord::kForeign:
      return Status(EIO, Code::kCorrupt,
                    path + " is not a KFS disk identity; restore it, or use an empty directory");
    case TextRecord::kDamaged:
      return Status(EIO, Code::kCorrupt,
                    path + " is damaged (checksum); restore it, or use an empty directory");
    case TextRecord::kNewer:
      return Status(EPROTONOSUPPORT, path + " was written by a newer kfs-chunkserver; upgrade this one");
  }
  auto field = [&fields](const char* name) {
    auto it = fields.find(name);
    return it == fields.end() ? std::string() : it->second;
  };
  return DiskIdentity{field("disk-uuid"), field("server-uuid"), field("cluster-id")};
}

}  // namespace kfs
