// kfs peer probe, detach, address, repair
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"

namespace kfs::cli {
namespace {

struct PeerArgs {
  std::string peer, address;
  bool dry_run = false;
};

void AddAddressArgument(CLI::App* command, const char* name, const char* words, std::string* address) {
  command->add_option(name, *address, words)->required()->type_name("");
}

void AddProbe(CLI::App& peer, GlobalOptions& global) {
  auto args = std::make_shared<PeerArgs>();
  CLI::App* command = peer.add_subcommand("probe", "Make a metaserver a member of the cluster.");
  command->fallthrough();
  AddAddressArgument(command, "ADDRESS",
                     "HOST[:PORT] of the new one, as the other members and the clients reach it.",
                     &args->address);
  AddDryRun(command, &args->dry_run);
  command->footer("It has to know the cluster's secret, be alone, and hold no volumes.");
  command->callback([&global, args] {
    global.run = [&global, args] {
      pb::PeerProbeRequest request;
      request.set_address(args->address);
      return RunChange<rpc::PeerProbe>(global, request, args->dry_run);
    };
  });
}

void AddDetach(CLI::App& peer, GlobalOptions& global) {
  auto args = std::make_shared<PeerArgs>();
  CLI::App* command = peer.add_subcommand("detach", "Take a metaserver out of the cluster.");
  command->fallthrough();
  AddPeerArgument(command, global, &args->peer);
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_remove_member()->set_uuid(args->peer);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
  command->footer("It must own no volume. It may be down, or gone for good.");
}

void AddAddress(CLI::App& peer, GlobalOptions& global) {
  auto args = std::make_shared<PeerArgs>();
  CLI::App* command = peer.add_subcommand("address", "Tell the cluster the new address of a metaserver.");
  command->fallthrough();
  AddPeerArgument(command, global, &args->peer);
  AddAddressArgument(command, "ADDRESS", "HOST:PORT where it is now.", &args->address);
  MakeChangeCommand(command, global,
                    {.build =
                         [args](pb::Change* change) {
                           change->mutable_set_address()->set_uuid(args->peer);
                           change->mutable_set_address()->set_address(args->address);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
}

void AddRepair(CLI::App& peer, GlobalOptions& global) {
  auto args = std::make_shared<PeerArgs>();
  CLI::App* command =
      peer.add_subcommand("repair", "Give a metaserver the configuration that the majority has.");
  command->fallthrough();
  AddPeerArgument(command, global, &args->peer);
  AddDryRun(command, &args->dry_run);
  command->footer(
      "One whose state was wiped is admitted again; it votes after the next change. One with a damaged or "
      "conflicting configuration\ngets the majority's. 'kfs peer why' shows what is wrong with it.");
  command->callback([&global, args] {
    global.run = [&global, args] {
      pb::PeerRepairRequest request;
      request.set_peer(args->peer);
      return RunChange<rpc::PeerRepair>(global, request, args->dry_run);
    };
  });
}

}  // namespace

void AddPeerChangeCommands(CLI::App& peer, GlobalOptions& global) {
  AddProbe(peer, global);
  AddDetach(peer, global);
  AddAddress(peer, global);
  AddRepair(peer, global);
}

}  // namespace kfs::cli
