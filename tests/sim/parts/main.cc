// kfs-parts-sim: simulates protocols alone, a history for each seed, and tells which of them went wrong.
//
// Exit code 1 if one did. The same seed does the same again: kfs-parts-sim --part NAME --from S --seeds 1
// --log shows what client and server say meanwhile.
#include <fmt/format.h>

#include <chrono>
#include <string>

#include "common/log.h"
#include "tests/sim/arguments.h"
#include "tests/sim/parts/part.h"

namespace {

struct Arguments : kfs::sim::Arguments {
  std::string part;
  int planted = 0;
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How many went wrong.
uint64_t RunPart(const kfs::sim::Part& part, const Arguments& a, double seconds) {
  const double began = Now();
  uint64_t done = 0, wrong = 0, calls = 0, faults = 0;
  double hours = 0;
  for (uint64_t seed = a.from; seed < a.from + a.seeds && Now() - began < seconds; ++seed) {
    const kfs::sim::PartFigures f = part.run({.seed = seed, .quiet = a.no_faults, .planted = a.planted});
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
  a.seeds = 100;
  CLI::App app("Simulates protocols alone, a history for each seed, and tells which of them went wrong.");
  a.Describe(app);
  app.add_option("--part", a.part, "This one alone; all share the seconds equally.");
  app.add_option("--planted", a.planted, "With the part's own bug of that number.");
  CLI11_PARSE(app, argc, argv);
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
