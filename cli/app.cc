#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "cli/admin_connection.h"
#include "cli/command.h"
#include "cli/command_list.h"
#include "cli/help.h"
#include "cli/typed_words.h"
#include "common/log.h"
#include "common/utf8.h"

namespace kfs::cli {

#define KFS_GROUP(name, description, footer)
#define KFS_COMMAND(add) void add(CLI::App& group, GlobalOptions& global);
KFS_COMMANDS(KFS_GROUP, KFS_COMMAND)
#undef KFS_COMMAND
#undef KFS_GROUP

namespace {

void AddGlobalOptions(CLI::App& app, GlobalOptions& global) {
  app.add_option("--metaserver", global.metaservers,
                 "Where the metaservers are; any member of the cluster will do, several are tried in turn. "
                 "Default: $KFS_METASERVER, then /etc/kfs/client.toml, then 127.0.0.1:7400.")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->take_all();
  CLI::Option* secret =
      app.add_option(
             "--secret-file", global.secret_file,
             "File with the cluster's secret. Default: $KFS_SECRET_FILE, then /etc/kfs/client.toml, then "
             "/etc/kfs/secret.")
          ->type_name("FILE");
  global.names[secret] = Names::kFile;
  app.add_option("--tls", global.tls,
                 "Links by TCP: required (TLS only), accept (plain where the other end has no TLS) or off. "
                 "Default: $KFS_TLS, then /etc/kfs/client.toml, then required.")
      ->type_name("MODE");
  app.add_option(
         "--timeout", global.timeout_s,
         "Give up when there is no answer for so long. Default: 5; 20 for changes of the configuration.")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.01, 86400.0).description(""))
      ->check(CLI::Validator(
          [](const std::string& text) {
            return text.find_first_not_of("0123456789.eE+-") == std::string::npos ? ""
                                                                                  : text + " is not a number";
          },
          ""));
  app.add_flag("--json", global.json, "Print JSON, for scripts.");
}

// Commands made after a group's footer was set would inherit it, so it comes last.
void EndGroup(CLI::App& app, CLI::App* group, const char* footer) {
  if (group != &app) group->footer(footer);
}

CLI::App* BeginGroup(CLI::App& app, const char* name, const char* description) {
  CLI::App* group = app.add_subcommand(name, description);
  group->fallthrough();
  return group;
}

void AddCommands(CLI::App& app, GlobalOptions& global) {
  CLI::App* group = &app;
  const char* footer = "";
#define KFS_GROUP(name, description, words)   \
  EndGroup(app, group, footer);               \
  group = BeginGroup(app, name, description); \
  footer = words;
#define KFS_COMMAND(add) add(*group, global);
  KFS_COMMANDS(KFS_GROUP, KFS_COMMAND)
#undef KFS_COMMAND
#undef KFS_GROUP
  EndGroup(app, group, footer);
}

}  // namespace

void BuildApp(CLI::App& app, GlobalOptions& global) {
  app.name("kfs");
  app.fallthrough();
  app.formatter(HelpFormatter());
  app.description("Mounts KFS volumes and looks after a KFS cluster.");
  AddGlobalOptions(app, global);
  AddCommands(app, global);
  app.footer(
      "Examples:\n"
      "  kfs volume create data                      make a volume\n"
      "  kfs mount --mkdir 127.0.0.1:/data /mnt/data mount it\n"
      "  kfs health                                  is all well?\n"
      "  kfs doctor /mnt/data                        why is this mount slow?\n"
      "  kfs df                                      how full is it?\n"
      "  kfs peer probe meta2.example.org            a second metaserver joins\n"
      "  kfs volume set data atime off --dry-run     what would that change?\n"
      "  kfs status --json | jq .chunkservers        for scripts\n"
      "\n"
      "'kfs help COMMAND' explains a command. Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 no "
      "metaserver "
      "can be reached,\n"
      "or it refuses us, 4 no such volume, peer, chunkserver, option or transaction, 5 a change was sent and "
      "may or may not\n"
      "have been made ('kfs cluster log' shows it). 'kfs mount' has those of mount(8); 'kfs health', 'kfs "
      "doctor' and\n"
      "'kfs status --check' say how bad it is: 0 well, 1 warning, 2 critical.");
}

int RunCommandLine(CLI::App& app, GlobalOptions& global, const std::vector<std::string>& args) {
  global.words = TypedWords(app, args);
  if (!args.empty() && args.front() == "help")
    return RunHelp(app, std::vector<std::string>(args.begin() + 1, args.end()));
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    ReportAsJson(std::count(args.begin(), args.end(), "--json") != 0);
    return Report(Status(EINVAL, ExplainUsage(app, args, e.what())), kUsage);
  }
  ReportAsJson(global.json);
  if (!global.run) {
    // A group of commands without a command.
    const auto chosen = app.get_subcommands();
    std::fputs((chosen.empty() ? app : *chosen.front()).help().c_str(), stderr);
    return kUsage;
  }
  // A path may be anything; what the cluster stores, and what is printed, is text.
  const bool paths = global.words.starts_with("mount") || global.words.starts_with("umount") ||
                     global.words.starts_with("doctor");
  if (!paths && !std::all_of(args.begin(), args.end(), IsLine)) {
    return Report(Status(EINVAL,
                         "an argument has control characters, or is not UTF-8: names, labels and values are "
                         "text"),
                  kUsage);
  }
  if (!global.log) {
    if (Status s = InitLog("kfs", "", "off"); !s.ok())
      std::fprintf(stderr, "kfs: %s\n", s.ToString().c_str());
  }
  return global.run();
}

}  // namespace kfs::cli
