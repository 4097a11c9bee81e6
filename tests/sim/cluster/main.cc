// kfs-sim: simulates whole clusters, one for each seed, and tells which of them went wrong.
//
// Prints a line for each seed that went wrong, with what no order of the calls explains, and last the
// figures. Exit code 1 if one did. The same seed does the same again: kfs-sim --from S --seeds 1 --log shows
// what servers and mounts say meanwhile.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "common/log.h"
#include "common/secret.h"
#include "tests/sim/arguments.h"
#include "tests/sim/cluster/cluster.h"
#include "tests/sim/cluster/counts.h"

namespace {

struct Arguments : kfs::sim::Arguments {
  bool history = false, counts = false, all_reached = false;
};

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  CLI::App app("Simulates whole clusters, one for each seed, and tells which of them went wrong.");
  a.Describe(app);
  app.add_flag("--history", a.history, "Each call, and what came of it.");
  app.add_flag("--counts", a.counts,
               "How often each kind of mishap, each named point in servers and mounts and each end that a "
               "call may have was come by.");
  app.add_flag("--all-reached", a.all_reached, "One of these that was not come by is a failure.");
  CLI11_PARSE(app, argc, argv);
  if (!a.log) spdlog::set_level(spdlog::level::off);
  char dir[] = "/tmp/kfs-sim.XXXXXX";
  if (mkdtemp(dir) == nullptr) return 2;
  const std::string secret = std::string(dir) + "/secret";
  if (!kfs::WriteSecretFile(secret, "0123456789abcdef0123456789abcdef").ok()) return 2;
  const auto began = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  };
  uint64_t done = 0, wrong = 0, gave_up = 0, calls = 0, faults = 0, events = 0;
  double hours = 0;
  kfs::sim::Counts counts;
  for (uint64_t seed = a.from; seed < a.from + a.seeds && elapsed() < a.seconds; ++seed) {
    kfs::sim::Plan plan;
    plan.seed = seed;
    plan.quiet = a.no_faults;
    const kfs::sim::Figures f = kfs::sim::RunCluster(plan, secret);
    ++done;
    for (const kfs::sim::History& history : f.histories) counts.Take(history);
    calls += f.calls;
    faults += f.faults;
    events += f.events;
    gave_up += f.gave_up ? 1 : 0;
    hours += static_cast<double>(f.virtual_time) / 3600e9;
    if (a.seeds == 1 || a.hashes) fmt::print("seed {} hash {:016x}\n", seed, f.hash);
    if (a.history) {
      for (const kfs::sim::History& history : f.histories) {
        for (const kfs::sim::Step& step : history.steps) fmt::print("{}\n", step.ToString());
      }
    }
    if (f.ok) continue;
    ++wrong;
    fmt::print("WRONG seed {} hash {:016x}\n{}\n", seed, f.hash, f.why);
    if (a.first) break;
  }
  uint64_t unreached = 0;
  for (const auto& [what, times] : counts.All()) {
    if (a.counts) fmt::print("{:10} {}\n", times, what);
    if (!a.all_reached || times != 0) continue;
    ++unreached;
    fmt::print("never reached: {}\n", what);
  }
  (void)unlink(secret.c_str());
  (void)rmdir(dir);
  fmt::print(
      "{} seeds, {} wrong, {} not judged, {:.1f} ms a seed, {} calls, {} faults, {} events, {:.2f} virtual "
      "hours\n",
      done, wrong, gave_up, 1000 * elapsed() / static_cast<double>(done), calls, faults, events, hours);
  return wrong == 0 && unreached == 0 ? 0 : 1;
}
