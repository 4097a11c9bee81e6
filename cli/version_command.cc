// kfs version
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/output.h"
#include "rpc/hello.h"

namespace kfs::cli {

void AddVersionCommand(CLI::App& app, GlobalOptions& global) {
  CLI::App* command =
      app.add_subcommand("version", "Show the version of this program and of the protocol it speaks.");
  command->fallthrough();
  command->callback([&global] {
    global.run = [&global] {
      if (global.json) {
        PrintJson({{"software", kSoftware}, {"protocol", kProtocolVersion}});
      } else {
        Print(std::string(kSoftware) + ", protocol " + std::to_string(kProtocolVersion) + "\n");
      }
      return static_cast<int>(kOk);
    };
  });
}

}  // namespace kfs::cli
