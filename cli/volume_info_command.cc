// kfs volume info
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

int RunInfo(GlobalOptions& global, const std::string& name) {
  pb::VolumeInfoRequest request;
  request.set_name(name);
  int code = kOk;
  auto reply = CallOrReport<rpc::VolumeInfo>(global, request, &code);
  if (reply == nullptr) return code;
  const pb::VolumeInfo& v = reply->volume();
  if (global.json) {
    PrintJson(ToJson(v));
    return kOk;
  }
  Print(fmt::format(
      "name        {}\nid          {}\nmade        {}\nfiles       {}\ndata        {} ({} bytes)\n"
      "chunk size  {}\ncopies      {}\nmounts      {}\n",
      v.name(), v.id(), HumanTime(v.created()), v.files(), HumanBytes(v.bytes()), v.bytes(),
      HumanBytes(v.chunk_size()), v.replicas(), v.sessions()));
  return kOk;
}

}  // namespace

void AddVolumeInfoCommand(CLI::App& volume, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = volume.add_subcommand("info", "Show one volume.");
  command->fallthrough();
  command->add_option("NAME", *name, "The volume.")->required()->type_name("");
  command->callback([&global, name] { global.run = [&global, name] { return RunInfo(global, *name); }; });
}

}  // namespace kfs::cli
