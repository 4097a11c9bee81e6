// kfs-sim: simulates whole clusters, one for each seed, and tells which of them went wrong.
//
//   kfs-sim --seeds N [--from S] [--seconds T] [--quiet] [--log] [--history] [--hashes] [--first] [--counts]
//     [--all-reached]
//
// --counts: how often each kind of mishap, each named point in servers and mounts (common/reached.h) and each
// end that a call may have was come by. --all-reached: one that was not is a failure.
//
// Prints a line for each seed that went wrong, with what no order of the calls explains, and last the
// figures. Exit code 1 if one did. The same seed does the same again: kfs-sim --from S --seeds 1 --log shows
// what servers and mounts say meanwhile.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/log.h"
#include "common/secret.h"
#include "tests/sim/cluster/cluster.h"
#include "tests/sim/cluster/counts.h"

namespace {

struct Arguments {
  uint64_t from = 1, seeds = 10;
  double seconds = 1e9;
  bool quiet = false, log = false, history = false, hashes = false, first = false, counts = false,
       all_reached = false;
};

bool Parse(int argc, char** argv, Arguments* a) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--quiet") {
      a->quiet = true;
    } else if (name == "--hashes") {
      a->hashes = true;
    } else if (name == "--first") {
      a->first = true;
    } else if (name == "--counts") {
      a->counts = true;
    } else if (name == "--all-reached") {
      a->all_reached = true;
    } else if (name == "--history") {
      a->history = true;
    } else if (name == "--log") {
      a->log = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (name == "--seeds") {
      a->seeds = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--from") {
      a->from = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--seconds") {
      a->seconds = std::strtod(argv[++i], nullptr);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  if (!Parse(argc, argv, &a)) {
    fmt::print(stderr,
               "usage: kfs-sim [--seeds N] [--from S] [--seconds T] [--quiet] [--log] [--history] [--hashes] "
               "[--first] [--counts] [--all-reached]\n");
    return 2;
  }
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
    plan.quiet = a.quiet;
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
