// kfs volume delete
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

struct DeleteArgs {
  std::string name;
  bool yes = false;
  bool force = false;
};

// False unless the name is typed. The question goes to stderr: stdout may be a script's.
bool Confirmed(const std::string& name) {
  std::fprintf(stderr, "This deletes the volume %s and everything in it for good. Type its name to go on: ",
               name.c_str());
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == name) return true;
  std::fprintf(stderr, "%skfs: that is not its name; nothing was deleted (--yes does not ask)\n",
               isatty(0) ? "" : "\n");
  return false;
}

int RunDelete(GlobalOptions& global, const DeleteArgs& args) {
  int code = kOk;
  pb::VolumeInfoRequest info;
  info.set_name(args.name);
  // A wrong name is told before the question is asked.
  if (CallOrReport<rpc::VolumeInfo>(global, info, &code) == nullptr) return code;
  if (!args.yes && !Confirmed(args.name)) return kFailed;
  pb::VolumeDeleteRequest request;
  request.set_name(args.name);
  request.set_force(args.force);
  if (CallOrReport<rpc::VolumeDelete>(global, request, &code) == nullptr) return code;
  if (global.json) {
    PrintJson({{"deleted", args.name}});
  } else {
    Print(fmt::format("volume {} is deleted; its space is freed in the background\n", args.name));
  }
  return kOk;
}

}  // namespace

void AddVolumeDeleteCommand(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<DeleteArgs>();
  CLI::App* command = volume.add_subcommand("delete", "Delete a volume and everything in it.");
  command->fallthrough();
  command->add_option("NAME", args->name, "The volume.")->required()->type_name("");
  command->add_flag("--yes", args->yes, "Do not ask.");
  command->add_flag("--force", args->force, "Even while it is mounted: the mounts then fail.");
  command->callback([&global, args] { global.run = [&global, args] { return RunDelete(global, *args); }; });
}

}  // namespace kfs::cli
