// After kill -9 at any system call, and after a power cut, every block is old or new, and nothing is called
// corrupt.
#include <fcntl.h>

#include "store_fixture.h"

namespace kfs {
namespace {

class CrashTest : public StoreTest {
 protected:
  // Each block of `got` must be that block of `before` or of `after`.
  static void ExpectBlocksOldOrNew(const std::string& got, const std::string& before,
                                   const std::string& after, const std::string& where) {
    ASSERT_EQ(got.size(), before.size());
    for (size_t at = 0; at < got.size(); at += kBlockSize) {
      auto block = got.substr(at, kBlockSize);
      EXPECT_TRUE(block == before.substr(at, kBlockSize) || block == after.substr(at, kBlockSize))
          << where << " block " << at / kBlockSize;
    }
  }

  // Runs `prepare`, then `change` killed after each number of calls and each tearing; `check(where)`
  // afterwards.
  template <typename Prepare, typename Change, typename Check>
  void KillEverywhere(Prepare prepare, Change change, Check check, size_t tearings = 4) {
    bool finished = false;
    for (int64_t at = 0; !finished; ++at) {
      ASSERT_LT(at, 100);
      for (size_t torn = 0; torn < tearings && !finished; ++torn) {
        store_.reset();
        std::filesystem::remove_all(dirs_[0]);
        Open();
        prepare();
        ops_.calls_left = at;
        ops_.torn_pages = torn;
        finished = change().ok();
        KillAndReopen();
        check("kill at " + std::to_string(at) + " torn " + std::to_string(torn), finished);
        if (HasFailure()) return;
      }
    }
  }
};

TEST_F(CrashTest, KilledOverwriteLeavesBlocksOldOrNew) {
  const std::string before = Pattern(3 * kBlockSize, 1), after = Pattern(3 * kBlockSize, 2);
  KillEverywhere([&] { ASSERT_TRUE(Write(0, before).ok()); }, [&] { return Write(0, after); },
                 [&](const std::string& where, bool finished) {
                   auto got = Read(0, 3 * kBlockSize);
                   ASSERT_TRUE(got.ok()) << where << got.status().ToString();
                   ExpectBlocksOldOrNew(*got, finished ? after : before, after, where);
                   ASSERT_TRUE(Write(0, before).ok()) << where;
                   EXPECT_EQ(MustRead(0, 3 * kBlockSize), before) << where;
                   EXPECT_EQ(store_->counters().corrupt, 0u);
                 });
}

TEST_F(CrashTest, KilledFirstWriteLeavesHolesOrData) {
  const std::string before(3 * kBlockSize, '\0'), after = Pattern(3 * kBlockSize, 2);
  KillEverywhere([] {}, [&] { return Write(0, after); },
                 [&](const std::string& where, bool finished) {
                   auto got = Read(0, 3 * kBlockSize);
                   if (!got.ok()) {
                     EXPECT_EQ(got.status().code(), Code::kStaleChunk) << where << got.status().ToString();
                     EXPECT_FALSE(finished);
                   } else {
                     ExpectBlocksOldOrNew(*got, finished ? after : before, after, where);
                   }
                   ASSERT_TRUE(Write(0, after).ok()) << where;
                   EXPECT_EQ(MustRead(0, 3 * kBlockSize), after) << where;
                 });
}

TEST_F(CrashTest, KilledPartialWrite) {
  const std::string before = Pattern(3 * kBlockSize, 1);
  std::string after = before;
  after.replace(1000, 9000, std::string(9000, 'x'));
  KillEverywhere([&] { ASSERT_TRUE(Write(0, before).ok()); },
                 [&] { return Write(1000, std::string(9000, 'x')); },
                 [&](const std::string& where, bool finished) {
                   auto got = Read(0, 3 * kBlockSize);
                   ASSERT_TRUE(got.ok()) << where << got.status().ToString();
                   ExpectBlocksOldOrNew(*got, finished ? after : before, after, where);
                 });
}

TEST_F(CrashTest, KilledTruncateIsAllOldVersionOrAllDone) {
  const std::string before = Pattern(4 * kBlockSize, 1);
  std::string after = before.substr(0, 5000) + std::string(4 * kBlockSize - 5000, '\0');
  KillEverywhere([&] { ASSERT_TRUE(Write(0, before).ok()); },
                 [&] { return Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 5000)}); },
                 [&](const std::string& where, bool finished) {
                   auto done = Read(0, 4 * kBlockSize, 2);
                   if (done.ok()) {
                     EXPECT_EQ(*done, after) << where;
                   } else {
                     EXPECT_FALSE(finished);
                     auto got = Read(0, 4 * kBlockSize, 1);
                     ASSERT_TRUE(got.ok()) << where << got.status().ToString();
                     ExpectBlocksOldOrNew(*got, before, after, where);
                   }
                   ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 5000)}).ok()) << where;
                   EXPECT_EQ(MustRead(0, 4 * kBlockSize, 2), after) << where;
                 },
                 2);
}

TEST_F(CrashTest, KilledZeroThenWritesGoOn) {
  const std::string before = Pattern(4 * kBlockSize, 1);
  std::string after = before;
  std::fill_n(after.begin() + 100, 2 * kBlockSize, '\0');
  KillEverywhere([&] { ASSERT_TRUE(Write(0, before).ok()); },
                 [&] { return Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 100, 2 * kBlockSize)}); },
                 [&](const std::string& where, bool) {
                   ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 100, 2 * kBlockSize)}).ok()) << where;
                   EXPECT_EQ(MustRead(0, 4 * kBlockSize, 2), after) << where;
                   ASSERT_TRUE(Write(kBlockSize, std::string(kBlockSize, 'n'), 2).ok());
                   EXPECT_EQ(MustRead(kBlockSize, kBlockSize, 2), std::string(kBlockSize, 'n'));
                 },
                 3);
}

TEST_F(CrashTest, TwoKillsInARow) {
  const std::string a = Pattern(2 * kBlockSize, 1), b = Pattern(2 * kBlockSize, 2),
                    c = Pattern(2 * kBlockSize, 3);
  for (int64_t first = 0; first < 4; ++first) {
    for (int64_t second = 0; second < 4; ++second) {
      store_.reset();
      std::filesystem::remove_all(dirs_[0]);
      Open();
      ASSERT_TRUE(Write(0, a).ok());
      ops_.calls_left = first;
      ops_.torn_pages = 1;
      static_cast<void>(Write(0, b));
      KillAndReopen();
      ops_.calls_left = second;
      ops_.torn_pages = 1;
      static_cast<void>(Write(0, c));
      KillAndReopen();
      for (uint64_t at : {uint64_t{0}, uint64_t{kBlockSize}}) {
        auto got = Read(at, kBlockSize);
        ASSERT_TRUE(got.ok()) << first << "/" << second << got.status().ToString();
        EXPECT_TRUE(*got == a.substr(at, kBlockSize) || *got == b.substr(at, kBlockSize) ||
                    *got == c.substr(at, kBlockSize));
      }
    }
  }
}

TEST_F(CrashTest, AcknowledgedWritesSurviveAKillWithoutSync) {
  Open();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Write(i * 3000, Pattern(3000, i)).ok());
  KillAndReopen();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(MustRead(i * 3000, 3000), Pattern(3000, i)) << i;
  EXPECT_EQ(store_->counters().power_loss, 0u);
}

TEST_F(CrashTest, KilledDeleteLeavesNothingForInventoryOrTheWholeChunk) {
  KillEverywhere([&] { ASSERT_TRUE(Write(0, "data").ok()); }, [&] { return Delete(); },
                 [&](const std::string& where, bool finished) {
                   auto held = Inventory();
                   EXPECT_TRUE(!finished || held.empty()) << where;
                   if (held.empty()) {
                     EXPECT_FALSE(std::filesystem::exists(DataFile())) << where;
                     EXPECT_FALSE(std::filesystem::exists(MetaFile())) << where;
                   } else {
                     EXPECT_EQ(MustRead(0, 4), "data") << where;
                   }
                 },
                 1);
}

TEST_F(CrashTest, CorruptionAfterAKillIsStillNoticed) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 2)).ok());
  KillAndReopen();
  Flip(DataFile(), 17);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
}

TEST_F(CrashTest, CorruptionOfAFirstWriteAfterAKillIsNotTakenForAHole) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  KillAndReopen();
  Flip(DataFile(), 17);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
}

TEST_F(CrashTest, PowerCutWithTornDataInADirtyChunkIsRecomputed) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  store_.reset();
  Open();
  Flip(DataFile(), 17);  // as a torn sector
  boot_[0]++;
  Open();
  EXPECT_TRUE(Read(0, 2 * kBlockSize).ok());
  EXPECT_EQ(store_->counters().power_loss, 1u);
  EXPECT_EQ(store_->counters().corrupt, 0u);
  boot_[0]++;
  Open();
  EXPECT_TRUE(Read(0, 2 * kBlockSize).ok());
  EXPECT_EQ(store_->counters().power_loss, 0u) << "recovered once and for all";
}

TEST_F(CrashTest, PowerCutThatKeptTheTableButNotTheData) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  ASSERT_TRUE(Sync().ok());
  std::string old_data = Slurp(DataFile());
  ASSERT_TRUE(Write(0, Pattern(3 * kBlockSize, 2)).ok());
  ASSERT_TRUE(Sync().ok());
  std::string file = DataFile();
  PowerCutAndReopen();
  Spew(file, old_data);
  EXPECT_EQ(MustRead(0, kBlockSize), Pattern(kBlockSize, 1));
  EXPECT_EQ(MustRead(kBlockSize, 2 * kBlockSize), std::string(2 * kBlockSize, '\0'));
}

TEST_F(CrashTest, PowerCutThatKeptTheDataButNotTheTable) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  ASSERT_TRUE(Sync().ok());
  std::string old_meta = Slurp(MetaFile()), file = MetaFile();
  ASSERT_TRUE(Write(0, Pattern(3 * kBlockSize, 2)).ok());
  PowerCutAndReopen();
  Spew(file, old_meta);
  EXPECT_EQ(MustRead(0, 3 * kBlockSize), Pattern(3 * kBlockSize, 2));
}

TEST_F(CrashTest, PowerCutThatLostTheNewDataFile) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  std::string file = DataFile();
  PowerCutAndReopen();
  std::filesystem::remove(file);
  EXPECT_EQ(MustRead(0, kBlockSize), std::string(kBlockSize, '\0'));
}

TEST_F(CrashTest, InCleanChunksAMismatchAfterAPowerCutIsCorruption) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  clock_.now += std::chrono::seconds(10);
  store_->SyncChangedDisks();
  EXPECT_EQ(store_->stats().cleaned, 1u);
  PowerCutAndReopen();
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), Pattern(2 * kBlockSize, 1));
  Flip(DataFile(), 17);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
  EXPECT_TRUE(Read(kBlockSize, kBlockSize).ok());
}

// "Dirty" is in the page cache then, and not on the disk: also for whoever opens the chunk again.
TEST_F(CrashTest, AChunkWhoseMarkWasNotSyncedIsMarkedAgainWhenItIsReopened) {
  ChunkStore::Options o = StoreOptions();
  o.open_chunks_max = 1;
  OpenWith(std::move(o));
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  clock_.now += std::chrono::seconds(10);
  store_->SyncChangedDisks();
  ASSERT_EQ(store_->stats().cleaned, 1u);
  ASSERT_TRUE(Write(0, "other", 1, 43).ok());
  ops_.fail_next_sync = EIO;
  EXPECT_EQ(Write(0, Pattern(kBlockSize, 2)).err(), EIO);
  const uint64_t evictions = store_->stats().evictions;
  EXPECT_EQ(MustRead(0, 5, 1, 43), "other");
  EXPECT_EQ(store_->stats().evictions, evictions + 1);
  const int64_t syncs = ops_.syncs;
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 3)).ok());
  EXPECT_EQ(ops_.syncs, syncs + 1);
}

TEST_F(CrashTest, TheFirstWriteToACleanChunkMarksItDirtyFirst) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  clock_.now += std::chrono::seconds(10);
  store_->SyncChangedDisks();
  ASSERT_EQ(store_->stats().cleaned, 1u);
  EXPECT_TRUE(WouldWait(
      store_->Write(Key(), kFirstChunkVersion, 0, "x", Crcs(0, "x"), Wait::kNever, &detail_).status()));
  const int64_t syncs = ops_.syncs;
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 2)).ok());
  EXPECT_EQ(ops_.syncs, syncs + 1);
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 3)).ok());
  EXPECT_EQ(ops_.syncs, syncs + 1);
  store_.reset();
  Open();
  Flip(DataFile(), 17);
  boot_[0]++;
  Open();
  EXPECT_TRUE(Read(0, kBlockSize).ok()) << "dirty: torn, not corrupt";
}

TEST_F(CrashTest, AWriteDuringTheRestKeepsTheChunkDirty) {
  Open();
  ASSERT_TRUE(Write(0, "a").ok());
  clock_.now += std::chrono::seconds(4);
  ASSERT_TRUE(Write(0, "b").ok());
  clock_.now += std::chrono::seconds(4);
  store_->SyncChangedDisks();
  EXPECT_EQ(store_->stats().cleaned, 0u);
  EXPECT_EQ(store_->stats().syncfs_runs, 1u);
  clock_.now += std::chrono::seconds(4);
  store_->SyncChangedDisks();
  EXPECT_EQ(store_->stats().cleaned, 1u);
}

TEST_F(CrashTest, AnInterruptedCreationIsNoChunk) {
  Open();
  ASSERT_TRUE(Write(0, "a").ok());
  std::string meta = MetaFile(43), data = DataFile(43);
  std::filesystem::create_directories(std::filesystem::path(meta).parent_path());
  Spew(meta, "");
  Spew(data, "debris");
  EXPECT_EQ(Read(0, 1, 1, 43).status().code(), Code::kStaleChunk);
  ASSERT_EQ(Inventory().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(meta));
  EXPECT_FALSE(std::filesystem::exists(data));
  ASSERT_TRUE(Write(0, "b", 1, 43).ok());
  EXPECT_EQ(MustRead(0, 2, 1, 43), std::string("b\0", 2));
}

}  // namespace
}  // namespace kfs
