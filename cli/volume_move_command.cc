// kfs volume move
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {
namespace {

// Copying takes its time; the volume is served meanwhile.
constexpr int kMoveTimeoutS = 3600;

// Only the owner can hand it over: its database is there.
int Move(GlobalOptions& global, const std::string& name, const std::string& peer, bool dry_run) {
  if (global.timeout_s == 0) global.timeout_s = kMoveTimeoutS;
  int code = kOk;
  auto any = OpenOrReport(global, &code);
  if (any == nullptr) return code;
  pb::LocateVolumeRequest where;
  where.set_name(name);
  auto found = ReplyOrReport(*any, any->Call<rpc::LocateVolume>(where), &code);
  if (found == nullptr) return code;
  pb::VolumeMoveRequest request;
  request.set_name(name);
  request.set_peer(peer);
  global.metaservers = {found->owner()};
  return RunChange<rpc::VolumeMove>(global, request, dry_run);
}

}  // namespace

void AddVolumeMoveCommand(CLI::App& volume, GlobalOptions& global) {
  struct MoveArgs {
    std::string name, peer;
    bool dry_run = false;
  };
  auto args = std::make_shared<MoveArgs>();
  CLI::App* command = volume.add_subcommand(
      "move",
      "Let another metaserver serve a volume, while it is mounted: its metadata is copied, calls wait for a "
      "moment, and go on there.");
  command->fallthrough();
  AddVolumeArgument(command, global, &args->name);
  AddPeerArgument(command, global, &args->peer, "The new owner");
  AddDryRun(command, &args->dry_run);
  command->callback([&global, args] {
    global.run = [&global, args] { return Move(global, args->name, args->peer, args->dry_run); };
  });
}

}  // namespace kfs::cli
