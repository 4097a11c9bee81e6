// kfs volume move
#include <CLI/CLI.hpp>
#include <future>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {
namespace {

// Copying takes its time; the volume is served meanwhile.
constexpr int kMoveTimeoutS = 3600;
constexpr double kWatchTimeoutS = 0.9;

// How far it is, asked of the owner on a connection of its own: the one that moves it waits for its answer.
void TellProgress(const GlobalOptions& options, const std::string& name, const std::future<int>& move) {
  if (move.wait_for(Waiting::kSayAfter) == std::future_status::ready) return;
  auto owner = AdminConnection::Open(options);
  if (!owner.ok()) return;
  Progress progress("volume " + name);
  pb::VolumeInfoRequest request;
  request.set_name(name);
  while (move.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    auto info = (*owner)->Call<rpc::VolumeInfo>(request);
    if (info.ok() && !info->volume().moving().empty()) progress.Tell("moving " + info->volume().moving());
  }
}

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
  GlobalOptions watching = global;
  watching.timeout_s = kWatchTimeoutS;
  auto move =
      std::async(std::launch::async, [&] { return RunChange<rpc::VolumeMove>(global, request, dry_run); });
  TellProgress(watching, name, move);
  return move.get();
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
