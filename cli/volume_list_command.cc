// kfs volume list
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

int RunList(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::VolumeList>(global, {}, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    nlohmann::json volumes = nlohmann::json::array();
    for (const auto& v : reply->volume()) volumes.push_back(ToJson(v));
    PrintJson(volumes);
    return kOk;
  }
  Table table({"VOLUME", "FILES", "DATA", "CHUNK SIZE", "COPIES", "MOUNTS", "MADE"}, {1, 2, 3, 4, 5});
  for (const auto& v : reply->volume()) {
    table.Add({v.name(), std::to_string(v.files()), HumanBytes(v.bytes()), HumanBytes(v.chunk_size()),
               std::to_string(v.replicas()), std::to_string(v.sessions()), HumanTime(v.created())});
  }
  Print(table.empty() ? "no volume yet: 'kfs volume create NAME' makes one\n" : table.Text());
  return kOk;
}

}  // namespace

void AddVolumeListCommand(CLI::App& volume, GlobalOptions& global) {
  CLI::App* command = volume.add_subcommand("list", "List the volumes.");
  command->fallthrough();
  command->callback([&global] { global.run = [&global] { return RunList(global); }; });
}

}  // namespace kfs::cli
