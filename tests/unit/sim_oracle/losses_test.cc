// What the oracle says of losses of power.
#include <cerrno>

#include "tests/unit/sim_oracle/checker_fixture.h"

namespace kfs::sim {
namespace {

using LossesTest = CheckerTest;

TEST_F(LossesTest, PowerTakesTheLatestAndNothingThatWasSynced) {
  Name(Call::kMkdir, 0, 1, "a", 0, 7);
  Name(Call::kSyncDir, 2, 3, "", 0);
  Name(Call::kMkdir, 4, 5, "b", 0, 8);
  Name(Call::kMkdir, 6, 7, "c", 0, 9);
  history_.losses.push_back({8});
  Name(Call::kLookup, 9, 10, "b", 0, 8);
  Name(Call::kLookup, 11, 12, "c", ENOENT);
  EXPECT_TRUE(Right());
  history_.steps[4].err = ENOENT;  // b is gone: so is c, which came later
  EXPECT_TRUE(Right());
  history_.steps[5].err = 0;
  history_.steps[5].got = 9;
  EXPECT_FALSE(Right());
  history_.steps[5].err = ENOENT;
  history_.steps[5].name = "a";  // was synced
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, WhatWasUnderWayWhenThePowerWentIsDoneOnce) {
  Name(Call::kMkdir, 0, 20, "a", 0, 7);
  history_.losses.push_back({8});
  Name(Call::kLookup, 21, 22, "a", 0, 7);
  EXPECT_TRUE(Right());
  history_.steps[0].err = EEXIST;  // sent again, done again
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, ASyncFailsOnlyWhereSomethingWasLost) {
  Name(Call::kMkdir, 0, 1, "a", 0, 7);
  Name(Call::kSyncDir, 9, 10, "", EIO);
  EXPECT_FALSE(Right());
  history_.losses.push_back({8});
  history_.steps[1].client = history_.steps[0].client;
  EXPECT_TRUE(Right());
}

TEST_F(LossesTest, AChunkserversPowerTakesDataThatWasNotSynced) {
  Block(Call::kWrite, 0, 1, 0, 5);
  Block(Call::kSyncFile, 2, 3, 0, 0);
  Block(Call::kWrite, 4, 5, 0, 6);
  Block(Call::kWrite, 6, 7, 1, 7);
  history_.losses.push_back({.at = 8, .of_data = true});
  Block(Call::kRead, 9, 10, 1, 0, 7);
  Block(Call::kRead, 11, 12, 0, 0, 5);  // each block by itself, not the latest first
  EXPECT_TRUE(Right());
  Block(Call::kRead, 13, 14, 0, 0, 6);  // and not back again
  EXPECT_FALSE(Right());
  history_.steps.back().got = 5;
  EXPECT_TRUE(Right());
  history_.steps[5].got = 0;  // was synced
  history_.steps[6].got = 0;
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, AMixtureIsOfWhatTheBlockMayHaveHeldAndStays) {
  Block(Call::kWrite, 0, 1, 0, 5);
  Block(Call::kWrite, 2, 3, 0, 6);
  Block(Call::kRead, 9, 10, 0, 0, 99);
  history_.steps.back().mixed = {5, 6};
  EXPECT_FALSE(Right());
  history_.losses.push_back({.at = 8, .of_data = true});
  EXPECT_TRUE(Right());
  history_.steps.back().mixed = {5, 7};
  EXPECT_FALSE(Right());
  history_.steps.back().mixed = {5, 6};
  Block(Call::kRead, 11, 12, 0, 0, 6);
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, AnFsyncThatSucceedsSaysThatNothingOfItsMountIsGone) {
  Block(Call::kWrite, 0, 1, 0, 5);
  history_.losses.push_back({.at = 8, .of_data = true});
  Block(Call::kSyncFile, 9, 10, 0, 0);
  Block(Call::kRead, 11, 12, 0, 0, 0);
  EXPECT_TRUE(Right());  // another mount's
  history_.steps[1].client = history_.steps[0].client;
  EXPECT_FALSE(Right());
  history_.steps[1].err = EIO;
  EXPECT_TRUE(Right());
  history_.steps[1].err = 0;
  history_.steps[2].got = 5;
  EXPECT_TRUE(Right());
  Block(Call::kSyncFile, 13, 14, 0, 0);
  history_.losses.push_back({.at = 15, .of_data = true});
  Block(Call::kRead, 16, 17, 0, 0, 0);  // durable by now
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, APowerThatWasPerhapsAnotherServersMakesNothingDurable) {
  Name(Call::kMkdir, 0, 1, "a", 0, 7);
  history_.losses.push_back({.at = 2});
  history_.losses.push_back({.at = 5});
  Name(Call::kLookup, 3, 4, "a", 0, 7);
  Name(Call::kLookup, 6, 7, "a", ENOENT);
  EXPECT_FALSE(Right());
  history_.losses[0].perhaps = true;
  EXPECT_TRUE(Right());
}

TEST_F(LossesTest, AChunkThatWasNeverSyncedMayBeGoneAsAWhole) {
  Block(Call::kWrite, 0, 1, 0, 5);
  Block(Call::kRead, 9, 10, 1, 0, 0);
  history_.steps.back().err = EIO;
  EXPECT_FALSE(Right());
  history_.losses.push_back({.at = 8, .of_data = true});
  EXPECT_TRUE(Right());
  history_.steps.back().block = Content::kBlocksOfChunk;  // another chunk, of which there was nothing
  EXPECT_FALSE(Right());
  history_.steps.back().block = 1;
  Block(Call::kSyncFile, 2, 3, 0, 0);
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, ASyncTellsThoseWhoseChangesWereLost) {
  Block(Call::kWrite, 0, 1, 0, 5);
  history_.losses.push_back({8});
  Block(Call::kRead, 9, 10, 0, 0, 0);
  Block(Call::kSyncFile, 11, 12, 0, 0);
  EXPECT_TRUE(Right());  // it was another's
  history_.steps[2].client = history_.steps[0].client;
  EXPECT_FALSE(Right());
  history_.steps[2].err = EIO;
  EXPECT_TRUE(Right());
}

TEST_F(LossesTest, ASyncThroughANewHandleDoesNotTellOfWhatWasLostBefore) {
  Block(Call::kWrite, 0, 1, 0, 5);
  history_.losses.push_back({8});
  Block(Call::kRead, 9, 10, 0, 0, 0);
  Block(Call::kSyncFile, 11, 12, 0, 0);
  history_.steps[2].client = history_.steps[0].client;
  EXPECT_FALSE(Right());
  history_.steps[2].anew = true;
  EXPECT_TRUE(Right());
}

TEST_F(LossesTest, ASyncOfWhoIsNotKnownAnyMoreMayFail) {
  Block(Call::kWrite, 0, 1, 0, 5);
  Block(Call::kSyncFile, 2, 3, 0, 0);
  history_.steps.back().err = EIO;
  EXPECT_FALSE(Right());
  history_.forgets_sessions = true;
  EXPECT_TRUE(Right());
}

TEST_F(LossesTest, AChangeThatIsDoneAnewMayComeToAnotherEnd) {
  Name(Call::kCreate, 0, 20, "a", 0, 9);
  history_.losses.push_back({8});
  Name(Call::kLookup, 2, 3, "a", 0, 7);  // as it was made first
  Name(Call::kLookup, 21, 22, "a", 0, 9);
  EXPECT_TRUE(Right());
  history_.steps[1].ended = 10;
  history_.steps[1].began = 9;  // after the power had gone, which made it what it is
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, AChangeThatIsDoneAnewWasLostBefore) {
  Name(Call::kMkdir, 0, 20, "a", 0, 7);
  Name(Call::kRmdir, 2, 30, "a", ENOENT);
  Name(Call::kLookup, 4, 5, "a", ENOENT);  // it has been removed by then, and that is still so
  Name(Call::kSyncDir, 6, 7, "", 0);
  history_.losses.push_back({8});
  EXPECT_TRUE(Right());
  history_.steps[0].ended = 1;
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, WhatIsReadBeforeALossIsNotDurable) {
  Block(Call::kWrite, 0, 1, 0, 5);
  Block(Call::kSyncFile, 2, 3, 0, 0);
  Block(Call::kWrite, 4, 9, 0, 6);
  Block(Call::kRead, 5, 6, 0, 0, 6);
  history_.losses.push_back({.at = 8, .of_data = true});
  Block(Call::kRead, 10, 11, 0, 0, 5);
  EXPECT_TRUE(Right());
  history_.steps.back().got = 0;
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, AnAppendMayHaveLeftDataUnderAnothers) {
  Block(Call::kAppend, 0, 20, 0, 5);
  Block(Call::kAppend, 1, 2, 0, 6);
  history_.losses.push_back({.at = 8, .of_data = true});
  Block(Call::kRead, 9, 10, 0, 0, 99);
  history_.steps.back().mixed = {5, 6};
  Block(Call::kRead, 21, 22, 1, 0, 5);
  EXPECT_TRUE(Right());
  history_.steps[0].began = 9;  // it was not there yet
  EXPECT_FALSE(Right());
}

TEST_F(LossesTest, AReadAcrossALossMaySeeWhatIsNeverCommitted) {
  Block(Call::kRead, 0, 20, 0, 0, 5);
  Block(Call::kWrite, 9, kNever, 0, 5);
  history_.losses.push_back({8});
  Block(Call::kRead, 21, 22, 0, 0, 0);
  EXPECT_TRUE(Right());
  history_.steps[0].began = 9;
  EXPECT_FALSE(Right());
}

}  // namespace
}  // namespace kfs::sim
