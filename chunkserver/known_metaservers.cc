#include "chunkserver/known_metaservers.h"

#include <fmt/format.h>

#include <cstdlib>

#include "chunkserver/text_record.h"
#include "common/log.h"

namespace kfs {
namespace {

constexpr char kMetaserversTitle[] = "kfs-chunk-metaservers";
constexpr char kName[] = "kfs-disk.metaservers";

std::string Encode(const KnownMetaservers& known) {
  std::string text = TextRecordHead(kMetaserversTitle);
  text += fmt::format("cluster-id={}\ngeneration={}\n", known.cluster_id, known.generation);
  for (const std::string& address : known.addresses) text += fmt::format("metaserver={}\n", address);
  return SealTextRecord(std::move(text));
}

}  // namespace

KnownMetaservers ReadKnownMetaservers(const ChunkStore& store) {
  KnownMetaservers newest;
  const std::string cluster = store.cluster_id();
  for (const auto& [disk, text] : store.ReadSmallFiles(kName)) {
    std::multimap<std::string, std::string> fields;
    if (!text.ok() || ParseTextRecord(*text, kMetaserversTitle, &fields) != TextRecord::kGood) {
      KFS_LOG(warn, "metaserver.list_unreadable disk={} reason=\"{}\"", disk,
              text.ok() ? "damaged" : text.status().ToString());
      continue;
    }
    KnownMetaservers known;
    if (auto it = fields.find("cluster-id"); it != fields.end()) known.cluster_id = it->second;
    if (auto it = fields.find("generation"); it != fields.end())
      known.generation = std::strtoull(it->second.c_str(), nullptr, 10);
    const auto [begin, end] = fields.equal_range("metaserver");
    for (auto it = begin; it != end; ++it) known.addresses.push_back(it->second);
    if (known.cluster_id == cluster && known.generation > newest.generation) newest = std::move(known);
  }
  return newest;
}

Status WriteKnownMetaservers(const ChunkStore& store, const KnownMetaservers& known) {
  return store.WriteSmallFiles(kName, Encode(known));
}

}  // namespace kfs
