// kfs volume move
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
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

// Nobody is to wait for as long as a move may take to learn that the owner is away, and asking another member
// would not help.
int ReachOwner(GlobalOptions options, const std::string& name) {
  options.timeout_s = std::min(options.timeout_s, kReadTimeoutS);
  int code = kOk;
  auto owner = OpenOrReport(options, &code);
  if (owner == nullptr) return code;
  auto there = owner->Call<rpc::Ping>({});
  if (there.ok()) return kOk;
  const std::string& address = options.metaservers.front();
  const std::string why = there.status().message();
  return Report(
      Status(there.status().err(), there.status().code(),
             fmt::format("volume \"{}\" is served by {}, which alone can hand it over, and nothing was "
                         "changed: {}\n  start it; if it is lost for good: 'kfs peer detach {} --lost', "
                         "and 'kfs volume restore' from a backup",
                         name, address, why.substr(0, why.find('\n')), address)),
      ExitCodeOf(there.status(), owner->unreachable()));
}

// Only the owner can hand it over: its database is there.
int Move(GlobalOptions& global, const std::string& name, const std::string& peer, bool dry_run) {
  GlobalOptions asking = global;
  if (global.timeout_s == 0) global.timeout_s = kMoveTimeoutS;
  int code = kOk;
  auto any = OpenOrReport(asking, &code);
  if (any == nullptr) return code;
  pb::LocateVolumeRequest where;
  where.set_name(name);
  auto found = ReplyOrReport(*any, any->Call<rpc::LocateVolume>(where), &code);
  if (found == nullptr) return code;
  pb::VolumeMoveRequest request;
  request.set_name(name);
  request.set_peer(peer);
  global.metaservers = {found->owner()};
  if (int away = ReachOwner(global, name); away != kOk) return away;
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
