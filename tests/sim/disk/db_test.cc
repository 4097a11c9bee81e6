// A database on a simulated disk: power is lost, or the process dies, before each call of a seeded program.
// What had been synced is there afterwards, and what is there is what some number of batches had made.
#include "metaserver/store/db.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metaserver/store/member_db.h"
#include "tests/sim/disk/hash.h"
#include "tests/sim/disk/sim_disk.h"
#include "tests/sim/disk/sim_env.h"

namespace kfs::sim {
namespace {

using meta::Db;
using meta::DbEnv;
using meta::DbMemory;
using Image = std::map<std::string, std::string>;

constexpr char kPath[] = "/data/db";
constexpr char kCount[] = "Xcount";
constexpr uint64_t kBatches = 60;

// KFS_SIM_SEEDS: how many; else few enough for every build.
uint64_t Seeds(uint64_t few) {
  const char* asked = std::getenv("KFS_SIM_SEEDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : few;
}

// One batch, whose number is in it.
void Change(uint64_t seed, uint64_t batch, const std::function<void(std::string, std::string)>& put,
            const std::function<void(std::string)>& remove) {
  Lot lot(seed * 1000003 + batch);
  put(kCount, std::to_string(batch));
  for (uint64_t i = lot.Below(6); i-- > 0;) {
    const std::string key = fmt::format("Xk{:02}", lot.Below(40));
    if (lot.Below(4) == 0) {
      remove(key);
    } else {
      put(key, std::string(lot.Below(3000), static_cast<char>('a' + lot.Below(26))) + std::to_string(batch));
    }
  }
}

// What the first `batches` batches leave.
Image Model(uint64_t seed, uint64_t batches) {
  Image image;
  for (uint64_t b = 1; b <= batches; ++b) {
    Change(
        seed, b, [&](const std::string& k, const std::string& v) { image[k] = v; },
        [&](const std::string& k) { image.erase(k); });
  }
  return image;
}

Image Held(Db& db) {
  Image image;
  db.Scan("X", "", [&](std::string_view key, std::string_view value) {
    image.emplace(key, value);
    return true;
  });
  return image;
}

// A process with a database on the disk.
class Process {
 public:
  Process(SimDisk& disk, uint64_t seed) : env_(disk, seed) {}

  Status Open() {
    auto opened = Db::Open(kPath, "volume", memory_);
    if (!opened.ok()) return opened.status();
    db_ = std::move(*opened);
    return {};
  }
  DbEnv Env() {
    return {.env = &env_, .one_thread = true, .on_end = [this](const std::string&) { ended_ = true; }};
  }
  Db& db() { return *db_; }
  SimEnv& env() { return env_; }
  // Or has closed the database for good.
  bool ended() const { return ended_ || (db_ != nullptr && db_->lost()); }
  void Close() { db_.reset(); }

 private:
  SimEnv env_;
  bool ended_ = false;
  DbMemory memory_{64 << 20, Env()};
  std::unique_ptr<Db> db_;
};

// How far the program has come.
struct Progress {
  bool opened = false;
  uint64_t begun = 0, committed = 0, synced = 0;  // batches
};

class DbSimTest : public testing::Test {
 protected:
  static std::unique_ptr<SimDisk> NewDisk(uint64_t seed, Tearing tearing = Tearing::kTails) {
    auto disk = std::make_unique<SimDisk>(
        SimDisk::Options{.seed = seed, .tearing = tearing, .sync_covers_names = true});
    EXPECT_EQ(disk->Mkdir("/data"), 0);
    EXPECT_EQ(disk->SyncDir("/"), 0);
    return disk;
  }

  // Batches, syncs, background work and time, as the seed says. Ends early when the process does.
  static void Run(uint64_t seed, Process& process, Progress& progress) {
    if (!process.Open().ok()) return;
    progress.opened = true;
    Lot lot(seed);
    while (progress.begun < kBatches && !process.ended()) {
      Change(
          seed, ++progress.begun, [&](const std::string& k, const std::string& v) { process.db().Put(k, v); },
          [&](const std::string& k) { process.db().Delete(k); });
      process.db().Commit();
      if (process.ended()) return;
      progress.committed = progress.begun;
      process.env().Advance(std::chrono::milliseconds(lot.Below(400)));
      if (lot.Below(3) == 0) {
        if (!process.db().Sync().ok()) return;
        progress.synced = progress.committed;
      }
      if (lot.Below(6) == 0 && process.env().background() == 0 && !process.db().StartFlush().ok()) return;
      if (lot.Below(4) == 0) process.env().RunBackground();
    }
  }

  // What is on the disk is what some batches made, `least` at least and `most` at most. Gives how many.
  // It may be refused as damaged where sectors of what was not synced are lost one by one: a broken record
  // with a whole one behind it cannot be told from damage to what was synced. Gives nothing then.
  static std::optional<uint64_t> ExpectPrefix(SimDisk& disk, uint64_t seed, uint64_t least, uint64_t most,
                                              bool may_be_refused = false) {
    Process process(disk, seed + 1);
    const Status opened = process.Open();
    if (may_be_refused && opened.code() == Code::kCorrupt) {
      EXPECT_THAT(opened.message(), testing::HasSubstr("is damaged"));
      return {};
    }
    EXPECT_TRUE(opened.ok()) << opened.ToString();
    if (!opened.ok()) return {};
    const Image held = Held(process.db());
    const auto count = held.find(kCount);
    const uint64_t batches = count == held.end() ? 0 : std::strtoull(count->second.c_str(), nullptr, 10);
    EXPECT_GE(batches, least);
    EXPECT_LE(batches, most);
    EXPECT_TRUE(held == Model(seed, batches)) << "not what " << batches << " batches make";
    return batches;
  }
};

class DbPowerTest : public DbSimTest, public testing::WithParamInterface<Tearing> {};

TEST_P(DbPowerTest, LostBeforeEachCallKeepsWhatWasSyncedAndNoHalfBatch) {
  for (uint64_t seed = 1; seed <= Seeds(2) && !HasFailure(); ++seed) {
    const auto began = std::chrono::steady_clock::now();
    const auto disk = NewDisk(seed, GetParam());
    Process process(*disk, seed);
    Progress progress;
    uint64_t refused = 0;
    disk->BeforeCall([&](const DiskCall& call) {
      if (testing::Test::HasFailure()) return;
      SCOPED_TRACE(
          fmt::format("seed {} call {} {} synced {}", seed, call.number, call.path, progress.synced));
      const auto lost = disk->Clone();
      lost->PowerLoss(seed * 7919 + call.number);
      const auto kept =
          ExpectPrefix(*lost, seed, progress.synced, progress.begun, GetParam() == Tearing::kSectors);
      if (!kept) {
        ++refused;
        return;
      }
      // What was found is not lost by the next loss.
      lost->PowerLoss(call.number);
      (void)ExpectPrefix(*lost, seed, *kept, *kept);
    });
    Run(seed, process, progress);
    disk->BeforeCall({});
    EXPECT_EQ(progress.committed, kBatches);
    EXPECT_LE(refused, disk->calls() / 10);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    std::cout << fmt::format("seed {}: {} calls, {} refused, {} ms\n", seed, disk->calls(), refused,
                             took.count());
  }
}

INSTANTIATE_TEST_SUITE_P(Tearing, DbPowerTest, testing::Values(Tearing::kTails, Tearing::kSectors),
                         [](const auto& info) {
                           return info.param == Tearing::kTails ? "Tails" : "Sectors";
                         });

TEST_F(DbSimTest, AProcessKilledBeforeEachCallLosesNothingThatWasCommitted) {
  for (uint64_t seed = 1; seed <= Seeds(1) && !HasFailure(); ++seed) {
    const auto disk = NewDisk(seed);
    Process process(*disk, seed);
    Progress progress;
    disk->BeforeCall([&](const DiskCall& call) {
      if (testing::Test::HasFailure()) return;
      SCOPED_TRACE(fmt::format("seed {} call {} {}", seed, call.number, call.path));
      const auto killed = disk->Clone();
      killed->Crash();
      (void)ExpectPrefix(*killed, seed, progress.committed, progress.begun);
    });
    Run(seed, process, progress);
    disk->BeforeCall({});
  }
}

// RocksDB draws an id for each opening from the machine, whatever its environment says, and writes it to its
// tables and what lists them: of these only the sizes count here, and what the database says is in them.
bool Reproducible(const std::string& path) {
  return !path.ends_with(".sst") && path.find("/MANIFEST-") == std::string::npos;
}

TEST_F(DbSimTest, TwoRunsOfOneSeedMakeTheSameCallsAndTheSameFiles) {
  const auto run = [](uint64_t seed) {
    const auto disk = NewDisk(seed);
    Progress progress;
    Image held;
    {
      Process process(*disk, seed);
      Run(seed, process, progress);
      held = Held(process.db());
    }
    disk->PowerLoss(seed);
    uint64_t hash = kHashSeed;
    for (const auto& [key, value] : held) hash = HashMore(HashMore(hash, key), value);
    return std::vector<uint64_t>{hash, disk->calls(), disk->history_hash(), disk->content_hash(Reproducible)};
  };
  for (uint64_t seed = 1; seed <= Seeds(5); ++seed) {
    const auto first = run(seed);
    EXPECT_EQ(run(seed), first) << "seed " << seed;
    EXPECT_NE(run(seed + 1), first);
  }
}

TEST_F(DbSimTest, TablesAreWrittenAndMergedInTheBackgroundThatIsRun) {
  const auto disk = NewDisk(1);
  Process process(*disk, 1);
  Progress progress;
  std::vector<std::string> tables;
  disk->BeforeCall([&](const DiskCall& call) {
    if (call.op == DiskOp::kOpen && call.path.ends_with(".sst")) tables.push_back(call.path);
  });
  Run(1, process, progress);
  process.db().Put("Xlast", "v");
  process.db().Commit();
  EXPECT_GE(tables.size(), 2u);
  process.env().RunBackground();
  const size_t before = tables.size();
  ASSERT_TRUE(process.db().StartFlush().ok());
  EXPECT_EQ(tables.size(), before) << "only queued";
  process.env().RunBackground();
  EXPECT_GT(tables.size(), before);
  EXPECT_EQ(process.env().background(), 0u);
}

// The process ends, as it must: what it could not write may not be acknowledged.
TEST_F(DbSimTest, AFailedWriteOrSyncAtAnyCallIsTheLastAndLosesNothingThatWasSynced) {
  for (const int err : {EIO, ENOSPC}) {
    uint64_t ends = 0;
    for (uint64_t at = 2; !HasFailure(); ++at) {
      SCOPED_TRACE(fmt::format("errno {} at call {}", err, at));
      const auto disk = NewDisk(3);
      Progress progress;
      bool whole = false;
      {
        Process process(*disk, 3);
        disk->SetFaults({.fail = {{at, err}}});
        Run(3, process, progress);
        whole = progress.committed == kBatches;
        ends += process.ended() ? 1 : 0;
        if (disk->calls() <= at) break;
        disk->SetFaults({.off_from = disk->calls()});  // the process is dead
      }
      disk->PowerLoss(at);
      (void)ExpectPrefix(*disk, 3, progress.synced, progress.begun);
      if (!whole) EXPECT_LT(progress.committed, kBatches);
    }
    EXPECT_GT(ends, 20u) << "writes of the log at least";
  }
}

TEST_F(DbSimTest, RotInALogThatWasSyncedIsSaidToBeDamageOrChangesNothing) {
  uint64_t found = 0;
  for (uint64_t seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto disk = NewDisk(seed);
    Progress progress;
    {
      Process process(*disk, seed);
      Run(seed, process, progress);
    }
    std::string log;
    for (const std::string& path : disk->Paths()) {
      if (path.ends_with(".log")) log = path;
    }
    if (!disk->Rot(log, seed)) continue;
    Process process(*disk, seed);
    const Status opened = process.Open();
    if (opened.ok()) {
      EXPECT_TRUE(Held(process.db()) == Model(seed, kBatches));
      continue;
    }
    ++found;
    EXPECT_EQ(opened.code(), Code::kCorrupt) << opened.ToString();
    EXPECT_THAT(opened.message(), testing::HasSubstr("Restore the volume from a backup"));
  }
  EXPECT_GT(found, 10u);
}

TEST_F(DbSimTest, ACopyHoldsWhatWasCommittedAndADestroyedDatabaseLeavesNothing) {
  const auto disk = NewDisk(4);
  Process process(*disk, 4);
  Progress progress;
  Run(4, process, progress);
  ASSERT_TRUE(process.db().Checkpoint("/data/copy").ok());
  process.Close();
  ASSERT_TRUE(Db::Destroy(kPath, process.Env()).ok());
  for (const std::string& path : disk->Paths()) EXPECT_TRUE(path.starts_with("/data/copy/")) << path;
  ASSERT_EQ(disk->Rename("/data/copy", kPath), 0);
  ASSERT_EQ(disk->SyncAll(), 0);
  EXPECT_EQ(ExpectPrefix(*disk, 4, kBatches, kBatches), kBatches);
}

TEST_F(DbSimTest, AMembersPromiseThatCannotBeSyncedIsTheEndOfItsProcess) {
  const auto disk = NewDisk(5);
  Process process(*disk, 5);
  ASSERT_TRUE(process.Open().ok());
  meta::MemberDb members(process.db());
  pb::MemberRecord record;
  record.set_uuid("m1");
  members.Save(record, [] {});
  EXPECT_FALSE(process.ended());
  disk->SetFaults({.sync_eio = 10000});
  members.Save(record, [] {});
  EXPECT_TRUE(process.ended());
  EXPECT_TRUE(process.db().lost());
  EXPECT_FALSE(process.db().Sync().ok());
}

TEST_F(DbSimTest, AnOpenDatabaseIsNotOpenedAgain) {
  const auto disk = NewDisk(1);
  Process first(*disk, 1), second(*disk, 2);
  ASSERT_TRUE(first.Open().ok());
  EXPECT_EQ(second.Open().err(), EBUSY);
  first.Close();
  EXPECT_TRUE(second.Open().ok());
}

}  // namespace
}  // namespace kfs::sim
