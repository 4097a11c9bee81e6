// Older copies of a chunkserver's disks, and chunks that are not there.
#include "metaserver/chunks/disk_ages.h"

#include <gtest/gtest.h>

#include "metaserver/chunks/believed.h"
#include "metaserver/losses/missing_chunks.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

struct Shows {
  std::string uuid;
  uint64_t age;
  std::string start;
};

DiskAges::Disks Disks(const std::vector<Shows>& shows) {
  DiskAges::Disks disks;
  for (const Shows& s : shows) {
    pb::DiskStatus* d = disks.Add();
    d->set_path("/data/" + s.uuid);
    d->set_uuid(s.uuid);
    d->set_age(s.age);
    d->set_start(s.start);
  }
  return disks;
}

TEST(DiskAges, AnOlderCopyIsRefusedAndNothingElse) {
  DiskAges ages;
  ages.Note(Disks({{"a", 5, "x"}, {"b", 2, "y"}}));
  EXPECT_TRUE(ages.Check(Disks({{"a", 5, "x"}, {"b", 2, "y"}})).ok()) << "it has connected anew";
  EXPECT_TRUE(ages.Check(Disks({{"a", 6, "z"}})).ok());
  EXPECT_TRUE(ages.Check(Disks({{"a", 60, "z"}, {"c", 1, "z"}})).ok()) << "a new disk";
  EXPECT_TRUE(ages.Check(Disks({{"", 0, ""}})).ok()) << "of an earlier version";
  EXPECT_EQ(ages.Check(Disks({{"a", 4, "x"}})).code(), Code::kOlderCopy);
  EXPECT_EQ(ages.Check(Disks({{"a", 5, "z"}})).code(), Code::kOlderCopy);
  const Status one = ages.Check(Disks({{"a", 6, "z"}, {"b", 1, "z"}}));
  EXPECT_EQ(one.code(), Code::kOlderCopy);
  EXPECT_NE(one.message().find("/data/b"), std::string::npos);
  EXPECT_NE(one.message().find("accept-older-copy=5"), std::string::npos) << one.message();
}

// The right directory turns up after a copy was accepted: neither has everything, and no advice may lead from
// one to the other and back.
TEST(DiskAges, AnAcceptedCopyIsRemembered) {
  DiskAges ages;
  ages.Note(Disks({{"a", 9, "x"}}));
  EXPECT_EQ(ages.CopyAccepted(), "");
  DiskAges::Disks accepted = Disks({{"a", 10, "copy"}});
  accepted[0].set_copy_accepted(int64_t{1'700'000'000} * 1'000'000'000);
  accepted[0].set_copy_age(4);
  ASSERT_TRUE(ages.Check(accepted).ok());
  EXPECT_TRUE(ages.Note(accepted));
  rec::Chunkserver record;
  ages.Store(&record);
  DiskAges again;
  again.Load(record);
  EXPECT_EQ(again.CopyAccepted(), "2023-11-14 22:13 UTC");
  const std::string original = again.Check(Disks({{"a", 10, "y"}})).message();
  EXPECT_NE(original.find("another copy of it was accepted on 2023-11-14"), std::string::npos) << original;
  EXPECT_NE(original.find("this one has data which the accepted one has not"), std::string::npos) << original;
  EXPECT_NE(original.find("accept-older-copy=10"), std::string::npos) << original;
  const std::string same = again.Check(Disks({{"a", 5, "z"}})).message();
  EXPECT_EQ(same.find("this one has data"), std::string::npos) << "the same copy: " << same;
  // The original is gone on with after all.
  DiskAges::Disks back = Disks({{"a", 11, "y"}});
  back[0].set_copy_accepted(int64_t{1'700'100'000} * 1'000'000'000);
  back[0].set_copy_age(9);
  EXPECT_TRUE(again.Note(back));
  EXPECT_EQ(again.CopyAccepted(), "2023-11-16 02:00 UTC");
}

TEST(DiskAges, AreRememberedAndBounded) {
  DiskAges ages;
  EXPECT_TRUE(ages.Note(Disks({{"a", 5, "x"}})));
  EXPECT_FALSE(ages.Note(Disks({{"a", 5, "x"}})));
  EXPECT_FALSE(ages.Note(Disks({{"a", 4, "w"}})));
  EXPECT_FALSE(ages.Note(Disks({{"b", UINT64_MAX, "x"}})));
  EXPECT_FALSE(ages.Note(Disks({{std::string(1000, 'b'), 1, "x"}})));
  rec::Chunkserver record;
  ages.Store(&record);
  DiskAges again;
  again.Load(record);
  EXPECT_EQ(again.Check(Disks({{"a", 4, "w"}})).code(), Code::kOlderCopy);
  for (size_t i = 0; i < 2 * DiskAges::kMax; ++i) again.Note(Disks({{std::to_string(i), 1, "x"}}));
  rec::Chunkserver full;
  again.Store(&full);
  EXPECT_EQ(static_cast<size_t>(full.disk_size()), DiskAges::kMax);
}

class MissingTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    missing_ = std::make_unique<MissingChunks>(clock_, *executor_, *servers_, alarms_);
  }
  void Tell(uint64_t chunk) {
    google::protobuf::RepeatedPtrField<pb::ChunkRef> refs;
    refs.Add()->set_volume(1);
    refs[0].set_chunk(chunk);
    missing_->Told(ServerId(1), refs);
  }
  int Findings() {
    pb::ClusterStatusReply reply;
    alarms_.Fill(clock_.MonoNow(), &reply);
    return reply.alarm_size();
  }
  void Later() {
    clock_.Advance(MissingChunks::kLookEvery);
    missing_->OnTimer();
  }
  Alarms alarms_;
  std::unique_ptr<MissingChunks> missing_;
};

TEST_F(MissingTest, WhatTheVolumeNamesIsAFindingUntilItIsThere) {
  const uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  const uint64_t chunk = layout.chunk(0).chunk();
  Tell(chunk);
  EXPECT_EQ(Findings(), 0) << "nothing was written to it";
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  Tell(chunk + 1);
  EXPECT_EQ(Findings(), 0) << "nothing names it";
  Tell(chunk);
  EXPECT_EQ(Findings(), 1);
  Later();
  EXPECT_EQ(Findings(), 1);
  missing_->Held(ServerId(1), VolumeId(1), chunk, 0);
  Later();
  EXPECT_EQ(Findings(), 1) << "an earlier version is of no use";
  missing_->Held(ServerId(1), VolumeId(1), chunk, layout.chunk(0).version());
  Later();
  EXPECT_EQ(Findings(), 0);
}

TEST_F(MissingTest, SaysThatACopyWasAccepted) {
  const uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  DiskAges::Disks accepted = Disks({{"a", 10, "copy"}});
  accepted[0].set_copy_accepted(int64_t{1'700'000'000} * 1'000'000'000);
  pb::HeartbeatRequest heartbeat;
  *heartbeat.mutable_disk() = accepted;
  ASSERT_TRUE(servers_->Heartbeat(ServerId(1), heartbeat).ok());
  Tell(layout.chunk(0).chunk());
  pb::ClusterStatusReply reply;
  alarms_.Fill(clock_.MonoNow(), &reply);
  ASSERT_EQ(reply.alarm_size(), 1);
  EXPECT_NE(reply.alarm(0).next().find("accepted on 2023-11-14"), std::string::npos) << reply.alarm(0).next();
  EXPECT_EQ(reply.alarm(0).next().find("Put the right data directory back"), std::string::npos);
}

TEST_F(MissingTest, IsOverWhenNothingNamesIt) {
  const uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  Tell(layout.chunk(0).chunk());
  EXPECT_EQ(Findings(), 1);
  Unlink(1, "f");
  for (int i = 0; i < 10; ++i) Settle();
  Later();
  EXPECT_EQ(Findings(), 0);
}

TEST_F(MissingTest, WhatAChunkTakesIsNotBelievedBeyondReason) {
  const uint64_t f = Mknod(1, "f");
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 100));
  Run<rpc::CommitWrite>(CommitOf(f, 0, 100, layout));
  auto_ack_ = false;
  pb::SetattrRequest r = SetattrOf(f, pb::SetattrRequest::SIZE);
  r.set_size(50);
  Begin<rpc::Setattr>(r);
  ASSERT_EQ(mutated_.size(), 1u);
  pb::MutateChunkReply reply;
  reply.set_allocated(uint64_t{1} << 63);
  auto answers = std::move(mutated_);
  mutated_.clear();
  answers[0].done(Status(), reply.SerializeAsString());
  executor_->EndTick();
  auto_ack_ = true;
  EXPECT_LE(Stat(f).allocated(), 2 * kChunk);
}

}  // namespace
}  // namespace kfs::meta
