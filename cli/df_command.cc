// kfs df: how full the chunkservers are, and what each volume holds.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {
namespace {

int RunDf(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::ClusterStatus>(global, {}, &code);
  if (reply == nullptr) return code;
  uint64_t capacity = reply->capacity(), available = reply->available();
  // A metaserver of an earlier version tells of each chunkserver alone. What one that is down has is of no
  // use now.
  for (const auto& c : reply->chunkserver()) {
    if (reply->capacity() == 0 && c.up()) capacity += c.capacity(), available += c.available();
  }
  if (global.json) {
    nlohmann::json volumes = nlohmann::json::array(), servers = nlohmann::json::array();
    for (const auto& v : reply->volume()) volumes.push_back(ToJson(v));
    for (const auto& c : reply->chunkserver()) {
      servers.push_back({{"id", c.id()},
                         {"address", c.address()},
                         {"up", c.up()},
                         {"capacity", c.capacity()},
                         {"available", c.available()}});
    }
    PrintJson(
        {{"capacity", capacity}, {"available", available}, {"volumes", volumes}, {"chunkservers", servers}});
    return kOk;
  }
  Table servers({"CHUNKSERVER", "ADDRESS", "SIZE", "USED", "AVAILABLE", "USE%"}, {2, 3, 4, 5});
  auto add = [&](const std::string& name, const std::string& address, uint64_t size, uint64_t free) {
    servers.Add({name, address, HumanBytes(size), HumanBytes(size - free), HumanBytes(free),
                 Percent(size - free, size)});
  };
  for (const auto& c : reply->chunkserver()) {
    add(std::to_string(c.id()), c.address() + (c.up() ? "" : " (down)"), c.capacity(), c.available());
  }
  add("total", "(up)", capacity, available);
  Table volumes({"VOLUME", "FILES", "DATA"}, {1, 2});
  for (const auto& v : reply->volume())
    volumes.Add({v.name(), CountedOrState(v, VolumeState(v, nullptr), std::to_string(v.files())),
                 CountedOrState(v, VolumeState(v, nullptr), HumanBytes(v.bytes()))});
  Print(servers.Text());
  if (!volumes.empty()) Print("\n" + volumes.Text());
  return kOk;
}

}  // namespace

void AddDfCommand(CLI::App& app, GlobalOptions& global) {
  CLI::App* command = app.add_subcommand("df", "Show how full the cluster is.");
  command->fallthrough();
  command->footer(
      "Sizes are those of the file systems that the chunkservers store on. One that several chunkservers of "
      "a "
      "machine share\n"
      "is shown with each of them, and counts once in the total.");
  command->callback([&global] { global.run = [&global] { return RunDf(global); }; });
}

}  // namespace kfs::cli
