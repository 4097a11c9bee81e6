// What a simulated disk keeps, loses and tears.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/sim/disk/sim_disk.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kSeeds = 200;

std::string Filled(size_t size, uint64_t seed) {
  Lot lot(seed);
  std::string s(size, '\0');
  for (char& c : s) c = static_cast<char>('a' + lot.Below(26));
  return s;
}

int Create(SimDisk& disk, const std::string& path, std::string_view data = "") {
  const int fd = disk.Open(path, O_RDWR | O_CREAT);
  EXPECT_GE(fd, 0) << path;
  if (!data.empty()) EXPECT_EQ(disk.Write(fd, data, 0), static_cast<ssize_t>(data.size()));
  return fd;
}

bool Exists(SimDisk& disk, const std::string& path) {
  struct stat st {};
  return disk.Stat(path, &st) == 0;
}

// What a thing is after a loss of power, over many seeds.
template <typename Fn>
std::set<std::string> Outcomes(const SimDisk& disk, Fn look) {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto lost = disk.Clone();
    lost->PowerLoss(seed);
    seen.insert(look(*lost));
  }
  return seen;
}

TEST(SimDiskTest, WhatWasSyncedStaysAndWhatWasNotMayGo) {
  SimDisk disk({});
  const int fd = Create(disk, "/f", "old");
  ASSERT_EQ(disk.Sync(fd), 0);
  ASSERT_EQ(disk.SyncDir("/"), 0);
  EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); }), testing::ElementsAre("old"));
  ASSERT_EQ(disk.Write(fd, "new", 0), 3);
  EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); }), testing::ElementsAre("new", "old"));
}

TEST(SimDiskTest, AnAppendIsCutAnywhereAndNothingElseChanges) {
  SimDisk disk({});
  const std::string all = Filled(10000, 1);
  const int fd = Create(disk, "/f", std::string_view(all).substr(0, 3000));
  ASSERT_EQ(disk.SyncAll(), 0);
  ASSERT_EQ(disk.Write(fd, std::string_view(all).substr(3000), 3000), 7000);
  const auto left = Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); });
  EXPECT_GT(left.size(), 20u);
  for (const std::string& s : left) {
    EXPECT_GE(s.size(), 3000u);
    EXPECT_EQ(s, all.substr(0, s.size()));
  }
}

TEST(SimDiskTest, SectorsAreLostOneByOneAndNeverTornThemselves) {
  SimDisk disk({.tearing = Tearing::kSectors});
  const std::string before = Filled(8192, 1), after = Filled(8192, 2);
  const int fd = Create(disk, "/f", before);
  ASSERT_EQ(disk.SyncAll(), 0);
  ASSERT_EQ(disk.Write(fd, after, 0), 8192);
  bool mixed = false;
  for (const std::string& s : Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); })) {
    ASSERT_EQ(s.size(), before.size());
    bool young_first = s.substr(0, kSectorSize) == after.substr(0, kSectorSize);
    for (size_t at = 0; at < s.size(); at += kSectorSize) {
      const bool young = s.substr(at, kSectorSize) == after.substr(at, kSectorSize);
      mixed |= young && !young_first;
      // A tail that was cut, the other way of tearing, cuts one sector.
      young_first |= young;
    }
  }
  EXPECT_TRUE(mixed) << "a later sector without an earlier one";
}

TEST(SimDiskTest, ANameIsDurableWithItsDirectoryNotWithItsFile) {
  SimDisk disk({});
  ASSERT_EQ(disk.Mkdir("/d"), 0);
  ASSERT_EQ(disk.SyncDir("/"), 0);
  const int fd = Create(disk, "/d/f", "x");
  ASSERT_EQ(disk.Sync(fd), 0);
  const auto look = [](SimDisk& d) { return Exists(d, "/d/f") ? d.Content("/d/f") : "none"; };
  EXPECT_THAT(Outcomes(disk, look), testing::ElementsAre("none", "x"));
  ASSERT_EQ(disk.SyncDir("/d"), 0);
  EXPECT_THAT(Outcomes(disk, look), testing::ElementsAre("x"));
  ASSERT_EQ(disk.Unlink("/d/f"), 0);
  EXPECT_THAT(Outcomes(disk, look), testing::ElementsAre("none", "x")) << "an unlink may be undone";
}

TEST(SimDiskTest, AKindDisksSyncOfAFileCoversItsNameButNotThatOfItsDirectory) {
  SimDisk disk({.sync_covers_names = true});
  const int fd = Create(disk, "/f.new", "x");
  Create(disk, "/other");
  ASSERT_EQ(disk.Rename("/f.new", "/f"), 0);
  ASSERT_EQ(disk.Sync(fd), 0);
  EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); }), testing::ElementsAre("x"));
  ASSERT_EQ(disk.Mkdir("/d"), 0);
  ASSERT_EQ(disk.Sync(Create(disk, "/d/g", "x")), 0);
  EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/d/g"); }), testing::ElementsAre("", "x"));
}

TEST(SimDiskTest, WhatLiesInADirectoryWhoseNameIsLostIsLost) {
  SimDisk disk({});
  ASSERT_EQ(disk.Mkdir("/d"), 0);
  ASSERT_EQ(disk.Sync(Create(disk, "/d/f", "x")), 0);
  ASSERT_EQ(disk.SyncDir("/d"), 0);
  EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/d/f"); }), testing::ElementsAre("", "x"));
}

TEST(SimDiskTest, EachNameIsKeptOrLostByItself) {
  SimDisk disk({});
  for (const char* path : {"/a", "/b"}) ASSERT_EQ(disk.Sync(Create(disk, path, "x")), 0);
  EXPECT_EQ(Outcomes(disk, [](SimDisk& d) { return testing::PrintToString(d.Paths()); }).size(), 4u);
}

TEST(SimDiskTest, ARenameHappensWholeOrNotAtAll) {
  SimDisk disk({});
  for (const char* dir : {"/from", "/to"}) ASSERT_EQ(disk.Mkdir(dir), 0);
  Create(disk, "/to/f", "old");
  ASSERT_EQ(disk.SyncAll(), 0);
  ASSERT_EQ(disk.Sync(Create(disk, "/from/f", "new")), 0);
  ASSERT_EQ(disk.SyncDir("/from"), 0);
  ASSERT_EQ(disk.Rename("/from/f", "/to/f"), 0);
  const auto look = [](SimDisk& d) { return d.Content("/from/f") + "|" + d.Content("/to/f"); };
  EXPECT_THAT(Outcomes(disk, look), testing::ElementsAre("new|old", "|new"));
  ASSERT_EQ(disk.SyncDir("/to"), 0);
  EXPECT_THAT(Outcomes(disk, look), testing::ElementsAre("|new")) << "in both directories";
}

TEST(SimDiskTest, ACrashOfTheProcessLosesNothingAndLetsGoOfLocks) {
  SimDisk disk({});
  const int fd = Create(disk, "/f", "x"), other = disk.Open("/f", O_RDWR);
  ASSERT_EQ(disk.Lock(fd), 0);
  EXPECT_EQ(disk.Lock(other), -EWOULDBLOCK);
  disk.Crash();
  EXPECT_EQ(disk.Content("/f"), "x");
  EXPECT_EQ(disk.Write(fd, "y", 0), -EBADF);
  EXPECT_EQ(disk.Lock(disk.Open("/f", O_RDWR)), 0);
}

TEST(SimDiskTest, AnUnlinkedFileThatIsOpenCanBeReadUntilItIsClosed) {
  SimDisk disk({});
  const int fd = Create(disk, "/f", Filled(5000, 1));
  ASSERT_EQ(disk.Unlink("/f"), 0);
  char c = 0;
  EXPECT_EQ(disk.Read(fd, &c, 1, 4999), 1);
  struct statvfs st {};
  ASSERT_EQ(disk.SyncDir("/"), 0);
  ASSERT_EQ(disk.Statvfs(&st), 0);
  EXPECT_EQ(st.f_blocks - st.f_bfree, 2u);
  ASSERT_EQ(disk.Close(fd), 0);
  ASSERT_EQ(disk.Statvfs(&st), 0);
  EXPECT_EQ(st.f_bfree, st.f_blocks);
}

TEST(SimDiskTest, AFullDiskTakesWhatFitsAndThenNothing) {
  SimDisk disk({.capacity_bytes = 4 * kPageSize});
  const int fd = Create(disk, "/f");
  EXPECT_EQ(disk.Write(fd, Filled(6 * kPageSize, 1), 0), static_cast<ssize_t>(4 * kPageSize));
  EXPECT_EQ(disk.Write(fd, "x", 4 * kPageSize), -ENOSPC);
  EXPECT_EQ(disk.Write(fd, "x", 0), 1) << "what is there can be overwritten";
  ASSERT_EQ(disk.Fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * kPageSize), 0);
  EXPECT_EQ(disk.Content("/f").substr(0, 2 * kPageSize), std::string(2 * kPageSize, '\0'));
  EXPECT_EQ(disk.Write(fd, "x", 4 * kPageSize), 1);
}

TEST(SimDiskTest, AfterAFailedSyncALaterOneThatSucceedsDoesNotBringTheBytesBack) {
  bool gone_at_once = false, gone_later = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimDisk disk({.seed = seed});
    const int fd = Create(disk, "/f", "old");
    ASSERT_EQ(disk.SyncAll(), 0);
    ASSERT_EQ(disk.Write(fd, "new", 0), 3);
    disk.SetFaults({.fail = {{disk.calls(), EIO}}});
    ASSERT_EQ(disk.Sync(fd), -EIO);
    ASSERT_EQ(disk.Sync(fd), 0) << "as Linux does: the error is told once";
    gone_at_once |= disk.Content("/f") == "old";
    gone_later |= disk.Content("/f") == "new";
    EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); }), testing::ElementsAre("old"));
    ASSERT_EQ(disk.Write(fd, "new", 0), 3);
    ASSERT_EQ(disk.Sync(fd), 0);
    EXPECT_THAT(Outcomes(disk, [](SimDisk& d) { return d.Content("/f"); }), testing::ElementsAre("new"));
  }
  EXPECT_TRUE(gone_at_once && gone_later);
}

TEST(SimDiskTest, NothingIsDoneOnceThePowerIsOff) {
  SimDisk disk({});
  const int fd = Create(disk, "/f", "x");
  disk.SetFaults({.off_from = disk.calls()});
  EXPECT_EQ(disk.Write(fd, "y", 0), -EIO);
  EXPECT_EQ(disk.Unlink("/f"), -EIO);
  EXPECT_EQ(disk.Sync(fd), -EIO);
  disk.Crash();
  EXPECT_EQ(disk.Content("/f"), "x");
  EXPECT_GE(disk.Open("/f", O_RDWR), 0) << "on again";
}

TEST(SimDiskTest, FaultsComeAtTheirRatesAndTakeTime) {
  SimDisk disk({.faults = {.read_eio = 500, .write_eio = 500, .short_write = 500, .latency_max_ns = 1000}});
  const int fd = Create(disk, "/f");
  int failed = 0, cut = 0;
  for (int i = 0; i < 2000; ++i) {
    const ssize_t n = disk.Write(fd, "0123456789", 0);
    failed += n < 0;
    cut += n > 0 && n < 10;
  }
  EXPECT_NEAR(failed, 100, 50);
  EXPECT_NEAR(cut, 100, 50);
  EXPECT_NEAR(static_cast<double>(disk.latency_ns()), 2001 * 500, 100000);
}

TEST(SimDiskTest, RotFlipsOneBitAndALossOfPowerKeepsIt) {
  SimDisk disk({});
  const std::string before = Filled(9000, 1);
  Create(disk, "/f", before);
  ASSERT_EQ(disk.SyncAll(), 0);
  ASSERT_TRUE(disk.Rot("/f", 7));
  EXPECT_FALSE(disk.Rot("/none", 7));
  disk.PowerLoss(1);
  const std::string after = disk.Content("/f");
  ASSERT_EQ(after.size(), before.size());
  int bits = 0;
  for (size_t i = 0; i < before.size(); ++i)
    bits += __builtin_popcount(static_cast<unsigned char>(before[i] ^ after[i]));
  EXPECT_EQ(bits, 1);
}

// Against a string, which is what a file is to its user whatever pages lie below.
TEST(SimDiskTest, AFileReadsAsItWasWritten) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    Lot lot(seed);
    SimDisk disk({.seed = seed});
    const int fd = Create(disk, "/f");
    std::string model;
    for (int i = 0; i < 60; ++i) {
      const uint64_t at = lot.Below(20000), size = 1 + lot.Below(9000);
      switch (lot.Below(5)) {
        case 0:
          ASSERT_EQ(disk.Truncate(fd, at), 0);
          model.resize(at);
          break;
        case 1:
          ASSERT_EQ(disk.Fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size), 0);
          if (at < model.size())
            model.replace(at, std::min(size, model.size() - at),
                          std::string(std::min(size, model.size() - at), '\0'));
          break;
        case 2:
          ASSERT_EQ(disk.Fallocate(fd, FALLOC_FL_KEEP_SIZE, at, size), 0);
          break;
        case 3:
          ASSERT_EQ(disk.Sync(fd), 0);
          break;
        default:
          ASSERT_EQ(disk.Write(fd, Filled(size, seed + i), at), static_cast<ssize_t>(size));
          if (model.size() < at + size) model.resize(at + size);
          model.replace(at, size, Filled(size, seed + i));
      }
      ASSERT_EQ(disk.Content("/f"), model) << "seed " << seed << " step " << i;
    }
    ASSERT_EQ(disk.SyncAll(), 0);
    disk.PowerLoss(seed);
    ASSERT_EQ(disk.Content("/f"), model) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kfs::sim
