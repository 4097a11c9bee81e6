// What becomes of deleted chunks, and of chunks that have lost one of their files.
#include "store_fixture.h"

namespace kfs {
namespace {

namespace fs = std::filesystem;

class WallClock : public ManualClock {
 public:
  TimeNs WallNow() const override { return wall; }
  void Pass(Duration d) {
    now += d;
    wall += d.count();
  }
  TimeNs wall = TimeNs{1'700'000'000} * 1'000'000'000;
};

class GarbageTest : public StoreTest {
 protected:
  void Begin(Duration keep = std::chrono::hours(24)) {
    ChunkStore::Options o = StoreOptions();
    o.garbage_keep = keep;
    o.clock = &wall_;
    OpenWith(std::move(o));
  }
  GarbageBin& Bin() { return store_->disks()[0]->bin(); }
  // An inventory; every chunk whose time is over is called garbage once more.
  std::vector<uint64_t> DropDue(bool confirmed = true) {
    std::vector<uint64_t> due;
    for (ChunkStore::Cursor c; !c.done;) {
      const auto held = store_->ScanStep(&c);
      if (held.garbage_of == nullptr) continue;
      std::vector<uint64_t> ids;
      for (const auto& [id, version] : held.chunks) ids.push_back(id);
      due.insert(due.end(), ids.begin(), ids.end());
      if (confirmed) store_->DropGarbage(held, ids);
    }
    std::sort(due.begin(), due.end());
    return due;
  }
  size_t FilesBelow(const std::string& dir) {
    size_t n = 0;
    std::error_code ec;
    for (const auto& e : fs::recursive_directory_iterator(root_ + "/d0/" + dir, ec)) n += e.is_regular_file();
    return n;
  }
  WallClock wall_;
};

TEST_F(GarbageTest, WhatWasDeletedIsThereAgainWhenItIsAskedFor) {
  Begin();
  for (uint64_t id : {1, 2, 3}) ASSERT_TRUE(Write(0, Pattern(5000, static_cast<int>(id)), 1, id).ok());
  ASSERT_TRUE(store_->Delete(VolumeId(1), std::vector<uint64_t>{1, 2, 3}).ok());
  EXPECT_TRUE(Inventory().empty());
  EXPECT_EQ(store_->disks()[0]->chunks, 0);
  EXPECT_EQ(Bin().chunks(), 3u);
  EXPECT_GE(Bin().bytes(), 3u * 8192);
  EXPECT_TRUE(store_->HoldsNothing().ok());
  EXPECT_EQ(MustRead(0, 5000, 1, 1), Pattern(5000, 1));
  ASSERT_TRUE(Write(5000, "more", 1, 2).ok());
  EXPECT_EQ(MustRead(0, 5004, 1, 2), Pattern(5000, 2) + "more");
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 10)}, 3).ok());
  EXPECT_EQ(MustRead(0, 12, 2, 3), Pattern(5000, 3).substr(0, 10) + std::string(2, '\0'));
  EXPECT_EQ(Bin().chunks(), 0u);
  EXPECT_EQ(Bin().bytes(), 0u);
  EXPECT_EQ(Inventory().size(), 3u);
  EXPECT_EQ(store_->stats().taken_back, 3u);
}

TEST_F(GarbageTest, ItSurvivesAKillAndAPowerCut) {
  Begin();
  ASSERT_TRUE(Write(0, Pattern(9000, 1)).ok());
  ASSERT_TRUE(Delete().ok());
  boot_[0]++;
  ops_.calls_left = 0;
  store_.reset();
  ops_.calls_left = INT64_MAX;
  Begin();
  store_->SyncChangedDisks();  // counts
  EXPECT_EQ(Bin().chunks(), 1u);
  const uint64_t bytes = Bin().bytes();
  EXPECT_GE(bytes, 12288u);
  EXPECT_EQ(MustRead(0, 9000), Pattern(9000, 1));
  EXPECT_EQ(Bin().chunks(), 0u);
  EXPECT_EQ(Bin().bytes(), 0u);
}

TEST_F(GarbageTest, ADeletionThatIsCutShortLosesNothing) {
  for (int64_t calls = 0; calls < 8; ++calls) {
    SCOPED_TRACE(calls);
    const auto id = static_cast<uint64_t>(100 + calls);
    Begin();
    ASSERT_TRUE(Write(0, Pattern(6000, 1), 1, id).ok());
    ops_.calls_left = calls;
    (void)Delete(id);
    ops_.calls_left = 0;
    store_.reset();
    ops_.calls_left = INT64_MAX;
    Begin();
    (void)Inventory();  // sweeps
    EXPECT_EQ(MustRead(0, 6000, 1, id), Pattern(6000, 1));
    EXPECT_EQ(Bin().set_aside(), 0u);
  }
}

TEST_F(GarbageTest, ItGoesWhenItsTimeIsOverAndItIsStillGarbage) {
  Begin();
  ASSERT_TRUE(Write(0, "abc", 1, 1).ok());
  ASSERT_TRUE(Write(0, "abc", 1, 2).ok());
  ASSERT_TRUE(Delete(1).ok());
  wall_.Pass(std::chrono::hours(12));
  ASSERT_TRUE(Delete(2).ok());
  EXPECT_TRUE(DropDue().empty());
  wall_.Pass(std::chrono::hours(13));
  EXPECT_EQ(DropDue(/*confirmed=*/false), std::vector<uint64_t>{1});
  EXPECT_EQ(Bin().chunks(), 2u);
  EXPECT_EQ(DropDue(), std::vector<uint64_t>{1});
  EXPECT_EQ(Bin().chunks(), 1u);
  EXPECT_EQ(Read(0, 3, 1, 1).status().code(), Code::kStaleChunk);
  wall_.Pass(std::chrono::hours(12));
  EXPECT_EQ(DropDue(), std::vector<uint64_t>{2});
  EXPECT_EQ(FilesBelow("garbage"), 0u);
  EXPECT_EQ(Bin().bytes(), 0u);
}

TEST_F(GarbageTest, AClockThatJumpsDoesNotEndItAtOnce) {
  Begin();
  ASSERT_TRUE(Write(0, "abc").ok());
  ASSERT_TRUE(Delete().ok());
  wall_.wall += std::chrono::nanoseconds(std::chrono::hours(24 * 365)).count();
  EXPECT_TRUE(DropDue().empty());
  EXPECT_EQ(MustRead(0, 3), "abc");
}

TEST_F(GarbageTest, KeptForNoTimeItIsDeleted) {
  Begin(Duration::zero());
  ASSERT_TRUE(Write(0, "abc").ok());
  ASSERT_TRUE(Delete().ok());
  EXPECT_EQ(FilesBelow(""), 2u);  // identity and lock
  EXPECT_EQ(Bin().chunks(), 0u);
  EXPECT_EQ(Read(0, 3).status().code(), Code::kStaleChunk);
}

TEST_F(GarbageTest, TheOldestMakesRoom) {
  Begin();
  for (uint64_t id = 1; id <= 200; ++id) ASSERT_TRUE(Write(0, "abc", 1, id).ok());
  for (uint64_t id = 1; id <= 200; ++id) {
    ASSERT_TRUE(Delete(id).ok());
    if (id == 100) wall_.Pass(std::chrono::hours(2));
  }
  EXPECT_GT(Bin().DropOldest(), 0u);
  EXPECT_EQ(Bin().chunks(), 200 - GarbageBin::kDropBatch);
  EXPECT_EQ(MustRead(0, 3, 1, 200), "abc") << "the younger ones stay";
  ASSERT_TRUE(store_->disks()[0]->MakeRoom(1));
  EXPECT_EQ(Bin().chunks(), 0u);
  EXPECT_EQ(Bin().bytes(), 0u);
  EXPECT_FALSE(store_->disks()[0]->MakeRoom(1));
}

TEST_F(GarbageTest, DataThatHasLostItsHeaderIsSetAside) {
  Begin();
  ASSERT_TRUE(Write(0, Pattern(5000, 1)).ok());
  ASSERT_TRUE(Write(0, Pattern(5000, 2), 1, 43).ok());
  ASSERT_TRUE(Sync().ok());
  const std::string meta = MetaFile(), empty = MetaFile(43), folder = root_ + "/d0/aside/";
  store_.reset();
  fs::remove(meta);
  Spew(empty, "");
  for (int start = 0; start < 2; ++start) {
    Begin();
    EXPECT_TRUE(Inventory().empty());
    EXPECT_EQ(Bin().set_aside(), 2u);
    EXPECT_EQ(Read(0, 5).status().code(), Code::kStaleChunk);
    EXPECT_EQ(Slurp(folder + "1.000000000000002a.data").substr(0, 5000), Pattern(5000, 1));
    EXPECT_EQ(Slurp(folder + "1.000000000000002b.data").substr(0, 5000), Pattern(5000, 2));
  }
  EXPECT_FALSE(fs::exists(empty));
}

TEST_F(GarbageTest, WhatACreationLeftIsSweptUp) {
  Begin();
  ASSERT_TRUE(Write(0, "abc").ok());  // makes the folder
  Spew(DataFile(298), "");            // same low byte
  EXPECT_EQ(Inventory().size(), 1u);
  EXPECT_FALSE(fs::exists(DataFile(298)));
  EXPECT_EQ(Bin().set_aside(), 0u);
}

}  // namespace
}  // namespace kfs
