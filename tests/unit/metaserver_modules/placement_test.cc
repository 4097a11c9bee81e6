#include "metaserver/placement/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace kfs::meta {
namespace {

constexpr uint64_t kGiB = 1ull << 30;
constexpr uint64_t kChunk = 64ull << 20;

Candidate Server(uint64_t id, uint64_t available, std::string host, bool up = true) {
  return {
      .id = ServerId(id), .available = available, .capacity = 100 * kGiB, .host = std::move(host), .up = up};
}

class Placement : public testing::Test {
 protected:
  std::mt19937_64 rng_{42};
};

TEST_F(Placement, NothingToChooseFromGivesNothing) {
  EXPECT_TRUE(Choose({}, 2, kChunk, rng_).empty());
  EXPECT_TRUE(Choose({Server(1, kGiB, "a", false)}, 1, kChunk, rng_).empty());
  EXPECT_TRUE(Choose({Server(1, kGiB, "a")}, 0, kChunk, rng_).empty());
}

TEST_F(Placement, DownAndFullServersAreSkipped) {
  const std::vector<Candidate> servers = {Server(1, kGiB, "a"), Server(2, 50 * kGiB, "b", false),
                                          Server(3, kServerReserveBytes, "c"), Server(4, 0, "d")};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Choose(servers, 3, kChunk, rng_), std::vector{ServerId(1)});
}

TEST_F(Placement, ASmallDiskMayBeUsedAlmostToItsEnd) {
  const Candidate small{
      .id = ServerId(1), .available = 6 << 20, .capacity = 100 << 20, .host = "a", .up = true};
  EXPECT_EQ(Choose({small}, 1, kChunk, rng_).size(), 1u);
  Candidate full = small;
  full.available = 4 << 20;
  EXPECT_TRUE(Choose({full}, 1, kChunk, rng_).empty());
  Candidate unknown{.id = ServerId(1), .available = 0, .capacity = 0, .host = "a", .up = true};
  EXPECT_TRUE(Choose({unknown}, 1, kChunk, rng_).empty());
}

TEST_F(Placement, ReplicasGoToDistinctHostsFirst) {
  const std::vector<Candidate> servers = {Server(1, 90 * kGiB, "a"), Server(2, 90 * kGiB, "a"),
                                          Server(3, 90 * kGiB, "a"), Server(4, kGiB, "b")};
  for (int i = 0; i < 200; ++i) {
    const auto two = Choose(servers, 2, kChunk, rng_);
    ASSERT_EQ(two.size(), 2u);
    EXPECT_TRUE(two[0] == ServerId(4) || two[1] == ServerId(4));
    const auto all = Choose(servers, 9, kChunk, rng_);
    EXPECT_EQ(std::set<ServerId>(all.begin(), all.end()).size(), 4u) << "the same host rather than too few";
  }
}

TEST_F(Placement, AServerWithRoomForAWholeChunkComesFirst) {
  const std::vector<Candidate> servers = {
      {.id = ServerId(1), .available = 50 << 20, .capacity = 200 << 20, .host = "a", .up = true},
      {.id = ServerId(2), .available = 70 << 20, .capacity = 200 << 20, .host = "b", .up = true}};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Choose(servers, 1, kChunk, rng_), std::vector{ServerId(2)});
}

TEST_F(Placement, WhatWasPromisedCountsAsTaken) {
  std::vector<Candidate> servers = {
      {.id = ServerId(1),
       .available = 200 << 20,
       .capacity = 200 << 20,
       .host = "a",
       .up = true,
       .promised = 150 << 20},
      {.id = ServerId(2), .available = 600 << 20, .capacity = 600 << 20, .host = "b", .up = true}};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Choose(servers, 1, kChunk, rng_), std::vector{ServerId(2)});
  servers[1].promised = 600 << 20;  // all have promised all: nobody is left out
  std::set<ServerId> seen;
  for (int i = 0; i < 300; ++i) seen.insert(Choose(servers, 1, kChunk, rng_).at(0));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(Placement, AServerListedTwiceIsChosenOnce) {
  EXPECT_EQ(Choose({Server(1, kGiB, "a"), Server(1, kGiB, "b")}, 2, kChunk, rng_).size(), 1u);
}

TEST_F(Placement, ServersWithoutAHostStandForThemselves) {
  EXPECT_EQ(Choose({Server(1, kGiB, ""), Server(2, kGiB, "")}, 2, kChunk, rng_).size(), 2u);
}

TEST_F(Placement, ChancesFollowFreeSpace) {
  const std::vector<Candidate> servers = {Server(1, 10 * kGiB, "a"), Server(2, 30 * kGiB, "b"),
                                          Server(3, 60 * kGiB, "c")};
  std::map<ServerId, int> first;
  constexpr int kRounds = 20000;
  for (int i = 0; i < kRounds; ++i) ++first[Choose(servers, 1, kChunk, rng_).at(0)];
  EXPECT_NEAR(first[ServerId(1)], kRounds * 0.1, kRounds * 0.02);
  EXPECT_NEAR(first[ServerId(2)], kRounds * 0.3, kRounds * 0.02);
  EXPECT_NEAR(first[ServerId(3)], kRounds * 0.6, kRounds * 0.02);
}

}  // namespace
}  // namespace kfs::meta
