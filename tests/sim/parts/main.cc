// kfs-parts-sim: simulates protocols alone, a history for each seed, and tells which of them went wrong.
//
//   kfs-parts-sim --seeds N [--from S] [--seconds T] [--part NAME] [--quiet] [--log] [--hashes] [--first]
//                 [--planted K]
//
// --seconds is for all parts together, in equal shares. Exit code 1 if a history was wrong. The same seed
// does the same again: kfs-parts-sim --part NAME --from S --seeds 1 --log shows what client and server say
// meanwhile.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "common/log.h"
#include "tests/sim/parts/part.h"

namespace {

struct Arguments {
  uint64_t from = 1, seeds = 100;
  double seconds = 1e9;
  std::string part;
  int planted = 0;
  bool quiet = false, log = false, hashes = false, first = false;
};

bool Parse(int argc, char** argv, Arguments* a) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--quiet") {
      a->quiet = true;
    } else if (name == "--hashes") {
      a->hashes = true;
    } else if (name == "--log") {
      a->log = true;
    } else if (name == "--first") {
      a->first = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (name == "--seeds") {
      a->seeds = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--from") {
      a->from = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--seconds") {
      a->seconds = std::strtod(argv[++i], nullptr);
    } else if (name == "--part") {
      a->part = argv[++i];
    } else if (name == "--planted") {
      a->planted = std::atoi(argv[++i]);
    } else {
      return false;
    }
  }
  return true;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How many went wrong.
uint64_t RunPart(const kfs::sim::Part& part, const Arguments& a, double seconds) {
  const double began = Now();
  uint64_t done = 0, wrong = 0, calls = 0, faults = 0;
  double hours = 0;
  for (uint64_t seed = a.from; seed < a.from + a.seeds && Now() - began < seconds; ++seed) {
    const kfs::sim::PartFigures f = part.run({.seed = seed, .quiet = a.quiet, .planted = a.planted});
    ++done;
    calls += f.calls;
    faults += f.faults;
    hours += static_cast<double>(f.virtual_time) / 3600e9;
    if (a.seeds == 1 || a.hashes) fmt::print("{} seed {} hash {:016x}\n", part.name, seed, f.hash);
    if (f.ok) continue;
    ++wrong;
    fmt::print("WRONG {} seed {} hash {:016x}\n  {}\n", part.name, seed, f.hash, f.why);
    if (a.first) break;
  }
  fmt::print("{}: {} seeds, {} wrong, {:.2f} ms a seed, {} calls, {} faults, {:.2f} virtual hours\n",
             part.name, done, wrong, 1000 * (Now() - began) / static_cast<double>(done), calls, faults,
             hours);
  return wrong;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  if (!Parse(argc, argv, &a)) {
    fmt::print(stderr,
               "usage: kfs-parts-sim [--seeds N] [--from S] [--seconds T] [--part NAME] [--quiet] [--log] "
               "[--hashes] [--first] [--planted K]\n");
    return 2;
  }
  spdlog::set_level(a.log ? spdlog::level::debug : spdlog::level::off);
  const auto& all = kfs::sim::Parts();
  uint64_t wrong = 0, run = 0;
  for (const kfs::sim::Part& part : all) {
    if (!a.part.empty() && a.part != part.name) continue;
    ++run;
    wrong += RunPart(part, a, a.part.empty() ? a.seconds / static_cast<double>(all.size()) : a.seconds);
  }
  if (run == 0) {
    fmt::print(stderr, "there is no part \"{}\"; there are:\n", a.part);
    for (const kfs::sim::Part& part : all) fmt::print(stderr, "  {:10} {}\n", part.name, part.what);
    return 2;
  }
  return wrong == 0 ? 0 : 1;
}
