// kfs volume list
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

int RunVolumeList(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::VolumeList>(global, {}, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    nlohmann::json volumes = nlohmann::json::array();
    for (const auto& v : reply->volume()) volumes.push_back(ToJson(v));
    PrintJson(volumes);
    return kOk;
  }
  Table table({"VOLUME", "STATE", "OWNER", "FILES", "DATA", "MOUNTS", "CHUNK SIZE", "COPIES", "MADE"},
              {3, 4, 5, 6, 7});
  bool all_counted = true;
  for (const auto& v : reply->volume()) {
    all_counted = all_counted && v.counted();
    table.Add({v.name(), v.started() ? "started" : "stopped", v.owner(),
               Counted(v, std::to_string(v.files())), Counted(v, HumanBytes(v.bytes())),
               Counted(v, std::to_string(v.sessions())), HumanBytes(v.chunk_size()),
               std::to_string(v.replicas()), HumanTime(v.created())});
  }
  Print(table.empty() ? "no volume yet: 'kfs volume create NAME' makes one\n" : table.Text());
  if (!all_counted) Print("?: only the owner knows; 'kfs volume status' asks it\n");
  return kOk;
}

}  // namespace

void AddVolumeListCommand(CLI::App& volume, GlobalOptions& global) {
  CLI::App* command = volume.add_subcommand("list", "List the volumes.");
  command->fallthrough();
  command->callback([&global] { global.run = [&global] { return RunVolumeList(global); }; });
}

}  // namespace kfs::cli
