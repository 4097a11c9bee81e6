// kfs health
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/health.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

int RunHealth(const GlobalOptions& global) {
  const auto members = AskAllMembers(global);
  // What cannot even be asked is no good sign: as critical as what is found.
  if (!members.ok()) return Report(members.status(), kUsage);
  const std::vector<Finding> findings = Examine(*members, SystemClock().WallNow());
  if (global.json) {
    PrintJson(HealthJson(findings, *members));
  } else {
    Print(HealthText(findings, *members));
  }
  return static_cast<int>(Worst(findings));
}

}  // namespace

void AddHealthCommand(CLI::App& app, GlobalOptions& global) {
  CLI::App* command = app.add_subcommand(
      "health", "Ask every metaserver what is wrong with the cluster, and say what to do.");
  command->fallthrough();
  command->footer(
      "One line a finding, the worst first. Answers within two seconds whatever is down (or within\n"
      "--timeout), and says whom it could not ask.\n"
      "\n"
      "Exit codes: 0 all is well (or there are notes only), 1 a warning: it works, but somebody should\n"
      "look, 2 critical: something does not work, data is at risk, or nobody could be asked.");
  command->callback([&global] { global.run = [&global] { return RunHealth(global); }; });
}

}  // namespace kfs::cli
