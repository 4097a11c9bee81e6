// Corruption, full and sick disks, limits, deletion, inventory.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "store_fixture.h"

namespace kfs {
namespace {

class ChunkStoreTest : public StoreTest {};

TEST_F(ChunkStoreTest, AChunkThatShouldExistIsNotMadeAnew) {
  Open();
  uint64_t detail = 1;
  const auto write = [&](bool existing) {
    return store_->Write(Key(), kFirstChunkVersion, 0, "x", Crcs(0, "x"), Wait::kAllowed, &detail, existing)
        .status();
  };
  EXPECT_EQ(write(true).code(), Code::kStaleChunk);
  EXPECT_EQ(detail, 0u);
  EXPECT_TRUE(write(false).ok());
  EXPECT_TRUE(write(true).ok());
}

TEST_F(ChunkStoreTest, AMutationPutsNoEmptyChunkInPlaceOfALostOne) {
  Open();
  const auto mutate = [&](bool existing) {
    Chunk::Steps steps;
    *steps.Add() = Step(pb::ChunkStep::TRUNCATE, 1);
    return store_->Mutate(Key(), ChunkVersion(1), ChunkVersion(2), steps, existing);
  };
  auto lost = mutate(true);
  ASSERT_TRUE(lost.ok());
  EXPECT_TRUE(lost->lost);
  EXPECT_EQ(Read(0, 1, 2).status().code(), Code::kStaleChunk);
  EXPECT_EQ(detail_, 0u);
  auto made = mutate(false);
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(made->lost);
  EXPECT_TRUE(Read(0, 1, 2).ok());
  EXPECT_FALSE(mutate(true)->lost);
}

TEST_F(ChunkStoreTest, FlippedDataIsNeverReturned) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(4 * kBlockSize, 1)).ok());
  Flip(DataFile(), kBlockSize + 5);
  auto got = Read(0, 4 * kBlockSize);
  EXPECT_EQ(got.status().err(), EIO);
  EXPECT_EQ(got.status().code(), Code::kCorrupt);
  EXPECT_EQ(Read(kBlockSize, 1).status().code(), Code::kCorrupt)
      << "the whole block counts, not the bytes asked for";
  EXPECT_TRUE(Read(0, kBlockSize).ok());
  EXPECT_GE(store_->counters().corrupt, 2u);
  EXPECT_TRUE(store_->disks()[0]->healthy());
}

TEST_F(ChunkStoreTest, PartialWriteIntoACorruptBlockIsRefusedAWholeOneMendsIt) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  Flip(DataFile(), 5);
  EXPECT_EQ(Write(10, "abc").code(), Code::kCorrupt);
  EXPECT_TRUE(Write(0, Pattern(kBlockSize, 2)).ok());
  EXPECT_EQ(MustRead(0, kBlockSize), Pattern(kBlockSize, 2));
}

TEST_F(ChunkStoreTest, DataInAHoleIsCorruption) {
  Open();
  ASSERT_TRUE(Write(2 * kBlockSize, "x").ok());
  Flip(DataFile(), 5);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
}

TEST_F(ChunkStoreTest, FlippedHeaderIsNoticed) {
  for (uint64_t at : {0, 6, 21, 25, 33, 45, 100, 509}) {
    Open();
    ASSERT_TRUE(Write(0, "abc").ok());
    store_.reset();
    Open();
    Flip(MetaFile(), at);
    EXPECT_EQ(Read(0, 3).status().code(), Code::kCorrupt) << at;
    EXPECT_EQ(Write(0, "abc").code(), Code::kCorrupt) << "must not be created anew";
    Flip(MetaFile(), at);
    EXPECT_EQ(MustRead(0, 3), "abc");
  }
}

// What a loss of power leaves of a creation.
TEST_F(ChunkStoreTest, AChunkWhoseHeaderHasNeverReachedTheDiskIsNotThere) {
  const auto mutate = [&](bool existing) {
    return store_->Mutate(Key(), ChunkVersion(1), ChunkVersion(2), {}, existing);
  };
  for (const std::string& left :
       {std::string("x"), std::string(100, '\0'), std::string(kMetaHeaderSize, '\0')}) {
    const auto tear = [&] {
      if (store_ != nullptr) ASSERT_TRUE(store_->Delete(VolumeId(1), std::vector<uint64_t>{42}).ok());
      Open();
      ASSERT_TRUE(Write(0, "abc").ok());
      const std::string meta = MetaFile();
      store_.reset();
      std::ofstream(meta, std::ios::trunc) << left;
      PowerCutAndReopen();
    };
    tear();
    EXPECT_EQ(Read(0, 3).status().code(), Code::kStaleChunk);
    EXPECT_EQ(detail_, 0u);
    EXPECT_TRUE(mutate(true)->lost);
    ASSERT_TRUE(Write(0, "def").ok());
    EXPECT_EQ(MustRead(0, 3), "def");
    tear();
    ASSERT_TRUE(mutate(false).ok());
    EXPECT_EQ(MustRead(0, 3, 2), std::string(3, '\0'));
    tear();
    ChunkStore::Cursor cursor;
    size_t held = 0;
    while (!cursor.done) held += store_->ScanStep(&cursor).chunks.size();
    EXPECT_EQ(held, 0u);
    EXPECT_FALSE(std::filesystem::exists(MetaFile()));
  }
}

TEST_F(ChunkStoreTest, AMutationOfAChunkThatCannotBeOpenedKeepsNobodyWaiting) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  Open();
  Flip(MetaFile(), 33);
  const auto done = store_->Mutate(Key(), ChunkVersion(1), ChunkVersion(2), {}, true);
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE(done->lost);
  EXPECT_EQ(Read(0, 3, 2).status().code(), Code::kCorrupt);
}

TEST_F(ChunkStoreTest, FlippedTableIsNoticed) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  Open();
  Flip(MetaFile(), kMetaHeaderSize + 1);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
  EXPECT_TRUE(Read(kBlockSize, kBlockSize).ok());
}

TEST_F(ChunkStoreTest, ALostTableIsNoticed) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  Open();
  std::filesystem::resize_file(MetaFile(), kMetaHeaderSize);
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
}

TEST_F(ChunkStoreTest, AShortOrMissingDataFileIsNoticed) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  Open();
  std::filesystem::resize_file(DataFile(), kBlockSize);
  EXPECT_EQ(Read(kBlockSize, kBlockSize).status().code(), Code::kCorrupt);
  Open();
  std::filesystem::remove(DataFile());
  EXPECT_EQ(Read(0, kBlockSize).status().code(), Code::kCorrupt);
}

TEST_F(ChunkStoreTest, AChunkUnderAnotherNameIsNoticed) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  std::string meta = MetaFile(), data = DataFile(), other_meta = MetaFile(0x12a),
              other_data = DataFile(0x12a);
  Open();
  std::filesystem::copy(meta, other_meta);
  std::filesystem::copy(data, other_data);
  EXPECT_EQ(Read(0, 3, 1, 0x12a).status().code(), Code::kCorrupt);
}

TEST_F(ChunkStoreTest, CorruptChunksCanBeDeleted) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  Open();
  Flip(MetaFile(), 33);
  ASSERT_EQ(Inventory().size(), 1u);
  EXPECT_TRUE(Delete().ok());
  EXPECT_TRUE(Inventory().empty());
}

// Failing disks.

TEST_F(ChunkStoreTest, AReadErrorMakesTheDiskSick) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  ops_.fail_reads = EIO;
  EXPECT_EQ(Read(0, 3).status().err(), EIO);
  EXPECT_FALSE(store_->disks()[0]->healthy());
  EXPECT_NE(store_->disks()[0]->error().find("EIO"), std::string::npos);
  ops_.fail_reads = 0;
  EXPECT_EQ(MustRead(0, 3), "abc") << "what it still gives is served";
  EXPECT_EQ(Write(0, "x", 1, 99).err(), EIO) << "no new chunks";
}

TEST_F(ChunkStoreTest, NewChunksGoToTheHealthyDisk) {
  dirs_ = {root_ + "/d0", root_ + "/d1"};
  Open();
  store_->disks()[0]->NoteError(EROFS, "test");
  for (uint64_t id = 1; id <= 20; ++id) ASSERT_TRUE(Write(0, "x", 1, id).ok());
  EXPECT_EQ(store_->disks()[0]->chunks, 0);
  EXPECT_EQ(store_->disks()[1]->chunks, 20);
}

TEST_F(ChunkStoreTest, AFailedSyncIsNeverFollowedByASuccessfulOne) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  ops_.fail_next_sync = EIO;
  EXPECT_EQ(Sync().err(), EIO);
  EXPECT_EQ(Sync().err(), EIO);
}

TEST_F(ChunkStoreTest, AFailedWriteLeavesTheOldContent) {
  Open();
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 1)).ok());
  ops_.fail_next_write = ENOSPC;  // of the table
  EXPECT_EQ(Write(0, Pattern(2 * kBlockSize, 2)).err(), ENOSPC);
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), Pattern(2 * kBlockSize, 1));
  ops_.calls_left = 1;  // the table is written, the data is not
  EXPECT_FALSE(Write(0, Pattern(2 * kBlockSize, 2)).ok());
  ops_.calls_left = INT64_MAX;
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), Pattern(2 * kBlockSize, 1));
  ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, 3)).ok());
  Open();
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), Pattern(2 * kBlockSize, 3));
}

class TmpfsTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    std::filesystem::create_directory(dirs_[0]);
    if (geteuid() != 0 || mount("kfs-test", dirs_[0].c_str(), "tmpfs", 0, "size=8m") != 0) {
      GTEST_SKIP() << "needs root to mount a small tmpfs";
    }
    mounted_ = true;
    Open();
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) umount2(dirs_[0].c_str(), MNT_DETACH);
    StoreTest::TearDown();
  }
  bool mounted_ = false;
};

TEST_F(TmpfsTest, AFullDiskRefusesNewBlocksAndKeepsOldOnes) {
  const uint64_t piece = 256 << 10;
  uint64_t at = 0;
  Status st;
  for (; at < (16u << 20); at += piece) {
    st = Write(at, Pattern(piece, static_cast<int>(at / piece)));
    if (!st.ok()) break;
  }
  EXPECT_EQ(st.err(), ENOSPC) << st.ToString();
  EXPECT_GT(at, 6u << 20);
  EXPECT_TRUE(store_->disks()[0]->healthy()) << "full is not sick";
  for (uint64_t i = 0; i < at; i += piece)
    EXPECT_EQ(MustRead(i, piece), Pattern(piece, static_cast<int>(i / piece)));
  EXPECT_EQ(MustRead(at, piece), std::string(piece, '\0'));
  EXPECT_TRUE(Write(0, Pattern(piece, 77)).ok()) << "overwriting needs no room";
  EXPECT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 100, 2 << 20)}).ok())
      << "the reserve keeps this possible";
  EXPECT_TRUE(Write(200 << 10, Pattern(piece, 5), 2).ok());
  Open();
  EXPECT_EQ(MustRead(200 << 10, piece, 2), Pattern(piece, 5));
}

TEST_F(TmpfsTest, AllocateBeyondTheDiskReservesNothing) {
  ASSERT_TRUE(Write(0, "x").ok());
  // A reservation that cannot be had does not hold the chunk up: the version rises, nothing is reserved.
  EXPECT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ALLOCATE, 0, 32 << 20)}).ok());
  EXPECT_EQ(MustRead(0, 1, 2), "x");
}

TEST_F(TmpfsTest, NewChunksAreRefusedWhenFull) {
  Status st;
  uint64_t id = 1;
  for (; id < 1000 && st.ok(); ++id) st = Write(0, Pattern(64 << 10, 1), 1, id);
  EXPECT_EQ(st.err(), ENOSPC) << st.ToString();
  std::vector<uint64_t> all;
  for (uint64_t i = 1; i < id; ++i) all.push_back(i);
  EXPECT_TRUE(store_->Delete(VolumeId(1), all).ok());
  EXPECT_TRUE(Write(0, "again", 1, 5000).ok());
}

// A chunk that cannot be made does not hold up the metaserver, and is made once there is room.
TEST_F(TmpfsTest, AReservationWithoutRoomForTheChunkItselfIsAnswered) {
  Status st;
  uint64_t id = 1;
  for (; id < 1000 && st.ok(); ++id) st = Write(0, Pattern(64 << 10, 1), 1, id);
  ASSERT_EQ(st.err(), ENOSPC) << st.ToString();
  for (st = {}; id < 3000 && st.ok(); ++id) st = Write(0, "x", 1, id);
  ASSERT_EQ(st.err(), ENOSPC) << st.ToString();
  Chunk::Steps steps;
  *steps.Add() = Step(pb::ChunkStep::ALLOCATE, 0, 64 << 10);
  const auto done = store_->Mutate(Key(5000), ChunkVersion(1), ChunkVersion(2), steps);
  ASSERT_TRUE(done.ok()) << done.status().ToString();
  EXPECT_TRUE(done->no_space);
  EXPECT_EQ(done->allocated, 0u);
  EXPECT_EQ(Write(0, "x", 2, 5000).err(), ENOSPC);
  std::vector<uint64_t> all;
  for (uint64_t i = 1; i < id; ++i) all.push_back(i);
  EXPECT_TRUE(store_->Delete(VolumeId(1), all).ok());
  EXPECT_EQ(Write(0, "late", 1, 5000).code(), Code::kStaleChunk) << "from before the mutation";
  EXPECT_TRUE(Write(0, "again", 2, 5000).ok());
  EXPECT_EQ(MustRead(0, 5, 2, 5000), "again");
}

// Limits.

size_t OpenDescriptors() {
  size_t n = 0;
  DIR* d = opendir("/proc/self/fd");
  while (readdir(d) != nullptr) ++n;
  closedir(d);
  return n;
}

TEST_F(ChunkStoreTest, OpenChunksAreBounded) {
  auto options = StoreOptions();
  options.open_chunks_max = 4;
  OpenWith(options);
  const size_t before = OpenDescriptors();
  for (uint64_t id = 1; id <= 100; ++id)
    ASSERT_TRUE(Write(0, Pattern(5000, static_cast<int>(id)), 1, id).ok());
  EXPECT_LE(store_->stats().open_chunks, 4u);
  EXPECT_LE(OpenDescriptors(), before + 8);
  for (uint64_t id = 1; id <= 100; ++id)
    EXPECT_EQ(MustRead(0, 5000, 1, id), Pattern(5000, static_cast<int>(id)));
  EXPECT_GE(store_->stats().evictions, 190u);
}

TEST_F(ChunkStoreTest, CacheMemoryIsBounded) {
  auto options = StoreOptions();
  options.cache_bytes_max = 300 << 10;
  OpenWith(options);
  for (uint64_t id = 1; id <= 20; ++id) ASSERT_TRUE(Write((64 << 20) - 1, "x", 1, id).ok());
  EXPECT_LE(store_->stats().cache_bytes, 300u << 10);
  for (uint64_t id = 1; id <= 20; ++id) EXPECT_EQ(MustRead((64 << 20) - 1, 1, 1, id), "x");
}

TEST_F(ChunkStoreTest, ManyThreadsOnFewChunksWithEviction) {
  auto options = StoreOptions();
  options.open_chunks_max = 2;
  OpenWith(options);
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const ChunkKey key = Key(1 + static_cast<uint64_t>(i) % 5);
        const uint64_t at = static_cast<uint64_t>(t) * 10000;
        uint64_t detail = 0;
        std::string data = Pattern(6000, t * 1000 + i);
        if (!store_->Write(key, kFirstChunkVersion, at, data, Crcs(at, data), Wait::kAllowed, &detail).ok())
          failures++;
        auto got = store_->Read(key, kFirstChunkVersion, at, 6000, Wait::kAllowed, &detail);
        if (!got.ok() || got->view() != data) failures++;
        if (i % 50 == 0) store_->SyncChangedDisks();
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(failures, 0);
}

// Deletion and inventory.

TEST_F(ChunkStoreTest, ALateWriteDoesNotBringADeletedChunkBack) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  ASSERT_TRUE(Delete().ok());
  EXPECT_EQ(Write(0, "late").code(), Code::kStaleChunk);
  EXPECT_EQ(detail_, 0u);
  EXPECT_TRUE(Mutate(1, 2).ok());
  EXPECT_TRUE(Inventory().empty());
  EXPECT_EQ(store_->disks()[0]->chunks, 0);
}

TEST_F(ChunkStoreTest, DeletingUnknownChunksIsFine) {
  Open();
  EXPECT_TRUE(store_->Delete(VolumeId(7), std::vector<uint64_t>{1, 2, 3}).ok());
}

TEST_F(ChunkStoreTest, SyncPassesOverUnknownChunks) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  EXPECT_TRUE(store_->Sync(VolumeId(1), std::vector<uint64_t>{1, 42, 77}).ok());
}

TEST_F(ChunkStoreTest, SyncDoesNothingWhenNothingWasWritten) {
  Open();
  ASSERT_TRUE(Write(0, "abc").ok());
  ASSERT_TRUE(Sync().ok());
  const int64_t syncs = ops_.syncs;
  ASSERT_TRUE(Sync().ok());
  EXPECT_EQ(ops_.syncs, syncs);
  ASSERT_TRUE(Write(0, "abd").ok());
  ASSERT_TRUE(Sync().ok());
  EXPECT_EQ(ops_.syncs, syncs + 2);
}

TEST_F(ChunkStoreTest, SyncOfManyChunksAtOnce) {
  Open();
  std::vector<uint64_t> ids;
  for (uint64_t id = 1; id <= 100; ++id) {
    ASSERT_TRUE(Write(0, "x", 1, id).ok());
    ids.push_back(id);
  }
  EXPECT_TRUE(store_->Sync(VolumeId(1), ids).ok());
}

TEST_F(ChunkStoreTest, InventoryNamesEveryChunkAndVersion) {
  dirs_ = {root_ + "/d0", root_ + "/d1"};
  Open();
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  for (uint64_t id = 1; id <= 600; ++id) {
    ASSERT_TRUE(Write(0, "x", 1, id).ok());
    expected.emplace_back(id, 1);
  }
  ASSERT_TRUE(Mutate(1, 9, {}, 300).ok());
  expected[299].second = 9;
  EXPECT_EQ(Inventory(), expected);
  EXPECT_EQ(store_->disks()[0]->chunks + store_->disks()[1]->chunks, 600);
  EXPECT_GT(store_->disks()[0]->chunks, 100) << "spread by free space";
  EXPECT_GT(store_->disks()[1]->chunks, 100);
  Open();
  EXPECT_EQ(store_->disks()[0]->chunks + store_->disks()[1]->chunks, 600);
}

}  // namespace
}  // namespace kfs
