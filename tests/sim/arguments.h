// What all simulators of seeded histories are told in one way.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace kfs::sim {

struct Arguments {
  uint64_t from = 1, seeds = 10;
  double seconds = 1e9;
  bool no_faults = false, log = false, hashes = false, first = false;

  void Describe(CLI::App& app) {
    app.add_option("--seeds", seeds, "How many histories.");
    app.add_option("--from", from, "The first one's seed.");
    app.add_option("--seconds", seconds, "For all of them: then no other begins.");
    app.add_flag("--no-faults", no_faults, "Nothing goes wrong but by chance.");
    app.add_flag("--log", log, "What servers and clients say.");
    app.add_flag("--hashes", hashes, "Each seed's hash of all that happened.");
    app.add_flag("--first", first, "Ends at the first that went wrong.");
  }
};

}  // namespace kfs::sim
