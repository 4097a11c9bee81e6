// kfs chunkserver list
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

namespace {

pb::ConfShowReply::Chunkserver StateOf(const pb::ConfShowReply& conf, uint64_t id) {
  for (const auto& c : conf.chunkserver()) {
    if (c.id() == id) return c;
  }
  return {};
}

std::string SickDisks(const pb::ConfShowReply::Chunkserver& c) {
  const auto sick =
      std::count_if(c.disk().begin(), c.disk().end(), [](const auto& d) { return !d.error().empty(); });
  return sick == 0 ? "" : fmt::format(", {} of {} disks sick", sick, c.disk_size());
}

}  // namespace

std::string ChunkserverListText(const pb::ConfShowReply& conf, TimeNs now) {
  Table table({"ID", "UUID", "ADDRESS", "STATE", "LABELS"}, {0});
  for (const auto& c : conf.conf().chunkserver()) {
    const auto state = StateOf(conf, c.id());
    std::string seen = state.last_seen() == 0
                           ? "down, never seen"
                           : fmt::format("down, seen {} ago", HumanAge(state.last_seen(), now));
    table.Add({std::to_string(c.id()), c.uuid(), state.address().empty() ? "-" : state.address(),
               state.up() ? "up" + SickDisks(state) : seen, PairsText(c.label())});
  }
  return table.empty() ? "no chunkserver has registered yet: start kfs-chunkserver\n" : table.Text();
}

json ChunkserverListJson(const pb::ConfShowReply& conf) {
  json out = json::array();
  for (const auto& c : conf.conf().chunkserver()) {
    const auto state = StateOf(conf, c.id());
    json disks = json::array();
    for (const auto& d : state.disk()) disks.push_back(ToJson(d));
    out.push_back({{"id", c.id()},
                   {"uuid", c.uuid()},
                   {"labels", PairsJson(c.label())},
                   {"address", state.address()},
                   {"up", state.up()},
                   {"last_seen_ns", state.last_seen()},
                   {"disks", disks}});
  }
  return out;
}

namespace {

int RunChunkserverList(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::ConfShow>(global, {}, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    PrintJson(ChunkserverListJson(*reply));
  } else {
    Print(ChunkserverListText(*reply, SystemClock().WallNow()));
  }
  return kOk;
}

}  // namespace

void AddChunkserverListCommand(CLI::App& chunkserver, GlobalOptions& global) {
  CLI::App* command = chunkserver.add_subcommand("list", "List the chunkservers, and their labels.");
  command->fallthrough();
  command->callback([&global] { global.run = [&global] { return RunChunkserverList(global); }; });
}

}  // namespace kfs::cli
