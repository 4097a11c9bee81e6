// Nothing lands late: tickets that run out before their session, fences, writes that are given up, and data
// that belongs to an open.
#include <map>

#include "common/limits.h"
#include "metaserver/ops/chunk_ops.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class FenceTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    opens_for_data_ = false;
  }
  // The end of the connection, as the metaserver sees it.
  void Disconnect(const SessionPtr& s) {
    executor_->Disconnected(*s, 0, s->lane(0).connection_number);
    executor_->EndTick();
  }
  int OpenBy(const SessionPtr& s, uint64_t ino, uint32_t flags) {
    pb::OpenRequest r;
    r.set_ino(ino);
    r.set_flags(flags);
    Run<rpc::Open>(r, s);
    return err();
  }
  pb::ReadLayoutRequest ReadOf(uint64_t ino) {
    pb::ReadLayoutRequest r;
    r.set_ino(ino);
    r.set_length(4096);
    r.set_rights(kReadChunk);
    return r;
  }
  pb::KeepAliveReply KeepAlive(const SessionPtr& s) {
    auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
    call->session = s;
    executor_->KeepAlive(call, {});
    executor_->EndTick();
    pb::KeepAliveReply reply;
    EXPECT_TRUE(call->answered && reply.ParseFromString(call->reply));
    return reply;
  }
  pb::GiveUpWriteRequest GiveUpOf(uint64_t ino, const pb::LayoutReply& layout) {
    pb::GiveUpWriteRequest r;
    r.set_ino(ino);
    for (const auto& c : layout.chunk()) {
      auto* g = r.add_given_up();
      g->set_chunk(c.chunk());
      g->set_version(c.version());
    }
    return r;
  }
  const std::chrono::milliseconds kTtl{30000};
};

TEST_F(FenceTest, DataBelongsToAnOpenOfTheSession) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 100), 0);
  SessionPtr other = OpenSession();
  Run<rpc::ReadLayout>(ReadOf(f), other);
  EXPECT_EQ(err(), EBADF);
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10), other);
  EXPECT_EQ(err(), EBADF);
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10))), other);
  EXPECT_EQ(err(), EBADF);
  pb::FallocateRequest fallocate;
  fallocate.set_ino(f);
  fallocate.set_length(10);
  Run<rpc::Fallocate>(fallocate, other);
  EXPECT_EQ(err(), EBADF);
  EXPECT_EQ(Release(f), 0);
  Run<rpc::ReadLayout>(ReadOf(f));
  EXPECT_EQ(err(), EBADF);
}

TEST_F(FenceTest, AnOpenGivesWhatItWasOpenedFor) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 100), 0);
  SessionPtr reader = OpenSession(), writer = OpenSession();
  ASSERT_EQ(OpenBy(reader, f, O_RDONLY), 0);
  ASSERT_EQ(OpenBy(writer, f, O_WRONLY), 0);
  const pb::LayoutReply read = Run<rpc::ReadLayout>(ReadOf(f), reader);
  EXPECT_EQ(err(), 0);
  ASSERT_EQ(read.chunk_size(), 1);
  EXPECT_EQ(read.chunk(0).rights(), uint32_t{kReadChunk});
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10), reader);
  EXPECT_EQ(err(), EACCES);
  Run<rpc::ReadLayout>(ReadOf(f), writer);
  EXPECT_EQ(err(), EACCES);
  EXPECT_EQ(Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10), writer).chunk(0).rights(), uint32_t{kWriteChunk});
  pb::ReadLayoutRequest without = ReadOf(f);  // fsync's
  without.clear_rights();
  EXPECT_TRUE(Run<rpc::ReadLayout>(without, writer).chunk(0).server(0).mac().empty());
  EXPECT_EQ(err(), 0);
}

TEST_F(FenceTest, AReclaimedOpenGivesWhatItGaveBefore) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 100), 0);
  Restart();
  SessionPtr s = Attach(s_);
  pb::ReclaimRequest r;
  r.set_last(true);
  auto* open = r.add_open();
  open->set_ino(f);
  open->set_count(1);
  open->set_rights(kReadChunk);
  ASSERT_TRUE(Reclaim(s, r).ok());
  s_ = s;
  Run<rpc::ReadLayout>(ReadOf(f));
  EXPECT_EQ(err(), 0);
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  EXPECT_EQ(err(), EACCES);
}

TEST_F(FenceTest, ATicketRunsOutBeforeItsSession) {
  const uint64_t f = Create(1, "f").attr().ino();
  pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  ASSERT_EQ(layout.ticket_size(), 1);
  const uint64_t first = layout.ticket(0).ticket().expires_ms();
  EXPECT_EQ(first, clock_.BootMs() + 27000);
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ(KeepAlive(s_).ticket(0).ticket().expires_ms(), first + 10000);
  // A call that waited for long and is answered now: the session has not been heard of since it came.
  auto_ack_ = false;
  ASSERT_EQ(Run<rpc::CommitWrite>(CommitOf(f, 0, 10, layout)).size(), 10u);
  ASSERT_EQ(Truncate(f, 5), 0);
  TestCallPtr waiting = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  ASSERT_FALSE(waiting->answered);
  clock_.Advance(std::chrono::seconds(20));
  AckMutations();
  executor_->EndTick();
  ASSERT_TRUE(waiting->answered && layout.ParseFromString(waiting->reply));
  EXPECT_EQ(layout.ticket(0).ticket().expires_ms(), first + 10000);
  EXPECT_LT(layout.ticket(0).ticket().expires_ms(), clock_.BootMs() + 10000) << "it outlives the session";
}

TEST_F(FenceTest, WhatASessionHadIsFencedWhenItsConnectionEnds) {
  const uint64_t f = Create(1, "f").attr().ino();
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  Disconnect(s_);
  ASSERT_EQ(fence_history_.size(), 1u);
  const auto& fence = fence_history_[0];
  ASSERT_EQ(fence.fence_size(), 1);
  EXPECT_EQ(fence.clock(), layout.ticket(0).ticket().clock());
  EXPECT_EQ(fence.fence(0).session(), s_->id.v);
  EXPECT_GT(fence.fence(0).serial(), layout.ticket(0).ticket().serial());
  EXPECT_GE(fence.fence(0).expires_ms(), layout.ticket(0).ticket().expires_ms());
  SessionPtr back = Attach(s_);
  const pb::LayoutReply again = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10), back);
  EXPECT_EQ(again.ticket(0).ticket().serial(), fence.fence(0).serial());
}

// Whoever is gone may have written over it: the answer waits for the fence, and then it is written again.
TEST_F(FenceTest, OthersWaitForTheFenceAndWriteAgain) {
  const uint64_t f = Create(1, "f").attr().ino(), g = Create(1, "g").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  ASSERT_EQ(Write(g, 0, 10), 0);
  ASSERT_EQ(Release(g), 0);  // after its last write
  SessionPtr other = OpenSession();
  ASSERT_EQ(OpenBy(other, f, O_RDWR), 0);
  ASSERT_EQ(OpenBy(other, g, O_RDWR), 0);
  const pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10), other);
  auto_ack_fences_ = false;
  Disconnect(s_);
  TestCallPtr commit = Begin<rpc::CommitWrite>(CommitOf(f, 0, 10, layout), other);
  TestCallPtr prepare = Begin<rpc::PrepareWrite>(PrepareOf(f, 0, 10), other);
  TestCallPtr read = Begin<rpc::ReadLayout>(ReadOf(f), other);
  EXPECT_FALSE(commit->answered || prepare->answered || read->answered);
  Run<rpc::ReadLayout>(ReadOf(g), other);
  EXPECT_EQ(err(), 0) << "another file is none of its business";
  AckFences();
  executor_->EndTick();
  ASSERT_TRUE(commit->answered && prepare->answered && read->answered);
  EXPECT_EQ(commit->status.code(), Code::kStaleChunk);
  EXPECT_TRUE(prepare->status.ok() && read->status.ok());
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, layout), other);
  EXPECT_EQ(err(), 0);
}

TEST_F(FenceTest, AFenceThatNobodyAnswersIsWaitedForUntilTheTicketsHaveRunOut) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  SessionPtr other = OpenSession();
  ASSERT_EQ(OpenBy(other, f, O_RDWR), 0);
  auto_ack_fences_ = false;
  Disconnect(s_);
  TestCallPtr read = Begin<rpc::ReadLayout>(ReadOf(f), other);
  AckFences(Status(EIO, Code::kConnectionLost, "gone"));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_FALSE(read->answered);
  EXPECT_EQ(fenced_.size(), 1u) << "it is sent again";
  clock_.Advance(std::chrono::milliseconds(26990));
  other->last_heard = clock_.MonoNow();
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_FALSE(read->answered);
  clock_.Advance(std::chrono::milliseconds(20));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_TRUE(read->answered && read->status.ok());
}

// While a cluster is upgraded: it knows no tickets, so that there is nothing to be waited for.
TEST_F(FenceTest, AChunkserverOfBeforeTicketsIsNotWaitedForAndToldOnceItIsUpgraded) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  SessionPtr other = OpenSession();
  ASSERT_EQ(OpenBy(other, f, O_RDWR), 0);
  auto_ack_fences_ = false;
  Disconnect(s_);
  TestCallPtr read = Begin<rpc::ReadLayout>(ReadOf(f), other);
  EXPECT_FALSE(read->answered);
  AckFences(Status(EOPNOTSUPP, "this server does not serve FenceSessions"));
  executor_->EndTick();
  EXPECT_TRUE(read->answered && read->status.ok());
  executor_->OnTimer();
  EXPECT_TRUE(fenced_.empty()) << "it is asked again";
  volume().fences.Up(ServerId(1));
  EXPECT_EQ(fenced_.size(), 1u);
}

TEST_F(FenceTest, AChunkserverThatComesBackIsToldAllFencesAgain) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  Disconnect(s_);
  ASSERT_EQ(fence_history_.size(), 1u);
  volume().fences.Up(ServerId(1));
  ASSERT_EQ(fence_history_.size(), 2u);
  EXPECT_EQ(fence_history_[1].fence(0).session(), s_->id.v);
}

// A new owner does not know what the one before it gave out, nor to whom.
TEST_F(FenceTest, ANewOwnerFencesAllEarlierTickets) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  SessionPtr other = OpenSession();
  ASSERT_EQ(OpenBy(other, f, O_RDWR), 0);
  auto_ack_fences_ = false;
  Restart();
  SessionPtr back = Attach(other);
  pb::ReclaimRequest r;
  r.set_last(true);
  r.add_open()->set_ino(f);
  r.mutable_open(0)->set_count(1);
  ASSERT_TRUE(Reclaim(back, r).ok());
  TestCallPtr read = Begin<rpc::ReadLayout>(ReadOf(f), back);
  EXPECT_FALSE(read->answered) << "the other session's mount may have been writing there";
  AckFences();
  std::map<uint64_t, bool> others;  // one message at a time: the second session's may be the second
  for (const pb::FenceSessionsRequest& request : fence_history_) {
    for (const auto& fence : request.fence()) others[fence.session()] = fence.others();
  }
  EXPECT_TRUE(others[s_->id.v]);
  executor_->EndTick();
  AckFences();
  executor_->EndTick();
  EXPECT_TRUE(read->answered && read->status.ok());
}

// It had expired when this owner came, which therefore did not fence it: a chunkserver may still know an
// earlier owner's fence, which would refuse whatever is given to it now.
TEST_F(FenceTest, ASessionThatIsRevivedIsFencedOfEarlierOwnersAndNobodyWaits) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  SessionPtr other = OpenSession();
  clock_.Advance(kTtl - std::chrono::seconds(5));
  KeepAlive(s_);
  clock_.Advance(std::chrono::seconds(10));
  executor_->OnTimer();
  executor_->EndTick();
  ASSERT_NE(other->expired, 0);
  Restart();
  AckFences();
  executor_->EndTick();
  fence_history_.clear();
  auto_ack_fences_ = false;
  SessionPtr back = Attach(other);
  ASSERT_NE(back, nullptr);
  ASSERT_EQ(fenced_.size(), 1u);
  const pb::FenceSessionsRequest sent = fenced_[0].request;
  ASSERT_EQ(sent.fence_size(), 1);
  EXPECT_EQ(sent.fence(0).session(), back->id.v);
  EXPECT_TRUE(sent.fence(0).others());
  EXPECT_FALSE(volume().fences.Pending(ServerId(1), Ino(f), s_->id));
  AckFences();
  pb::ReclaimRequest r;
  r.set_last(true);
  ASSERT_TRUE(Reclaim(back, r).ok());
  ASSERT_EQ(OpenBy(back, f, O_RDONLY), 0);
  const pb::LayoutReply layout = Run<rpc::ReadLayout>(ReadOf(f), back);
  ASSERT_EQ(layout.ticket_size(), 1);
  EXPECT_GE(layout.ticket(0).ticket().serial(), sent.fence(0).serial());
  EXPECT_EQ(layout.ticket(0).ticket().clock(), sent.clock());
}

TEST_F(FenceTest, AWriteThatIsGivenUpRaisesTheVersionOnce) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  const pb::LayoutReply before = Layout(f);
  Run<rpc::GiveUpWrite>(GiveUpOf(f, before));
  EXPECT_EQ(err(), 0);
  Run<rpc::GiveUpWrite>(GiveUpOf(f, before));
  EXPECT_EQ(err(), 0);
  const pb::LayoutReply after = Layout(f);
  EXPECT_EQ(after.chunk(0).version(), before.chunk(0).version() + 1);
  EXPECT_EQ(after.chunk(0).chunk(), before.chunk(0).chunk());
  Run<rpc::CommitWrite>(CommitOf(f, 0, 10, before));
  EXPECT_EQ(last_.code(), Code::kStaleChunk);
}

TEST_F(FenceTest, GivingUpTheSameChunkInALoopLeavesNobodyBehind) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  const pb::LayoutReply before = Layout(f);
  auto_ack_ = false;
  uint64_t version = before.chunk(0).version();
  const auto some = [&](size_t count) {
    pb::GiveUpWriteRequest r;
    r.set_ino(f);
    for (size_t n = 0; n < count; ++n) {
      pb::GivenUpChunk* g = r.add_given_up();
      g->set_chunk(before.chunk(0).chunk());
      g->set_version(version + n);
    }
    return r;
  };
  Run<rpc::GiveUpWrite>(some(kGivenUpMax));
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(volume().mutations.size(), 1u) << "a chunk that is named twice is given up once";
  Run<rpc::GiveUpWrite>(some(kGivenUpMax + 1));
  EXPECT_EQ(err(), EINVAL);
  TestCallPtr last;
  for (size_t i = 0; i < kBacklogMax; ++i) {
    ++version;
    last = Begin<rpc::GiveUpWrite>(some(1));
  }
  EXPECT_EQ(volume().mutations.size(), kBacklogMax);
  EXPECT_FALSE(last->answered);
  auto_ack_ = true;
  AckMutations();
  for (int i = 0; i < 1000 && !last->answered; ++i) executor_->EndTick();
  EXPECT_TRUE(last->answered && last->status.ok());
}

// Its chunkserver need not be there for that.
TEST_F(FenceTest, AFirstWriteThatIsGivenUpLeavesItsChunk) {
  const uint64_t f = Create(1, "f").attr().ino();
  const pb::LayoutReply before = Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  pb::PrepareWriteRequest again = PrepareOf(f, 0, 10);
  *again.mutable_given_up() = GiveUpOf(f, before).given_up();
  auto_ack_ = false;
  const pb::LayoutReply after = Run<rpc::PrepareWrite>(again);
  EXPECT_EQ(err(), 0);
  EXPECT_NE(after.chunk(0).chunk(), before.chunk(0).chunk());
}

TEST_F(FenceTest, OnlyOnesOwnFilesWritesCanBeGivenUp) {
  const uint64_t f = Create(1, "f").attr().ino(), g = Create(1, "g").attr().ino();
  ASSERT_EQ(Write(f, 0, 10), 0);
  ASSERT_EQ(Write(g, 0, 10), 0);
  const pb::LayoutReply before = Layout(f);
  Run<rpc::GiveUpWrite>(GiveUpOf(g, before));  // a chunk of another file
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(Layout(f).chunk(0).version(), before.chunk(0).version());
  SessionPtr other = OpenSession();
  Run<rpc::GiveUpWrite>(GiveUpOf(f, before), other);
  EXPECT_EQ(err(), EBADF);
}

}  // namespace
}  // namespace kfs::meta
