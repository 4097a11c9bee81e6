// kfs-cluster-sim: many seeded histories of a metaserver cluster. A seed that fails is printed with its
// story, and repeats it.
//
//   kfs-cluster-sim [--seeds N] [--first SEED] [--story]
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cluster_world.h"
#include "common/log.h"

namespace {

using kfs::sim::Faults;
using kfs::sim::World;

// From a quiet network to one in which hardly anything works.
Faults FaultsOf(uint64_t seed) {
  std::mt19937_64 random(seed * 7919);
  const auto up_to = [&](double most) { return std::uniform_real_distribution<>(0, most)(random); };
  Faults f;
  if (seed % 10 == 0) return f;
  f.drop = up_to(0.25);
  f.twice = up_to(0.2);
  f.late = up_to(0.15);
  f.drop_commit = seed % 4 == 1 ? up_to(0.9) : 0;
  f.late_commit = seed % 4 == 3 ? up_to(0.9) : 0;
  f.crash = seed % 2 == 0 ? up_to(0.1) : 0;
  f.crash_sending = seed % 5 == 1 ? up_to(0.1) : 0;
  f.crash_each_s = up_to(0.5);
  f.cut_each_s = up_to(0.5);
  f.wipe_each_s = seed % 3 == 0 ? up_to(0.3) : 0;
  f.bricks_fail = up_to(0.1);
  f.cuts_are_noticed = seed % 7 < 3;
  return f;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seeds = 3000, first = 1;
  bool story = false;
  CLI::App app("Seeded histories of a metaserver cluster's configuration.");
  app.add_option("--seeds", seeds, "How many histories.");
  app.add_option("--first", first, "The first one's seed.");
  app.add_flag("--story", story, "Print what happens, also when all is well.");
  CLI11_PARSE(app, argc, argv);
  (void)kfs::InitLog("kfs-cluster-sim", "", story ? "debug" : "off").ok();
  World::Counts sum;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const size_t members = seed % 3 == 0 ? 3 : seed % 3 == 1 ? 5 : 7;
    World world(seed, members, FaultsOf(seed));
    bool holds = true;
    for (int i = 0; i < 40 && holds; ++i) {
      world.SubmitSomething();
      if (i % 3 == 0) world.SubmitSomething();
      holds = world.Run(std::chrono::milliseconds((seed * 37 + static_cast<uint64_t>(i) * 101) % 1500));
    }
    if (holds) {
      world.Heal();
      holds = world.Settled();
    }
    if (!holds || story) std::printf("%s", world.Story().c_str());
    if (!holds) {
      std::printf("seed %lu, %zu members: %s\nrepeat with: kfs-cluster-sim --first %lu --seeds 1\n", seed,
                  members, world.broken().c_str(), seed);
      return 1;
    }
    const World::Counts& c = world.counts();
    sum.done += c.done, sum.refused += c.refused, sum.unknown += c.unknown, sum.crashes += c.crashes;
    sum.wipes += c.wipes, sum.messages += c.messages, sum.generations += c.generations;
  }
  std::printf(
      "%lu histories: %lu changes made, %lu refused, %lu unknown; %lu generations, %lu crashes, %lu wipes, "
      "%lu messages\n",
      seeds, sum.done, sum.refused, sum.unknown, sum.generations, sum.crashes, sum.wipes, sum.messages);
  return 0;
}
