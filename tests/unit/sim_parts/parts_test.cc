// The simulations of single protocols find nothing wrong with them, each bug planted in one is caught, and a
// seed gives the same history again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "common/log.h"
#include "tests/sim/parts/part.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kSeeds = 40, kSeedsToCatch = 600;

class PartsTest : public testing::Test {
 protected:
  PartsTest() { spdlog::set_level(spdlog::level::off); }
};

TEST_F(PartsTest, NothingIsWrong) {
  for (const Part& part : Parts()) {
    uint64_t faults = 0, calls = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const PartFigures f = part.run({.seed = seed});
      EXPECT_TRUE(f.ok) << part.name << " seed " << seed << ": " << f.why;
      faults += f.faults;
      calls += f.calls;
    }
    // Or it has shown nothing.
    EXPECT_GT(calls, kSeeds * 5) << part.name;
    EXPECT_GT(faults, kSeeds / 2) << part.name;
  }
}

TEST_F(PartsTest, InAQuietWorldToo) {
  for (const Part& part : Parts()) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      const PartFigures f = part.run({.seed = seed, .quiet = true});
      EXPECT_TRUE(f.ok) << part.name << " seed " << seed << ": " << f.why;
      EXPECT_EQ(f.faults, 0u) << part.name;
    }
  }
}

TEST_F(PartsTest, EachPlantedBugIsCaught) {
  for (const Part& part : Parts()) {
    ASSERT_FALSE(part.planted.empty()) << part.name;
    for (size_t i = 0; i < part.planted.size(); ++i) {
      uint64_t seed = 1;
      while (seed <= kSeedsToCatch && part.run({.seed = seed, .planted = static_cast<int>(i) + 1}).ok) ++seed;
      EXPECT_LE(seed, kSeedsToCatch) << part.name << ": " << part.planted[i];
    }
  }
}

// Each was a fault of the product once, as long as the parts draw what they drew then.
TEST_F(PartsTest, WhatWasWrongOnceIsRight) {
  for (const auto& [part, seed] : {std::pair("locks", 16),
                                   {"locks", 361},
                                   {"chunks", 1},
                                   {"chunks", 4},
                                   {"chunks", 91},
                                   {"chunks", 5330},
                                   {"chunks", 5517},
                                   {"chunks", 6897},
                                   {"chunks", 11487},
                                   {"garbage", 4475},
                                   {"garbage", 65098}}) {
    for (const Part& p : Parts()) {
      if (p.name != std::string_view(part)) continue;
      const PartFigures f = p.run({.seed = static_cast<uint64_t>(seed)});
      EXPECT_TRUE(f.ok) << part << " seed " << seed << ": " << f.why;
    }
  }
}

TEST_F(PartsTest, TheSameSeedIsTheSameHistory) {
  for (const Part& part : Parts()) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      const uint64_t hash = part.run({.seed = seed}).hash;
      EXPECT_EQ(hash, part.run({.seed = seed}).hash) << part.name << " seed " << seed;
      EXPECT_NE(hash, part.run({.seed = seed + 1000}).hash) << part.name;
    }
  }
}

}  // namespace
}  // namespace kfs::sim
