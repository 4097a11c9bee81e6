// The identity file: text, so that a person with a pile of disks can read which is which.
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <sstream>

#include "chunkserver/disk.h"
#include "common/crc32c.h"
#include "common/secret.h"

namespace kfs {
namespace {

constexpr char kTitle[] = "kfs-chunk-disk";
constexpr int kFormat = 1;
constexpr uint32_t kIncompatKnown = 0, kRoCompatKnown = 0;

uint32_t Number(const std::map<std::string, std::string>& fields, const char* name) {
  auto it = fields.find(name);
  return it == fields.end() ? 0 : static_cast<uint32_t>(std::strtoul(it->second.c_str(), nullptr, 16));
}

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
  std::string text = fmt::format(
      "{}\nformat={}\ncompat=0\nro-compat=0\nincompat=0\ndisk-uuid={}\nserver-uuid={}\ncluster-id={}\n",
      kTitle, kFormat, identity.disk_uuid, identity.server_uuid, identity.cluster_id);
  return text + fmt::format("crc={:08x}\n", Crc32c(text.data(), text.size()));
}

Result<DiskIdentity> DecodeDiskIdentity(const std::string& text, const std::string& path) {
  std::map<std::string, std::string> fields;
  size_t crc_at = text.rfind("crc=");
  if (!text.starts_with(kTitle) || crc_at == std::string::npos) {
    return Status(EIO, Code::kCorrupt,
                  path + " is not a KFS disk identity; restore it, or use an empty directory");
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (size_t eq = line.find('='); eq != std::string::npos) fields[line.substr(0, eq)] = line.substr(eq + 1);
  }
  if (Number(fields, "crc") != Crc32c(text.data(), crc_at)) {
    return Status(EIO, Code::kCorrupt,
                  path + " is damaged (checksum); restore it, or use an empty directory");
  }
  if (fields["format"] != std::to_string(kFormat) || (Number(fields, "incompat") & ~kIncompatKnown) ||
      (Number(fields, "ro-compat") & ~kRoCompatKnown)) {
    return Status(EPROTONOSUPPORT, path + " was written by a newer kfs-chunkserver; upgrade this one");
  }
  return DiskIdentity{fields["disk-uuid"], fields["server-uuid"], fields["cluster-id"]};
}

}  // namespace kfs
