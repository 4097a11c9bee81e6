#include "chunkserver/sync_points.h"

#include <fmt/format.h>

#include <cstdio>
#include <tuple>

#include "chunkserver/text_record.h"
#include "common/keys.h"
#include "common/log.h"

namespace kfs {
namespace {

constexpr char kTitle[] = "kfs-chunk-synced";
constexpr char kName[] = "kfs-disk.synced";

bool Parse(const std::string& text, pb::SyncPoint* point) {
  unsigned volume = 0;
  unsigned long long line = 0, sequence = 0, opening = 0;
  char mac[65] = "";
  if (std::sscanf(text.c_str(), "%u %llu %llu %llu %64[0-9a-f]", &volume, &line, &sequence, &opening, mac) !=
      5)
    return false;
  point->set_volume(volume);
  point->set_line(line);
  point->set_sequence(sequence);
  point->set_opening(opening);
  const auto bytes = FromHex(mac);
  if (!bytes.ok()) return false;
  point->set_mac(*bytes);
  return true;
}

}  // namespace

SyncPoints SyncPoints::Read(const ChunkStore& store) {
  SyncPoints all;
  const std::string cluster = store.cluster_id();
  for (const auto& [disk, text] : store.ReadSmallFiles(kName)) {
    std::multimap<std::string, std::string> fields;
    if (!text.ok() || ParseTextRecord(*text, kTitle, &fields) != TextRecord::kGood) {
      KFS_LOG(warn, "synced.unreadable disk={} reason=\"{}\"", disk,
              text.ok() ? "damaged" : text.status().ToString());
      continue;
    }
    if (auto it = fields.find("cluster-id"); it == fields.end() || it->second != cluster) continue;
    List points;
    const auto [begin, end] = fields.equal_range("volume");
    for (auto it = begin; it != end; ++it) {
      if (pb::SyncPoint point; Parse(it->second, &point)) *points.Add() = std::move(point);
    }
    all.Learn(points);
  }
  return all;
}

Status SyncPoints::Write(const ChunkStore& store) const {
  std::string text = TextRecordHead(kTitle);
  text += fmt::format("cluster-id={}\n", store.cluster_id());
  for (const auto& [volume, p] : latest_)
    text +=
        fmt::format("volume={} {} {} {} {}\n", volume, p.line(), p.sequence(), p.opening(), ToHex(p.mac()));
  return store.WriteSmallFiles(kName, SealTextRecord(std::move(text)));
}

void SyncPoints::Learn(const List& points) {
  for (const pb::SyncPoint& p : points) {
    auto it = latest_.find(p.volume());
    if (it != latest_.end() &&
        std::tuple(p.line(), p.sequence()) <= std::tuple(it->second.line(), it->second.sequence()))
      continue;
    latest_[p.volume()] = p;
    ++changes_;
    if (latest_.size() > kMax) latest_.erase(latest_.begin());
  }
}

void SyncPoints::Fill(List* points) const {
  for (const auto& [volume, p] : latest_) *points->Add() = p;
}

}  // namespace kfs
