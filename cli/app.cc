#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace kfs::cli {
namespace {

void AddGlobalOptions(CLI::App& app, GlobalOptions& global) {
  app.add_option("--metaserver", global.metaservers,
                 "Where the metaserver is; several are tried in turn. Default: $KFS_METASERVER, then "
                 "/etc/kfs/client.toml, "
                 "then 127.0.0.1:7400.")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->take_all();
  app.add_option("--secret-file", global.secret_file,
                 "File with the cluster's secret. Default: $KFS_SECRET_FILE, then /etc/kfs/client.toml, then "
                 "/etc/kfs/secret.")
      ->type_name("FILE");
  app.add_option("--timeout", global.timeout_s, "Give up when there is no answer for so long. Default: 5.")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.01, 86400.0).description(""));
  app.add_flag("--json", global.json, "Print JSON, for scripts.");
}

}  // namespace

void BuildApp(CLI::App& app, GlobalOptions& global) {
  app.name("kfs");
  app.fallthrough();
  app.description("Mounts KFS volumes and looks after a KFS cluster.");
  AddGlobalOptions(app, global);
  AddMountCommand(app, global);
  AddStatusCommand(app, global);
  AddDfCommand(app, global);
  CLI::App* volume = app.add_subcommand("volume", "Make, list, show and delete volumes.");
  volume->fallthrough();
  AddVolumeCreateCommand(*volume, global);
  AddVolumeListCommand(*volume, global);
  AddVolumeInfoCommand(*volume, global);
  AddVolumeDeleteCommand(*volume, global);
  AddBenchCommand(app, global);
  AddVersionCommand(app, global);
  // Last: commands made after a footer was set would inherit it.
  volume->footer("A volume is one file system: a name space of its own, mounted by name.");
  app.footer(
      "Examples:\n"
      "  kfs volume create data                      make a volume\n"
      "  kfs mount 127.0.0.1:/data /mnt/data         mount it\n"
      "  kfs status                                  is everything up?\n"
      "  kfs df                                      how full is it?\n"
      "  kfs status --json | jq .chunkservers        for scripts\n"
      "\n"
      "'kfs COMMAND --help' explains a command. Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 the "
      "metaserver cannot be\n"
      "reached or refuses us, 4 no such volume; 'kfs mount' has those of mount(8).");
}

}  // namespace kfs::cli
