// kfs volume list
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {
namespace {

int RunVolumeList(GlobalOptions& global) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto reply = ReplyOrReport(*admin, admin->Call<rpc::VolumeList>({}), &code);
  if (reply == nullptr) return code;
  // Whether the owners are there. One that cannot tell has told of the volumes all the same.
  const auto conf = admin->Call<rpc::ConfShow>({});
  const pb::ConfShowReply* peers = conf.ok() ? &*conf : nullptr;
  if (global.json) {
    nlohmann::json volumes = nlohmann::json::array();
    for (const auto& v : reply->volume()) {
      volumes.push_back(ToJson(v));
      volumes.back()["state"] = VolumeState(v, peers);
    }
    PrintJson(volumes);
    return kOk;
  }
  Table table({"VOLUME", "STATE", "OWNER", "FILES", "DATA", "MOUNTS", "CHUNK SIZE", "COPIES", "MADE"},
              {3, 4, 5, 6, 7});
  bool all_counted = true;
  for (const auto& v : reply->volume()) {
    const std::string state = VolumeState(v, peers);
    const std::string files = CountedOrState(v, state, std::to_string(v.files()));
    all_counted = all_counted && files != "?";
    table.Add({v.name(), state, v.owner(), files, CountedOrState(v, state, HumanBytes(v.bytes())),
               CountedOrState(v, state, std::to_string(v.sessions())), HumanBytes(v.chunk_size()),
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
