// kfs peer why
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/arguments.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

std::string PeerWhyText(const pb::PeerWhyReply& why) {
  std::string out = fmt::format("{}: {}\n", why.address(), why.state());
  for (const auto& f : why.finding()) {
    out += fmt::format("{}  {}: {}", f.good() ? "ok " : "BAD", f.what(), f.words());
    if (!f.good() && !f.remedy().empty()) out += "  -> " + f.remedy();
    out += "\n";
  }
  if (!why.difference().empty()) out += "from its configuration to ours:\n";
  for (const std::string& line : why.difference()) out += "  " + line + "\n";
  return out;
}

json PeerWhyJson(const pb::PeerWhyReply& why) {
  json findings = json::array();
  for (const auto& f : why.finding()) {
    findings.push_back(
        {{"what", f.what()}, {"good", f.good()}, {"words", f.words()}, {"remedy", f.remedy()}});
  }
  return {{"address", why.address()},
          {"state", why.state()},
          {"findings", findings},
          {"difference", StringsJson(why.difference())}};
}

namespace {

int RunPeerWhy(GlobalOptions& global, const std::string& peer) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  pb::PeerWhyRequest request;
  request.set_peer(peer);
  auto reply = ReplyOrReport(*admin, admin->Gather<rpc::PeerWhy>(request), &code);
  if (reply == nullptr) return code;
  if (global.json) {
    PrintJson(PeerWhyJson(*reply));
  } else {
    Print(PeerWhyText(*reply));
  }
  const bool well =
      std::all_of(reply->finding().begin(), reply->finding().end(), [](const auto& f) { return f.good(); });
  return well ? kOk : kFailed;
}

}  // namespace

void AddPeerWhyCommand(CLI::App& peer, GlobalOptions& global) {
  auto name = std::make_shared<std::string>();
  CLI::App* command =
      peer.add_subcommand("why", "Find out why a metaserver is not connected, or rejected, and what to do.");
  command->fallthrough();
  AddPeerArgument(command, global, name.get());
  command->footer("Exit code: 0 nothing is wrong with it, 1 something is (lines that begin with BAD).");
  command->callback([&global, name] { global.run = [&global, name] { return RunPeerWhy(global, *name); }; });
}

}  // namespace kfs::cli
