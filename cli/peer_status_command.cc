// kfs peer status
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

std::string MembersLine(const pb::ConfShowReply& conf) {
  bool itself = false;
  int connected = 0;
  for (const auto& m : conf.conf().member()) {
    const bool self = m.uuid() == conf.self();
    itself = itself || self;
    // Those that were detached and are being told of it are peers, but no members.
    connected += self || std::any_of(conf.peer().begin(), conf.peer().end(),
                                     [&](const auto& p) { return p.uuid() == m.uuid() && p.connected(); });
  }
  return fmt::format("members     {} of {} connected, generation {}{}\n", connected,
                     conf.conf().member_size(), conf.conf().generation(),
                     itself ? "" : "; this metaserver was detached from them");
}

std::string PeerStatusText(const pb::ConfShowReply& conf, TimeNs now) {
  std::string out = fmt::format("Number of Peers: {}\n", conf.peer_size());
  for (const auto& p : conf.peer()) {
    out += fmt::format("\nHostname: {}\nUuid: {}\nState: {} ({})\n", p.address(), p.uuid(), p.state(),
                       p.connected() ? "Connected" : "Disconnected");
    if (!p.reason().empty()) out += fmt::format("Reason: {}\n", p.reason());
    if (!p.connected()) out += fmt::format("Last heard: {}\n", HumanAge(p.last_heard(), now));
    if (p.generation() != conf.conf().generation() && p.generation() != 0)
      out += fmt::format("Generation: {} (here {})\n", p.generation(), conf.conf().generation());
    if (p.generation() == conf.conf().generation() && p.checksum() != conf.checksum())
      out += fmt::format("Configuration: another than here (kfs peer why {})\n", p.address());
    if (!p.votes()) out += "Vote: not yet\n";
  }
  if (conf.peer().empty()) out += "a metaserver joins with 'kfs peer probe HOST:PORT'\n";
  return out;
}

json PeerStatusJson(const pb::ConfShowReply& conf) {
  json peers = json::array();
  for (const auto& p : conf.peer()) {
    peers.push_back({{"uuid", p.uuid()},
                     {"address", p.address()},
                     {"connected", p.connected()},
                     {"state", p.state()},
                     {"generation", p.generation()},
                     {"checksum", Hex(p.checksum())},
                     {"last_heard_ns", p.last_heard()},
                     {"reason", p.reason()},
                     {"votes", p.votes()},
                     {"software", p.software()}});
  }
  std::string address;
  for (const auto& m : conf.conf().member()) {
    if (m.uuid() == conf.self()) address = m.address();
  }
  return {{"self",
           {{"uuid", conf.self()},
            {"address", address},
            {"generation", conf.conf().generation()},
            {"checksum", Hex(conf.checksum())},
            {"software", conf.software()}}},
          {"peers", peers}};
}

namespace {

int RunPeerStatus(GlobalOptions& global) {
  int code = kOk;
  auto reply = CallOrReport<rpc::ConfShow>(global, {}, &code);
  if (reply == nullptr) return code;
  if (global.json) {
    PrintJson(PeerStatusJson(*reply));
  } else {
    Print(PeerStatusText(*reply, SystemClock().WallNow()));
  }
  return kOk;
}

}  // namespace

void AddPeerStatusCommand(CLI::App& peer, GlobalOptions& global) {
  CLI::App* command =
      peer.add_subcommand("status", "Show the other members, as the metaserver asked sees them.");
  command->fallthrough();
  command->callback([&global] { global.run = [&global] { return RunPeerStatus(global); }; });
}

}  // namespace kfs::cli
