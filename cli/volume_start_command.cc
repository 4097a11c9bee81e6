// kfs volume start, kfs volume stop
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/confirm.h"

namespace kfs::cli {
namespace {

struct StopArgs {
  std::string name;
  bool yes = false;
};

Result<Question> AskToStop(const std::string& name, const pb::VolumeInfo& v) {
  const std::string mounts = v.counted() ? fmt::format("{}", v.sessions()) : "maybe some";
  return Question{
      fmt::format("This makes the data of volume {} unavailable ({} mounts). Go on? (y/n)", name, mounts),
      "y", "nothing was stopped"};
}

}  // namespace

void AddVolumeStartCommand(CLI::App& volume, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = volume.add_subcommand("start", "Serve a volume that was stopped.");
  command->fallthrough();
  AddVolumeArgument(command, global, name.get());
  MakeChangeCommand(command, global,
                    {.build =
                         [name](pb::Change* change) {
                           change->mutable_start_volume()->set_name(*name);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

void AddVolumeStopCommand(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<StopArgs>();
  CLI::App* command =
      volume.add_subcommand("stop", "Serve a volume no more, until it is started again. Its data stays.");
  command->fallthrough();
  AddVolumeArgument(command, global, &args->name);
  AddYes(command, &args->yes);
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_stop_volume()->set_name(args->name);
                           return Status();
                         },
                     .confirm =
                         [args](AdminConnection& admin) {
                           if (args->yes) return Status();
                           return ConfirmFor(args->name, admin, [args](const pb::VolumeInfo& v) {
                             return AskToStop(args->name, v);
                           });
                         },
                     .next = nullptr});
}

}  // namespace kfs::cli
