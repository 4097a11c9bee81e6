#include "cli/member_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kfs::cli {
namespace {

std::string AddressOf(const pb::ClusterConf& conf, const std::string& uuid) {
  for (const auto& m : conf.member()) {
    if (m.uuid() == uuid) return m.address();
  }
  return uuid;
}

// Members are named "HOST:PORT (since 12:00:05)".
std::string WhyNoReport(const pb::VolumeStatusReply& status, const std::string& owner) {
  for (const std::string& member : status.unreachable()) {
    if (member.substr(0, member.find(' ')) == owner)
      return fmt::format("its owner was not reached: {}", member);
  }
  if (status.report().contains(owner)) return fmt::format("its owner {} does not serve it", owner);
  return fmt::format("its owner {} has not reported", owner);
}

VolumeView Unreported(const pb::VolumeStatusReply& status, const pb::VolumeConf& conf,
                      const std::string& owner) {
  VolumeView view;
  view.info.set_id(conf.id());
  view.info.set_name(conf.name());
  view.info.set_chunk_size(conf.chunk_size());
  view.info.set_replicas(conf.replicas());
  view.info.set_created(conf.created());
  view.info.set_owner(owner);
  view.info.set_started(conf.started());
  *view.info.mutable_option() = conf.option();
  *view.info.mutable_label() = conf.label();
  view.reason = WhyNoReport(status, owner);
  return view;
}

// Why the owner's report does not say what only it knows.
std::string WhyNotCounted(const pb::VolumeInfo& v, const std::string& owner) {
  if (v.counted()) return "";
  if (!v.trouble().empty()) return v.trouble();
  if (!v.started()) return "it is stopped";
  return fmt::format("{} has not counted them", owner);
}

// A report with an answer goes before one without, then a connected one, then the quicker.
auto Rank(const pb::MemberReport::Chunkserver& c) {
  bool answered = c.asked_micros() != 0 && c.reason().empty();
  return std::tuple(!answered, !c.up(), c.asked_micros());
}

}  // namespace

std::vector<VolumeView> Volumes(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                                const std::string& name) {
  std::map<std::string, VolumeView> views;
  for (const auto& [member, report] : status.report()) {
    for (const pb::VolumeInfo& v : report.volume()) {
      if (!name.empty() && v.name() != name) continue;
      // While it moves two may think that it is theirs; the one that counts says so.
      auto [at, added] = views.try_emplace(v.name());
      if (!added && (at->second.info.counted() || !v.counted())) continue;
      at->second.info = v;
      if (v.owner().empty()) at->second.info.set_owner(member);
      at->second.reason = WhyNotCounted(v, member);
    }
  }
  for (const pb::VolumeConf& v : conf.conf().volume()) {
    if (!name.empty() && v.name() != name) continue;
    if (views.contains(v.name())) continue;
    views[v.name()] = Unreported(status, v, AddressOf(conf.conf(), v.owner()));
  }
  std::vector<VolumeView> out;
  for (auto& [key, view] : views) out.push_back(std::move(view));
  return out;
}

std::map<uint64_t, ChunkserverView> Chunkservers(const pb::VolumeStatusReply& status) {
  std::map<uint64_t, ChunkserverView> views;
  const std::map<std::string, const pb::MemberReport*> by_member = [&] {
    std::map<std::string, const pb::MemberReport*> sorted;
    for (const auto& [member, report] : status.report()) sorted[member] = &report;
    return sorted;
  }();
  for (const auto& [member, report] : by_member) {
    for (const auto& c : report->chunkserver()) {
      auto [at, added] = views.try_emplace(c.id());
      if (added || Rank(c) < Rank(at->second.report)) at->second.report = c;
      (c.up() ? at->second.up_at : at->second.down_at).push_back(member);
    }
  }
  return views;
}

}  // namespace kfs::cli
