#include "metaserver/chunks/disk_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "metaserver/chunks/space_sum.h"

namespace kfs::meta {

void SumDisks(google::protobuf::RepeatedPtrField<pb::DiskStatus>* disks) {
  if (disks->size() < 2) return;
  pb::DiskStatus sum;
  SpaceSum space;
  int sick = 0;
  for (const pb::DiskStatus& d : *disks) {
    pb::DiskStatus counted = d;
    counted.clear_error();
    space.Add(counted);
    sum.set_chunks(sum.chunks() + d.chunks());
    if (d.error().empty()) continue;
    if (++sick == 1) sum.set_error(fmt::format("{}: {}", d.path(), d.error()));
  }
  sum.set_path(sick == 0 ? fmt::format("{} disks", disks->size())
                         : fmt::format("{} disks, {} sick", disks->size(), sick));
  sum.set_capacity(space.capacity());
  sum.set_available(space.available());
  disks->Clear();
  *disks->Add() = std::move(sum);
}

void Shorten(pb::VolumeStatusReply* status) {
  if (status->ByteSizeLong() <= kAnswerBytesMax) return;
  std::map<std::string, pb::MemberReport*> reports;  // in an order
  for (auto& [member, report] : *status->mutable_report()) {
    reports[member] = &report;
    for (auto& c : *report.mutable_chunkserver()) SumDisks(c.mutable_disk());
  }
  if (status->ByteSizeLong() <= kAnswerBytesMax) return;
  std::set<uint64_t> told;
  for (auto& [member, report] : reports) {
    auto* rows = report->mutable_chunkserver();
    rows->erase(std::remove_if(rows->begin(), rows->end(),
                               [&](const pb::MemberReport::Chunkserver& c) {
                                 return c.up() && c.reason().empty() && !told.insert(c.id()).second;
                               }),
                rows->end());
  }
}

}  // namespace kfs::meta
