// What is written is read: whole and partial blocks, holes, versions, mutations.
#include <fcntl.h>

#include <random>

#include "store_fixture.h"

namespace kfs {
namespace {

class ChunkIoTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    Open();
  }
};

TEST_F(ChunkIoTest, WriteThenRead) {
  std::string data = Pattern(3 * kBlockSize, 1);
  ASSERT_TRUE(Write(0, data).ok());
  EXPECT_EQ(MustRead(0, 3 * kBlockSize), data);
}

TEST_F(ChunkIoTest, ReadIsAlwaysAsLongAsAsked) {
  ASSERT_TRUE(Write(0, "hello").ok());
  EXPECT_EQ(MustRead(0, 10), std::string("hello") + std::string(5, '\0'));
  EXPECT_EQ(MustRead(1 << 20, 8192), std::string(8192, '\0'));
}

TEST_F(ChunkIoTest, PartialWriteKeepsItsNeighbours) {
  std::string data = Pattern(2 * kBlockSize, 1);
  ASSERT_TRUE(Write(0, data).ok());
  ASSERT_TRUE(Write(4000, std::string(200, 'x')).ok());
  data.replace(4000, 200, std::string(200, 'x'));
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), data);
  EXPECT_EQ(MustRead(3999, 203), data.substr(3999, 203));
}

TEST_F(ChunkIoTest, WriteWithinOneBlock) {
  ASSERT_TRUE(Write(100, "abc").ok());
  EXPECT_EQ(MustRead(99, 5), std::string("\0abc\0", 5));
}

TEST_F(ChunkIoTest, HeadAndTailPartial) {
  std::string all(8 * kBlockSize, '\0');
  std::string data = Pattern(5 * kBlockSize, 3);
  ASSERT_TRUE(Write(100, data).ok());
  all.replace(100, data.size(), data);
  EXPECT_EQ(MustRead(0, 8 * kBlockSize), all);
}

TEST_F(ChunkIoTest, OneByteAtTheChunksEnd) {
  ASSERT_TRUE(Write(kChunkSizeDefault - 1, "z").ok());
  EXPECT_EQ(MustRead(kChunkSizeDefault - 2, 2), std::string("\0z", 2));
}

TEST_F(ChunkIoTest, SparseChunkTakesNoSpaceForItsHole) {
  auto allocated =
      store_->Write(Key(), kFirstChunkVersion, 32 << 20, "x", Crcs(0, "x"), Wait::kAllowed, &detail_);
  ASSERT_TRUE(allocated.ok());
  EXPECT_LE(*allocated, 64u << 10);
  EXPECT_EQ(MustRead(1 << 20, 4096), std::string(4096, '\0'));
}

// The kernel would fill its page cache with zeros, far ahead of the reader.
TEST_F(ChunkIoTest, HolesAreNotReadAndNeverOnTheLoop) {
  ASSERT_TRUE(Write(32 << 20, "x").ok());
  const int64_t before = ops_.reads;
  EXPECT_TRUE(
      WouldWait(store_->Read(Key(), kFirstChunkVersion, 1 << 20, 4096, Wait::kNever, &detail_).status()));
  EXPECT_EQ(MustRead(1 << 20, 1 << 20), std::string(1 << 20, '\0'));
  EXPECT_EQ(ops_.reads, before);
  EXPECT_EQ(MustRead((32 << 20) - 1, 2), std::string("\0x", 2));
  EXPECT_GT(ops_.reads, before);
}

TEST_F(ChunkIoTest, BytesInAHoleAreNotTakenForZeros) {
  ASSERT_TRUE(Write(32 << 20, "x").ok());
  Open();
  Flip(DataFile(), 1 << 20);
  EXPECT_EQ(store_->Read(Key(), kFirstChunkVersion, 1 << 20, 4096, Wait::kAllowed, &detail_).status().code(),
            Code::kCorrupt);
}

TEST_F(ChunkIoTest, OverwriteManyTimes) {
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(Write(0, Pattern(2 * kBlockSize, i)).ok());
  EXPECT_EQ(MustRead(0, 2 * kBlockSize), Pattern(2 * kBlockSize, 49));
}

TEST_F(ChunkIoTest, ZerosAreDataNotAHole) {
  ASSERT_TRUE(Write(0, std::string(kBlockSize, '\0')).ok());
  EXPECT_EQ(Seek(0).data, 0u);
  EXPECT_EQ(MustRead(0, kBlockSize), std::string(kBlockSize, '\0'));
}

TEST_F(ChunkIoTest, RandomWritesMatchAModelAcrossReopening) {
  std::mt19937 rng(7);
  std::string model(256 << 10, '\0');
  for (int i = 0; i < 400; ++i) {
    size_t at = rng() % (model.size() - 1), size = 1 + rng() % std::min<size_t>(model.size() - at, 20000);
    std::string data = Pattern(size, i);
    ASSERT_TRUE(Write(at, data).ok());
    model.replace(at, size, data);
    if (i % 50 == 49) Open();
    at = rng() % model.size(), size = 1 + rng() % (model.size() - at);
    ASSERT_EQ(MustRead(at, static_cast<uint32_t>(size)), model.substr(at, size)) << i;
  }
}

TEST_F(ChunkIoTest, RefusesRangesOutsideOfAChunk) {
  EXPECT_EQ(Read(kChunkSizeMax, 1).status().err(), EINVAL);
  EXPECT_EQ(Read(UINT64_MAX - 5, 10).status().err(), EINVAL);
  EXPECT_EQ(Read(0, kFramePayloadMax + 1).status().err(), EINVAL);
  EXPECT_EQ(Write(UINT64_MAX - 1, "abc").err(), EINVAL);
  EXPECT_EQ(Write(0, "").err(), EINVAL);
}

TEST_F(ChunkIoTest, RefusesAWriteWhoseChecksumDiffers) {
  ASSERT_TRUE(Write(0, "good").ok());
  auto r =
      store_->Write(Key(), kFirstChunkVersion, 0, "evil", std::vector<uint32_t>{1}, Wait::kAllowed, &detail_);
  EXPECT_EQ(r.status().code(), Code::kCorrupt);
  EXPECT_EQ(MustRead(0, 4), "good");
}

TEST_F(ChunkIoTest, RefusesAWriteWithTheWrongNumberOfChecksums) {
  auto r = store_->Write(Key(), kFirstChunkVersion, 0, "abc", std::vector<uint32_t>{1, 2}, Wait::kAllowed,
                         &detail_);
  EXPECT_EQ(r.status().err(), EINVAL);
}

// Versions.

TEST_F(ChunkIoTest, ReadOfAnAbsentChunkIsStaleWithDetailZero) {
  EXPECT_EQ(Read(0, 1).status().code(), Code::kStaleChunk);
  EXPECT_EQ(detail_, 0u);
}

TEST_F(ChunkIoTest, AVersionThatNothingWasCommittedToCreates) {
  const auto write = [&](uint64_t version, bool existing) {
    return store_
        ->Write(Key(), ChunkVersion(version), 0, "a", Crcs(0, "a"), Wait::kAllowed, &detail_, existing)
        .status();
  };
  EXPECT_EQ(write(2, true).code(), Code::kStaleChunk);
  EXPECT_EQ(detail_, 0u);
  EXPECT_TRUE(write(2, false).ok());
  EXPECT_EQ(write(1, false).code(), Code::kStaleChunk);
  EXPECT_EQ(MustRead(0, 1, 2), "a");
}

TEST_F(ChunkIoTest, AnotherVersionIsRefusedWithOurs) {
  ASSERT_TRUE(Write(0, "a").ok());
  ASSERT_TRUE(Mutate(1, 5).ok());
  for (uint64_t v : {1, 4, 6}) {
    EXPECT_EQ(Read(0, 1, v).status().code(), Code::kStaleChunk);
    EXPECT_EQ(detail_, 5u);
    EXPECT_EQ(Write(0, "b", v).code(), Code::kStaleChunk);
  }
  EXPECT_EQ(MustRead(0, 1, 5), "a");
}

TEST_F(ChunkIoTest, MutationIsAppliedOnce) {
  ASSERT_TRUE(Write(0, Pattern(kBlockSize, 1)).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 0)}).ok());
  ASSERT_TRUE(Write(0, "new", 2).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 0)}).ok());  // sent again
  EXPECT_EQ(MustRead(0, 3, 2), "new");
}

TEST_F(ChunkIoTest, MutationOfAnAbsentChunkCreatesItEmpty) {
  ASSERT_TRUE(Mutate(3, 4, {Step(pb::ChunkStep::ZERO, 0, 100)}).ok());
  EXPECT_EQ(MustRead(0, 10, 4), std::string(10, '\0'));
  Open();
  EXPECT_EQ(MustRead(0, 10, 4), std::string(10, '\0'));
}

TEST_F(ChunkIoTest, MutationFromAVersionBehindOursGoesAhead) {
  ASSERT_TRUE(Mutate(1, 7).ok());
  EXPECT_TRUE(Mutate(3, 8).ok());
  EXPECT_EQ(MustRead(0, 1, 8), std::string(1, '\0'));
}

// It would count as made.
TEST_F(ChunkIoTest, AStepThatIsNotUnderstoodIsRefused) {
  ASSERT_TRUE(Mutate(1, 2).ok());
  const auto step = [](int kind, uint64_t offset, uint64_t length) {
    return Step(static_cast<pb::ChunkStep::Kind>(kind), offset, length);
  };
  for (const pb::ChunkStep& bad :
       {step(99, 0, 0), step(0, 0, 0), step(pb::ChunkStep::TRUNCATE, UINT64_MAX, 0),
        step(pb::ChunkStep::ZERO, UINT64_MAX, UINT64_MAX), step(pb::ChunkStep::ZERO, 1, kChunkSizeMax),
        step(pb::ChunkStep::ALLOCATE, 0, UINT64_MAX)}) {
    EXPECT_EQ(Mutate(2, 3, {Step(pb::ChunkStep::TRUNCATE, 0), bad}).err(), EINVAL) << bad.DebugString();
  }
  EXPECT_TRUE(Mutate(2, 3, {step(pb::ChunkStep::TRUNCATE, kChunkSizeMax, 0)}).ok());
}

TEST_F(ChunkIoTest, MutationMustRaiseTheVersion) { EXPECT_EQ(Mutate(3, 3).err(), EINVAL); }

// Truncate, zero, allocate.

TEST_F(ChunkIoTest, TruncateAtABlock) {
  ASSERT_TRUE(Write(0, Pattern(4 * kBlockSize, 1)).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, kBlockSize)}).ok());
  EXPECT_EQ(MustRead(0, 4 * kBlockSize, 2),
            Pattern(4 * kBlockSize, 1).substr(0, kBlockSize) + std::string(3 * kBlockSize, '\0'));
  EXPECT_EQ(std::filesystem::file_size(DataFile()), kBlockSize);
  EXPECT_EQ(std::filesystem::file_size(MetaFile()), kMetaHeaderSize + 8);
}

TEST_F(ChunkIoTest, TruncateWithinABlockZeroesItsRest) {
  ASSERT_TRUE(Write(0, std::string(4 * kBlockSize, 'a')).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 5000)}).ok());
  EXPECT_EQ(MustRead(0, 3 * kBlockSize, 2),
            std::string(5000, 'a') + std::string(3 * kBlockSize - 5000, '\0'));
  Open();
  EXPECT_EQ(MustRead(0, 3 * kBlockSize, 2),
            std::string(5000, 'a') + std::string(3 * kBlockSize - 5000, '\0'));
}

TEST_F(ChunkIoTest, TruncateBeyondTheEndChangesNothing) {
  ASSERT_TRUE(Write(0, "abc").ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 1 << 20)}).ok());
  EXPECT_EQ(MustRead(0, 3, 2), "abc");
}

TEST_F(ChunkIoTest, ZeroPunchesWholeBlocksAndWritesEdges) {
  std::string model(8 * kBlockSize, 'a');
  ASSERT_TRUE(Write(0, model).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 100, 3 * kBlockSize)}).ok());
  std::fill_n(model.begin() + 100, 3 * kBlockSize, '\0');
  EXPECT_EQ(MustRead(0, 8 * kBlockSize, 2), model);
  EXPECT_EQ(Seek(0, 2).hole, kBlockSize);
  EXPECT_EQ(Seek(kBlockSize, 2).data, 3 * kBlockSize);
  Open();
  EXPECT_EQ(MustRead(0, 8 * kBlockSize, 2), model);
}

TEST_F(ChunkIoTest, ZeroWithinOneBlock) {
  ASSERT_TRUE(Write(0, std::string(kBlockSize, 'a')).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 10, 20)}).ok());
  EXPECT_EQ(MustRead(0, 40, 2), std::string(10, 'a') + std::string(20, '\0') + std::string(10, 'a'));
  EXPECT_EQ(Seek(0, 2).data, 0u);
}

TEST_F(ChunkIoTest, ZeroOfAHoleStaysAHole) {
  ASSERT_TRUE(Write(8 * kBlockSize, "x").ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 5, 3 * kBlockSize)}).ok());
  EXPECT_EQ(Seek(0, 2).data, 8 * kBlockSize);
}

TEST_F(ChunkIoTest, SeveralStepsInOrder) {
  ASSERT_TRUE(Write(0, std::string(4 * kBlockSize, 'a')).ok());
  ASSERT_TRUE(Mutate(1, 2, {Step(pb::ChunkStep::ZERO, 0, 10), Step(pb::ChunkStep::TRUNCATE, 20)}).ok());
  EXPECT_EQ(MustRead(0, 40, 2), std::string(10, '\0') + std::string(10, 'a') + std::string(20, '\0'));
}

TEST_F(ChunkIoTest, AllocateTakesSpaceAndStaysAHole) {
  ASSERT_TRUE(Write(0, "x").ok());
  Chunk::Steps steps;
  *steps.Add() = Step(pb::ChunkStep::ALLOCATE, 0, 1 << 20);
  auto allocated = store_->Mutate(Key(), ChunkVersion(1), ChunkVersion(2), steps);
  ASSERT_TRUE(allocated.ok()) << allocated.status().ToString();
  EXPECT_GE(allocated->allocated, 1u << 20);
  EXPECT_FALSE(allocated->no_space);
  EXPECT_EQ(Seek(kBlockSize, 2).data, UINT64_MAX);
  EXPECT_EQ(MustRead(0, 8192, 2), "x" + std::string(8191, '\0'));
  ASSERT_TRUE(Write(500000, "y", 2).ok());
  EXPECT_EQ(MustRead(500000, 1, 2), "y");
}

TEST_F(ChunkIoTest, TruncateGivesBackAllocatedSpace) {
  Chunk::Steps steps;
  *steps.Add() = Step(pb::ChunkStep::ALLOCATE, 0, 1 << 20);
  ASSERT_TRUE(store_->Mutate(Key(), ChunkVersion(1), ChunkVersion(2), steps).ok());
  Chunk::Steps truncate;
  *truncate.Add() = Step(pb::ChunkStep::TRUNCATE, 0);
  auto allocated = store_->Mutate(Key(), ChunkVersion(2), ChunkVersion(3), truncate);
  ASSERT_TRUE(allocated.ok());
  EXPECT_LE(allocated->allocated, 8192u);
}

// Seek.

TEST_F(ChunkIoTest, SeekIsExactAtBlocks) {
  ASSERT_TRUE(Write(2 * kBlockSize, Pattern(kBlockSize, 1)).ok());
  ASSERT_TRUE(Write(5 * kBlockSize + 7, "x").ok());
  EXPECT_EQ(Seek(0).data, 2 * kBlockSize);
  EXPECT_EQ(Seek(0).hole, 0u);
  EXPECT_EQ(Seek(2 * kBlockSize + 9).data, 2 * kBlockSize + 9);
  EXPECT_EQ(Seek(2 * kBlockSize + 9).hole, 3 * kBlockSize);
  EXPECT_EQ(Seek(3 * kBlockSize).data, 5 * kBlockSize);
  EXPECT_EQ(Seek(5 * kBlockSize).hole, 6 * kBlockSize);
  EXPECT_EQ(Seek(6 * kBlockSize).data, UINT64_MAX);
  EXPECT_EQ(Seek(7 * kBlockSize + 3).hole, 7 * kBlockSize + 3);
}

// Inline calls never wait.

TEST_F(ChunkIoTest, InlineCallsOnAColdChunkAskForAThread) {
  ASSERT_TRUE(Write(0, "abc").ok());
  EXPECT_TRUE(store_->Read(Key(), kFirstChunkVersion, 0, 3, Wait::kNever, &detail_).ok());
  EXPECT_TRUE(
      store_->Write(Key(), kFirstChunkVersion, 0, "xyz", Crcs(0, "xyz"), Wait::kNever, &detail_).ok());
  Open();
  EXPECT_TRUE(WouldWait(store_->Read(Key(), kFirstChunkVersion, 0, 3, Wait::kNever, &detail_).status()));
  EXPECT_EQ(MustRead(0, 3), "xyz");
  EXPECT_TRUE(store_->Read(Key(), kFirstChunkVersion, 0, 3, Wait::kNever, &detail_).ok());
}

}  // namespace
}  // namespace kfs
