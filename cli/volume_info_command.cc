// kfs volume info
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/arguments.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

int RunInfo(GlobalOptions& global, const std::string& name) {
  pb::VolumeInfoRequest request;
  request.set_name(name);
  int code = kOk;
  auto reply = CallOrReport<rpc::VolumeInfo>(global, request, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    PrintJson(ToJson(reply->volume()));
  } else {
    Print(VolumeText(reply->volume()));
  }
  return kOk;
}

}  // namespace

void AddVolumeInfoCommand(CLI::App& volume, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = volume.add_subcommand("info", "Show one volume.");
  command->fallthrough();
  AddVolumeArgument(command, global, name.get());
  command->callback([&global, name] { global.run = [&global, name] { return RunInfo(global, *name); }; });
}

}  // namespace kfs::cli
