// The identity file.
#include <fmt/format.h>

#include <map>

#include "chunkserver/disk.h"
#include "chunkserver/text_record.h"
#include "common/secret.h"

namespace kfs {
namespace {

constexpr char kTitle[] = "kfs-chunk-disk";

}  // namespace

std::string NewUuid() {
  std::string b = RandomBytes(16);
  b[6] = static_cast<char>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<char>((b[8] & 0x3f) | 0x80);
  std::string out;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", static_cast<uint8_t>(b[i]));
  }
  return out;
}

std::string EncodeDiskIdentity(const DiskIdentity& identity) {
  return SealTextRecord(TextRecordHead(kTitle) + fmt::format("disk-uuid={}\nserver-uuid={}\ncluster-id={}\n",
                                                             identity.disk_uuid, identity.server_uuid,
                                                             identity.cluster_id));
}

Result<DiskIdentity> DecodeDiskIdentity(const std::string& text, const std::string& path) {
  std::multimap<std::string, std::string> fields;
  switch (ParseTextRecord(text, kTitle, &fields)) {
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
