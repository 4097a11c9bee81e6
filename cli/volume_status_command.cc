// kfs volume status, kfs chunkserver status: what every member and its chunkservers say, now.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/member_reports.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

namespace {

std::string Unreachable(const pb::VolumeStatusReply& status) {
  if (status.unreachable().empty()) return "";
  return fmt::format("\nunreachable: {}\n", fmt::join(status.unreachable(), ", "));
}

std::string State(const ChunkserverView& view, uint64_t generation) {
  const auto& c = view.report;
  std::string state = c.up() ? "up" : "down";
  if (c.up() && !view.down_at.empty()) state += fmt::format(", but not at {}", fmt::join(view.down_at, ", "));
  if (!c.reason().empty()) state += ": " + c.reason();
  if (c.generation() != 0 && c.generation() < generation)
    state += fmt::format(", behind: generation {} of {}", c.generation(), generation);
  return state;
}

// What the members' reports say goes before how the one that was asked sees them.
std::string State(const pb::VolumeInfo& v, const std::string& reason, const pb::ConfShowReply& conf) {
  if (!v.started() || v.counted() || reason.empty()) return VolumeState(v, &conf);
  return reason.starts_with("its owner was not reached") || reason.ends_with("has not reported")
             ? "owner away"
             : "not served";
}

std::string ChunkserverTable(const pb::VolumeStatusReply& status) {
  Table table({"CHUNKSERVER", "ADDRESS", "DISK", "CAPACITY", "FREE", "CHUNKS", "ANSWERED IN", "STATE"},
              {3, 4, 5, 6});
  for (const auto& [id, view] : Chunkservers(status)) {
    const auto& c = view.report;
    std::string took =
        c.asked_micros() == 0 ? "-" : fmt::format("{:.1f} ms", static_cast<double>(c.asked_micros()) / 1000);
    std::vector<std::string> who = {std::to_string(id), c.address().empty() ? "-" : c.address()};
    if (c.disk().empty())
      table.Add({who[0], who[1], "-", "-", "-", "-", took, State(view, status.generation())});
    for (const auto& d : c.disk()) {
      std::string state = d.error().empty() ? State(view, status.generation())
                                            : State(view, status.generation()) + ", disk: " + d.error();
      table.Add({who[0], who[1], d.path(), HumanBytes(d.capacity()), HumanBytes(d.available()),
                 std::to_string(d.chunks()), took, state});
    }
  }
  return table.empty() ? "no chunkserver has registered yet: start kfs-chunkserver\n" : table.Text();
}

json ToJson(const ChunkserverView& view) {
  json disks = json::array();
  for (const auto& d : view.report.disk()) disks.push_back(cli::ToJson(d));
  return {{"id", view.report.id()},
          {"address", view.report.address()},
          {"up", view.report.up()},
          {"disks", disks},
          {"asked_micros", view.report.asked_micros()},
          {"reason", view.report.reason()},
          {"generation", view.report.generation()},
          {"up_at", view.up_at},
          {"down_at", view.down_at}};
}

}  // namespace

std::string VolumeStatusText(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                             const std::string& name) {
  Table table({"VOLUME", "STATE", "OWNER", "FILES", "DATA", "MOUNTS"}, {3, 4, 5});
  std::string reasons;
  for (const auto& [v, reason] : Volumes(status, conf, name)) {
    const std::string state = State(v, reason, conf);
    table.Add({v.name(), state, v.owner(), CountedOrState(v, state, std::to_string(v.files())),
               CountedOrState(v, state, HumanBytes(v.bytes())),
               CountedOrState(v, state, std::to_string(v.sessions()))});
    reasons += LostText(v);
    if (!reason.empty()) reasons += fmt::format("{}: {}\n", v.name(), reason);
  }
  std::string out = table.empty() ? "no volume yet: 'kfs volume create NAME' makes one\n" : table.Text();
  return out + reasons + "\n" + ChunkserverTable(status) + Unreachable(status);
}

json ChunkserverStatusJson(const pb::VolumeStatusReply& status) {
  json servers = json::array();
  for (const auto& [id, view] : Chunkservers(status)) servers.push_back(ToJson(view));
  return {{"chunkservers", servers}, {"unreachable", StringsJson(status.unreachable())}};
}

json VolumeStatusJson(const pb::VolumeStatusReply& status, const pb::ConfShowReply& conf,
                      const std::string& name) {
  json volumes = json::array(), members = json::object();
  for (const auto& [v, reason] : Volumes(status, conf, name)) {
    volumes.push_back(cli::ToJson(v));
    volumes.back()["reason"] = reason;
    volumes.back()["state"] = State(v, reason, conf);
  }
  for (const auto& [member, report] : status.report()) {
    members[member] = {{"software", report.software()}, {"started_ns", report.started()}};
  }
  json out = ChunkserverStatusJson(status);
  out.update({{"volumes", volumes},
              {"members", members},
              {"generation", status.generation()},
              {"transaction", status.transaction()}});
  return out;
}

std::string ChunkserverStatusText(const pb::VolumeStatusReply& status) {
  return ChunkserverTable(status) + Unreachable(status);
}

namespace {

// Null: exit with *code.
std::unique_ptr<pb::VolumeStatusReply> Ask(const GlobalOptions& global, AdminConnection& admin,
                                           const std::string& name, int* code) {
  pb::VolumeStatusRequest request;
  *request.mutable_ctx() = NewContext(global, admin, false);
  request.set_name(name);
  return ReplyOrReport(admin, admin.Gather<rpc::VolumeStatus>(request), code);
}

int RunVolumeStatus(GlobalOptions& global, const std::string& name) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto status = Ask(global, *admin, name, &code);
  if (status == nullptr) return code;
  auto conf = ReplyOrReport(*admin, admin->Call<rpc::ConfShow>({}), &code);
  if (conf == nullptr) return code;
  if (global.json) {
    PrintJson(VolumeStatusJson(*status, *conf, name));
  } else {
    Print(VolumeStatusText(*status, *conf, name));
  }
  return kOk;
}

int RunChunkserverStatus(GlobalOptions& global) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto status = Ask(global, *admin, "", &code);
  if (status == nullptr) return code;
  if (global.json) {
    PrintJson(ChunkserverStatusJson(*status));
  } else {
    Print(ChunkserverStatusText(*status));
  }
  return kOk;
}

}  // namespace

void AddVolumeStatusCommand(CLI::App& volume, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = volume.add_subcommand(
      "status", "Ask every metaserver and chunkserver how it is, and show what they say.");
  command->fallthrough();
  global.names[command->add_option("NAME", *name, "The volume. Default: all of them.")
                   ->type_name("")
                   ->check(CLI::Validator(
                       [](const std::string& text) {
                         return text.empty() ? "a volume's name is not empty" : "";
                       },
                       ""))] = Names::kVolume;
  command->footer("Who does not answer keeps nobody waiting longer than --timeout, and is named.");
  command->callback(
      [&global, name] { global.run = [&global, name] { return RunVolumeStatus(global, *name); }; });
}

void AddChunkserverStatusCommand(CLI::App& chunkserver, GlobalOptions& global) {
  CLI::App* command = chunkserver.add_subcommand(
      "status", "Ask every chunkserver how its disks are, and show what they say.");
  command->fallthrough();
  command->callback([&global] { global.run = [&global] { return RunChunkserverStatus(global); }; });
}

}  // namespace kfs::cli
