// kfs peer probe, detach, address, repair
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/change.h"
#include "cli/confirm.h"
#include "rpc/address.h"

namespace kfs::cli {
namespace {

struct PeerArgs {
  std::string peer, address;
  bool dry_run = false;
};

void AddAddressArgument(CLI::App* command, const char* name, const char* words, std::string* address) {
  command->add_option(name, *address, words)
      ->required()
      ->type_name("")
      ->check(CLI::Validator(
          [](const std::string& text) {
            std::string host;
            uint16_t port = 0;
            const Status s = SplitAddress(text, kMetaserverPort, &host, &port);
            if (!s.ok()) return s.message();
            const bool letters = host.find_first_of(" \t\n/") == std::string::npos;
            const bool number = host.find(':') == std::string::npos ||
                                ParseNumericAddress("[" + host + "]", kMetaserverPort).ok();
            if (!letters || !number) return "'" + text + "' is no address (HOST or HOST:PORT)";
            return host.empty() ? "'" + text + "' names no host" : std::string();
          },
          ""));
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

struct DetachArgs {
  std::vector<std::string> peers;
  bool lost = false;
  bool yes = false;

  Status Build(pb::Change* change) const {
    if (!lost && peers.size() != 1)
      return Status(EINVAL, "one metaserver is detached at a time, but for those given up with --lost");
    if (!lost) change->mutable_remove_member()->set_uuid(peers.front());
    if (lost) change->mutable_give_up_members()->mutable_uuid()->Add(peers.begin(), peers.end());
    return {};
  }
};

// What would happen, said by those who would do it, and whether it is wanted.
Status AskToGiveUp(const GlobalOptions& global, const DetachArgs& args, AdminConnection& admin) {
  pb::ConfChangeRequest request;
  KFS_RETURN_IF_ERROR(args.Build(request.mutable_change()));
  *request.mutable_ctx() = NewContext(global, admin, /*dry_run=*/true);
  Result<pb::ConfChangeReply> would = admin.Change<rpc::ConfChange>(request);
  if (!would.ok()) return would.status();
  std::string words = "This gives up for good:\n";
  for (const std::string& line : would->difference()) words += "  " + line + "\n";
  words +=
      "What only they knew is lost. If they run, and are only out of reach from here, do not: there would be "
      "two clusters.\nType 'lost' to go on:";
  return Confirm({words, "lost", "nothing was changed"});
}

void AddDetach(CLI::App& peer, GlobalOptions& global) {
  auto args = std::make_shared<DetachArgs>();
  CLI::App* command = peer.add_subcommand("detach", "Take a metaserver out of the cluster.");
  command->fallthrough();
  AddPeersArgument(command, global, &args->peers);
  command->add_flag("--lost", args->lost,
                    "They are gone for good, and so is what only they had: their volumes go to other "
                    "metaservers, to be restored there from backups.");
  AddYes(command, &args->yes);
  MakeChangeCommand(command, global,
                    {.build = [args](pb::Change* change) { return args->Build(change); },
                     .confirm =
                         [&global, args](AdminConnection& admin) {
                           return args->lost && !args->yes ? AskToGiveUp(global, *args, admin) : Status();
                         },
                     .next = nullptr});
  command->footer(
      "It must own no volume. It may be down.\nWith --lost several can be named, and even a majority: those "
      "that are left decide then, all of them.");
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
