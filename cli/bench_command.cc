// kfs bench: drives the client library without FUSE.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "client/bench/meta_bench.h"

namespace kfs::cli {
namespace {

struct BenchArgs {
  std::string volume;
  BenchOptions options;
};

int RunBench(GlobalOptions& global, BenchArgs args) {
  Status s = ResolveDefaults(&global);
  if (s.ok()) s = CheckMetaservers(global);
  if (!s.ok()) return Report(s, kUsage);
  args.options.client.metaservers = global.metaservers;
  args.options.client.volume = args.volume;
  args.options.client.secret_file = global.secret_file;
  args.options.client.mountpoint = "(kfs bench)";
  auto result = RunMetaBench(args.options);
  if (!result.ok()) return Report(result.status(), result.status().err() == ENOENT ? kNotFound : kFailed);
  Print(global.json ? result->ToJson() + "\n" : result->ToText());
  for (const BenchPhase& phase : result->phases) {
    if (phase.errors != 0) return Report(Status(EIO, phase.name + ": " + phase.first_error));
  }
  return kOk;
}

}  // namespace

void AddBenchCommand(CLI::App& app, GlobalOptions& global) {
  CLI::App* bench = app.add_subcommand("bench", "Measure the cluster without FUSE.");
  bench->fallthrough();
  auto args = std::make_shared<BenchArgs>();
  CLI::App* meta =
      bench->add_subcommand("meta", "Rates and latencies of metadata operations, many in flight at once.");
  meta->fallthrough();
  meta->add_option("--volume", args->volume,
                   "The volume to work in; a directory is made there and removed again.")
      ->required()
      ->type_name("NAME");
  meta->add_option("--seconds", args->options.seconds,
                   "How long to create files; the other phases visit them. Default: 3.")
      ->type_name("S")
      ->check(CLI::Range(0.1, 3600.0).description(""));
  meta->add_option("--clients", args->options.clients,
                   "Sessions, each with a connection and a thread. Default: 1.")
      ->type_name("N")
      ->check(CLI::Range(1, 256).description(""));
  meta->add_option("--in-flight", args->options.in_flight,
                   "Calls that each client has under way. Default: 64.")
      ->type_name("N")
      ->check(CLI::Range(1, 4096).description(""));
  meta->footer("Fails when an operation did.");
  meta->callback([&global, args] { global.run = [&global, args] { return RunBench(global, *args); }; });
}

}  // namespace kfs::cli
