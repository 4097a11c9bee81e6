// The age of a disk's content: what an older copy cannot come past.
#include "chunkserver/disk_age.h"

#include <filesystem>

#include "chunkserver/missing_chunks.h"
#include "tests/unit/chunkserver/store_fixture.h"

namespace kfs {
namespace {

class DiskAgeTest : public StoreTest {
 protected:
  DiskAge Age(int disk = 0) { return store_->disks()[disk]->age(); }
  // A process that is started; what metaservers say to it is up to the test.
  std::unique_ptr<DiskAges> Begin(uint64_t over = 0) {
    Open();
    auto ages = std::make_unique<DiskAges>(store_.get());
    ages->Begin(over);
    return ages;
  }
  void Copy(const std::string& from, const std::string& to) {
    store_.reset();
    std::filesystem::remove_all(to);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }
};

TEST_F(DiskAgeTest, RisesWithEachStartThatWasTaken) {
  Begin()->Taken();
  const DiskAge first = Age();
  EXPECT_EQ(first.age, 1u);
  Begin()->Taken();
  EXPECT_EQ(Age().age, 2u);
  EXPECT_NE(Age().start, first.start);
}

TEST_F(DiskAgeTest, AStartThatNobodyTookIsGoneOnWith) {
  Begin()->Taken();
  Begin();
  const DiskAge second = Age();
  for (int i = 0; i < 5; ++i) Begin();
  EXPECT_EQ(Age().age, second.age);
  EXPECT_EQ(Age().start, second.start);
}

TEST_F(DiskAgeTest, ACopyThatIsRefusedStaysWhereItIs) {
  Begin()->Taken();
  Copy(dirs_[0], root_ + "/older");
  Begin()->Taken();
  const DiskAge right = Age();
  EXPECT_EQ(right.copy_accepted, 0);
  Copy(root_ + "/older", dirs_[0]);
  for (int i = 0; i < 5; ++i) {
    auto ages = Begin();
    if (i % 2 == 1) ages->Taken();  // by a metaserver that has not seen the right one
    EXPECT_EQ(Age().age, right.age);
    EXPECT_NE(Age().start, right.start);
    ages->Refused();
    ages->Taken();
    ages->GoOn();
  }
  Begin(right.age)->Taken();
  EXPECT_GT(Age().age, right.age);
  const uint64_t accepted = Age().age;
  EXPECT_NE(Age().copy_accepted, 0);
  EXPECT_EQ(Age().copy_age, 1u) << "that of the copy, not of its starts that were refused";
  const TimeNs when = Age().copy_accepted;
  Begin(right.age)->Taken();  // the option was left where it is
  EXPECT_EQ(Age().age, accepted + 1);
  EXPECT_EQ(Age().copy_accepted, when);
  EXPECT_EQ(DecodeDiskAge(EncodeDiskAge(Age()))->copy_age, 1u);
}

TEST_F(DiskAgeTest, GetsOlderWhileChunksChangeAndOnlyThen) {
  auto ages = Begin();
  ASSERT_TRUE(Write(0, "x").ok());
  ages->GoOn();
  EXPECT_EQ(Age().age, 1u) << "nobody has taken it";
  ages->Taken();
  ages->GoOn();
  EXPECT_EQ(Age().age, 2u);
  ages->GoOn();
  EXPECT_EQ(Age().age, 2u);
  ASSERT_TRUE(Write(0, "y").ok());
  ages->GoOn();
  EXPECT_EQ(Age().age, 3u);
  Begin();
  EXPECT_EQ(Age().age, 4u) << "it is on the disk";
}

TEST_F(DiskAgeTest, EachDiskHasItsOwn) {
  Begin()->Taken();
  Begin()->Taken();
  dirs_.push_back(root_ + "/d1");
  Begin()->Taken();
  EXPECT_EQ(Age(0).age, 3u);
  EXPECT_EQ(Age(1).age, 1u);
}

TEST_F(DiskAgeTest, ADiskThatTakesNoNoteGoesOnAsItWas) {
  Begin()->Taken();
  const DiskAge before = Age();
  Open();
  DiskAges ages(store_.get());
  ops_.calls_left = 0;
  ages.Begin(0);
  ops_.calls_left = INT64_MAX;
  EXPECT_EQ(Age().age, before.age);
  EXPECT_EQ(Age().start, before.start);
}

TEST_F(DiskAgeTest, WhatIsDamagedCountsAsNone) {
  Begin()->Taken();
  Begin()->Taken();
  store_.reset();
  Flip(dirs_[0] + "/kfs-disk.age", 30);
  Begin();
  EXPECT_EQ(Age().age, 1u);
}

TEST_F(DiskAgeTest, ACopyIsNotUsedBesideItsOriginal) {
  Open();
  Copy(dirs_[0], root_ + "/d1");
  dirs_.push_back(root_ + "/d1");
  auto opened = ChunkStore::Open(StoreOptions());
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find("copies of one disk"), std::string::npos);
}

TEST(MissingChunks, AreToldOnceToEachAndNotWhenTheyAreHere) {
  MissingChunks missing;
  const auto key = [](uint64_t id) { return ChunkKey{VolumeId(1), ChunkId(id)}; };
  const auto told = [&](uint64_t* after) {
    google::protobuf::RepeatedPtrField<pb::ChunkRef> refs;
    *after = missing.Fill(*after, &refs);
    return refs.size();
  };
  uint64_t a = 0, b = 0;
  for (uint64_t id = 1; id <= 3; ++id) missing.Note(key(id), kFirstChunkVersion, MonoTime());
  missing.Note(key(1), kFirstChunkVersion, MonoTime());
  EXPECT_EQ(told(&a), 3);
  EXPECT_EQ(told(&a), 0);
  missing.Here(key(2));
  EXPECT_EQ(told(&b), 2);
  for (uint64_t id = 1; id <= 3 * MissingChunks::kMax; ++id)
    missing.Note(key(id), kFirstChunkVersion, MonoTime());
  int all = 0;
  for (int n = 1; n != 0; all += n) n = told(&b);
  EXPECT_LE(all, static_cast<int>(MissingChunks::kMax));
  EXPECT_GT(all, 0);
}

}  // namespace
}  // namespace kfs
