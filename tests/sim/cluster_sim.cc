// kfs-cluster-sim: many seeded histories of a metaserver cluster. A seed that fails is printed with its
// story, and repeats it.
//
//   kfs-cluster-sim [--seeds N] [--first SEED] [--story]
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cluster_world.h"
#include "common/log.h"
#include "plan.h"

using kfs::sim::PlanOf;
using kfs::sim::World;

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
    const kfs::sim::Plan plan = PlanOf(seed);
    World world(seed, plan);
    bool holds = world.Live();
    if (holds && plan.disaster) holds = world.Disaster();
    if (holds && !world.over()) {
      world.Heal();
      holds = world.Settled();
    }
    if (!holds || story) std::printf("%s", world.Story().c_str());
    if (!holds) {
      std::printf("seed %lu, %zu members: %s\nrepeat with: kfs-cluster-sim --first %lu --seeds 1\n", seed,
                  plan.members, world.broken().c_str(), seed);
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
