// Chunks on a simulated disk: power is lost, or the process dies, before each call of a seeded program.
// Nothing is called corrupt, what was synced is there, and what was written since is there, or what was
// before it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/disk/sim_file_ops.h"
#include "tests/unit/chunkserver/store_fixture.h"

namespace kfs::sim {
namespace {

constexpr uint32_t kChunkBytes = 8 * kBlockSize;
constexpr uint64_t kChunks = 3;
constexpr int kSteps = 40;

uint64_t ChunkSeeds() {
  const char* asked = std::getenv("KFS_SIM_SEEDS");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 3;
}

// What a chunk may hold: first what was synced last, then each content that it has had since.
struct Contents {
  bool created = false, synced = false;
  std::vector<std::string> may_be = {std::string(kChunkBytes, '\0')};
};

class ChunkSimTest : public StoreTest {
 protected:
  void SetUp() override { dirs_ = {"/d0"}; }

  static std::unique_ptr<SimDisk> NewDisk(uint64_t seed) {
    auto disk = std::make_unique<SimDisk>(SimDisk::Options{.seed = seed, .tearing = Tearing::kSectors});
    EXPECT_EQ(disk->Mkdir("/d0"), 0);
    EXPECT_EQ(disk->SyncDir("/"), 0);
    return disk;
  }
  void OpenOn(FileOps& ops, BootId boot) {
    ChunkStore::Options o = StoreOptions();
    o.ops = &ops;
    o.boot = boot;
    OpenWith(std::move(o));
  }

  // Writes, syncs, and the cleaning of chunks at rest.
  void Run(uint64_t seed, std::map<uint64_t, Contents>& chunks) {
    Lot lot(seed);
    for (int step = 0; step < kSteps; ++step) {
      const uint64_t id = 1 + lot.Below(kChunks);
      Contents& chunk = chunks[id];
      const uint64_t kind = lot.Below(8);
      if (kind == 0) {
        clock_.now += std::chrono::seconds(10);
        store_->SyncChangedDisks();
      } else if (kind < 3 && chunk.created) {
        ASSERT_TRUE(Sync(id).ok());
        chunk.synced = true;
        chunk.may_be = {chunk.may_be.back()};
      } else {
        // Whole blocks, or any bytes.
        const uint64_t unit = lot.Coin() ? kBlockSize : 1;
        const uint64_t offset = lot.Below(kChunkBytes / unit) * unit;
        const uint64_t size =
            std::min<uint64_t>(unit * (1 + lot.Below(3 * kBlockSize / unit)), kChunkBytes - offset);
        const std::string data = Pattern(size, static_cast<int>(seed * 1000) + step);
        std::string next = chunk.may_be.back();
        next.replace(offset, size, data);
        chunk.may_be.push_back(std::move(next));
        ASSERT_TRUE(Write(offset, data, 1, id).ok());
        chunk.created = true;
      }
    }
  }

  // Each piece of that size is one of those that the chunk has had. One that was never synced may be gone, or
  // have a torn header, which cannot be told from a damaged one: true then.
  bool ExpectContents(uint64_t id, const Contents& chunk, size_t piece, bool must_be_there) {
    SCOPED_TRACE(fmt::format("chunk {}", id));
    const Result<std::string> got = Read(0, kChunkBytes, 1, id);
    if (!got.ok()) {
      EXPECT_FALSE(must_be_there) << got.status().ToString();
      const bool torn = got.status().code() == Code::kCorrupt;
      EXPECT_TRUE(torn || got.status().code() == Code::kStaleChunk) << got.status().ToString();
      return torn;
    }
    EXPECT_EQ(got->size(), kChunkBytes);
    for (size_t at = 0; at < kChunkBytes; at += piece) {
      const std::string part = got->substr(at, piece);
      const bool known = std::any_of(chunk.may_be.begin(), chunk.may_be.end(),
                                     [&](const std::string& c) { return c.compare(at, piece, part) == 0; });
      EXPECT_TRUE(known) << "bytes from " << at << " were never in it";
    }
    return false;
  }

  // The store of a new process on what is left of the disk takes the place of the running one meanwhile.
  void Check(SimDisk& left, BootId boot, const std::map<uint64_t, Contents>& chunks, bool power_lost) {
    std::unique_ptr<ChunkStore> running = std::move(store_);
    SimFileOps ops(left);
    OpenOn(ops, boot);
    if (store_ != nullptr) {
      uint64_t torn = 0;
      for (const auto& [id, chunk] : chunks) {
        torn += ExpectContents(id, chunk, power_lost ? kSectorSize : kBlockSize,
                               power_lost ? chunk.synced : chunk.created)
                    ? 1
                    : 0;
      }
      EXPECT_EQ(store_->counters().corrupt, torn);
      EXPECT_TRUE(power_lost || torn == 0);
      // A new one is as good as any.
      const uint64_t other = kChunks + 1;
      const std::string data = Pattern(kChunkBytes, 7);
      EXPECT_TRUE(Write(0, data, 1, other).ok());
      EXPECT_TRUE(Sync(other).ok());
      store_.reset();
      left.PowerLoss(1);
      boot[1]++;
      OpenOn(ops, boot);
      EXPECT_TRUE(MustRead(0, kChunkBytes, 1, other) == data);
    }
    store_ = std::move(running);
  }
};

TEST_F(ChunkSimTest, PowerLostBeforeEachCallKeepsWhatWasSyncedAndNothingIsCalledCorrupt) {
  for (uint64_t seed = 1; seed <= ChunkSeeds() && !HasFailure(); ++seed) {
    const auto began = std::chrono::steady_clock::now();
    const auto disk = NewDisk(seed);
    SimFileOps ops(*disk);
    std::map<uint64_t, Contents> chunks;
    OpenOn(ops, boot_);
    BootId next_boot = boot_;
    next_boot[0]++;
    disk->BeforeCall([&](const DiskCall& call) {
      if (HasFailure()) return;
      SCOPED_TRACE(fmt::format("seed {} call {} {}", seed, call.number, call.path));
      const auto lost = disk->Clone();
      lost->PowerLoss(seed * 7919 + call.number);
      Check(*lost, next_boot, chunks, /*power_lost=*/true);
    });
    Run(seed, chunks);
    disk->BeforeCall({});
    store_.reset();
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    std::cout << fmt::format("seed {}: {} calls, {} ms\n", seed, disk->calls(), took.count());
  }
}

TEST_F(ChunkSimTest, AProcessKilledBeforeEachCallLeavesBlocksOldOrNew) {
  for (uint64_t seed = 1; seed <= ChunkSeeds() && !HasFailure(); ++seed) {
    const auto disk = NewDisk(seed);
    SimFileOps ops(*disk);
    std::map<uint64_t, Contents> chunks;
    OpenOn(ops, boot_);
    disk->BeforeCall([&](const DiskCall& call) {
      if (HasFailure()) return;
      SCOPED_TRACE(fmt::format("seed {} call {} {}", seed, call.number, call.path));
      const auto killed = disk->Clone();
      killed->Crash();
      // What was answered is there: only the last content, or what is being written over the one before.
      std::map<uint64_t, Contents> last = chunks;
      for (auto& [id, chunk] : last) {
        const size_t keep = std::min<size_t>(chunk.may_be.size(), 2);
        chunk.may_be.erase(chunk.may_be.begin(), chunk.may_be.end() - static_cast<int64_t>(keep));
      }
      Check(*killed, boot_, last, /*power_lost=*/false);
    });
    Run(seed, chunks);
    disk->BeforeCall({});
    store_.reset();
  }
}

TEST_F(ChunkSimTest, RotInAChunkAtRestIsNoticed) {
  for (uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    const auto disk = NewDisk(seed);
    SimFileOps ops(*disk);
    OpenOn(ops, boot_);
    ASSERT_TRUE(Write(0, Pattern(kChunkBytes, 1)).ok());
    ASSERT_TRUE(Sync().ok());
    clock_.now += std::chrono::seconds(10);
    store_->SyncChangedDisks();
    ASSERT_EQ(store_->stats().cleaned, 1u);
    const std::string file = DataFile();
    store_.reset();
    ASSERT_TRUE(disk->Rot(file, seed));
    OpenOn(ops, boot_);
    EXPECT_EQ(Read(0, kChunkBytes).status().code(), Code::kCorrupt) << "seed " << seed;
    store_.reset();
  }
}

// What comes next when what a call has answered must stay, whatever a loss of power takes.
class ChunkPowerTest : public ChunkSimTest {
 protected:
  void New(uint64_t seed) {
    store_.reset();
    disk_ = NewDisk(seed);
    ops_on_disk_ = std::make_unique<SimFileOps>(*disk_);
    OpenOn(*ops_on_disk_, boot_);
  }
  void Kill() {
    disk_->SetFaults({.off_from = 0});
    store_.reset();
    disk_->Crash();
    disk_->SetFaults({});
    OpenOn(*ops_on_disk_, boot_);
  }
  void LosePower(uint64_t seed) {
    disk_->SetFaults({.off_from = 0});
    store_.reset();
    disk_->PowerLoss(seed);
    disk_->SetFaults({});
    boot_[0]++;
    OpenOn(*ops_on_disk_, boot_);
  }

  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<SimFileOps> ops_on_disk_;
};

TEST_F(ChunkPowerTest, AnOrderThatAKilledProcessHadCarriedOutIsDurableWhenItIsAnsweredAgain) {
  for (uint64_t calls = 0; calls < 8; ++calls) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      SCOPED_TRACE(fmt::format("killed before call {}, seed {}", calls, seed));
      New(seed);
      ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
      ASSERT_TRUE(Sync().ok());
      disk_->SetFaults({.off_from = disk_->calls() + calls});
      (void)Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 0, kBlockSize)});
      Kill();
      ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 0, kBlockSize)}).ok());
      LosePower(seed);
      EXPECT_TRUE(MustRead(0, kBlockSize, 2) == std::string(kBlockSize, '\0'));
    }
  }
}

TEST_F(ChunkPowerTest, AnOrderMakesTheNameOfANewChunkDurable) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(seed);
    New(seed);
    ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
    ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, kBlockSize)}).ok());
    LosePower(seed);
    EXPECT_TRUE(MustRead(0, kBlockSize, 2) == Pattern(kBlockSize, 1));
  }
}

TEST_F(ChunkPowerTest, WhatAKilledProcessHasWrittenIsMadeDurableByTheNext) {
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    SCOPED_TRACE(seed);
    New(seed);
    ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
    Kill();
    store_->SyncChangedDisks();
    LosePower(seed);
    EXPECT_TRUE(MustRead(0, kBlockSize) == Pattern(kBlockSize, 1));
  }
}

// "Dirty" that a killed process wrote and did not sync is in the page cache alone.
TEST_F(ChunkPowerTest, AChunkThatAKilledProcessWasMarkingDirtyIsNotCalledCorrupt) {
  constexpr uint64_t kCalls = 10;
  for (uint64_t i = 0; i < kCalls * kCalls * 8; ++i) {
    const uint64_t killed = i % kCalls, lost = i / kCalls % kCalls, seed = 1 + i / kCalls / kCalls;
    for (const bool order : {false, true}) {
      SCOPED_TRACE(fmt::format("killed before call {}, power lost before call {} of {}, seed {}", killed,
                               lost, order ? "an order" : "a write", seed));
      New(seed);
      ASSERT_TRUE(Write(0, Pattern(3 * kBlockSize, 1)).ok());
      clock_.now += std::chrono::seconds(10);
      store_->SyncChangedDisks();
      ASSERT_EQ(store_->stats().cleaned, 1u);
      ASSERT_EQ(disk_->SyncAll(), 0);  // the header that says so, too
      disk_->SetFaults({.off_from = disk_->calls() + killed});
      (void)Write(0, Pattern(kBlockSize, 2));
      Kill();
      disk_->SetFaults({.off_from = disk_->calls() + lost});
      if (order) {
        (void)Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, kBlockSize + 1)});
      } else {
        (void)Write(kBlockSize, Pattern(kBlockSize, 3));
      }
      LosePower(seed);
      Result<std::string> there = Read(0, 3 * kBlockSize);
      if (!there.ok() && order) there = Read(0, 3 * kBlockSize, 2);
      EXPECT_TRUE(there.ok()) << there.status().ToString();
    }
  }
}

// Or each write to a chunk that is not held open would wait for the disk.
TEST_F(ChunkPowerTest, AHeaderIsSyncedAgainOnlyUntilAllThatWasLeftIsDurable) {
  New(1);
  for (const uint64_t id : {1, 2}) ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1), 1, id).ok());
  uint64_t syncs = 0;
  disk_->BeforeCall([&](const DiskCall& call) { syncs += call.op == DiskOp::kSync ? 1 : 0; });
  const auto syncs_of_a_write = [&](uint64_t id) {
    const uint64_t before = syncs;
    EXPECT_TRUE(Write(0, Pattern(kBlockSize, 2), 1, id).ok());
    return syncs - before;
  };
  Kill();
  (void)MustRead(0, 1, 1, 1);
  EXPECT_TRUE(WouldWait(
      store_->Write(Key(1), ChunkVersion(1), 0, "x", Crcs(0, "x"), Wait::kNever, &detail_).status()));
  EXPECT_EQ(syncs_of_a_write(1), 1u);
  EXPECT_EQ(syncs_of_a_write(1), 0u);
  store_->SyncChangedDisks();
  EXPECT_EQ(syncs_of_a_write(2), 0u);
  disk_->BeforeCall({});
}

TEST_F(ChunkPowerTest, AFileThatWasCutWithinABlockIsNoOtherWhenItGrows) {
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    SCOPED_TRACE(seed);
    New(seed);
    // The second time sectors may be there that the size does not reach.
    for (int i = 1; i <= 2; ++i) {
      (void)Write(0, Pattern(2 * kBlockSize, i));
      LosePower(seed + static_cast<uint64_t>(i) * 1000);
    }
    const Result<std::string> there = Read(0, 2 * kBlockSize);
    if (!there.ok()) continue;  // gone, or its header is torn
    ASSERT_TRUE(Write(3 * kBlockSize, Pattern(kBlockSize, 2)).ok());
    Kill();
    EXPECT_TRUE(MustRead(0, 2 * kBlockSize) == *there);
  }
}

}  // namespace
}  // namespace kfs::sim
