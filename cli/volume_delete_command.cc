// kfs volume delete
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/confirm.h"

namespace kfs::cli {
namespace {

struct DeleteArgs {
  std::string name;
  bool yes = false;
};

// What would be refused is told before the question is asked.
Result<Question> AskToDelete(const std::string& name, const pb::VolumeInfo& v) {
  if (v.started()) {
    return Status(EBUSY, fmt::format("volume {0} is started (stop it first: kfs volume stop {0})", name));
  }
  return Question{
      fmt::format("This deletes the volume {} and everything in it for good. Type its name to go on:", name),
      name, "nothing was deleted"};
}

}  // namespace

void AddVolumeDeleteCommand(CLI::App& volume, GlobalOptions& global) {
  auto args = std::make_shared<DeleteArgs>();
  CLI::App* command = volume.add_subcommand("delete", "Delete a stopped volume and everything in it.");
  command->fallthrough();
  AddVolumeArgument(command, global, &args->name);
  AddYes(command, &args->yes);
  MakeChangeCommand(
      command, global,
      {.build =
           [args](pb::Change* change) {
             change->mutable_delete_volume()->set_name(args->name);
             return Status();
           },
       .confirm =
           [args](AdminConnection& admin) {
             if (args->yes) return Status();
             return ConfirmFor(args->name, admin,
                               [args](const pb::VolumeInfo& v) { return AskToDelete(args->name, v); });
           },
       .next = [](AdminConnection&) { return std::string("its space is freed in the background\n"); }});
}

}  // namespace kfs::cli
