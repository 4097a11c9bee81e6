// kfs volume move
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {

void AddVolumeMoveCommand(CLI::App& volume, GlobalOptions& global) {
  struct MoveArgs {
    std::string name, peer;
  };
  auto args = std::make_shared<MoveArgs>();
  CLI::App* command =
      volume.add_subcommand("move", "Let another metaserver serve a volume. Refused in this version.");
  command->fallthrough();
  AddVolumeArgument(command, global, &args->name);
  AddPeerArgument(command, global, &args->peer, "The new owner");
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_move_volume()->set_name(args->name);
                           change->mutable_move_volume()->set_owner(args->peer);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

}  // namespace kfs::cli
