#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using ReplayTest = MetaTest;
using SessionTest = MetaTest;
using LockTest = MetaTest;

pb::MkdirRequest MkdirOf(const std::string& name, uint64_t op_id) {
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name(name);
  r.set_mode(0755);
  r.mutable_ctx()->set_op_id(op_id);
  return r;
}

TEST_F(ReplayTest, TheSameOpIdIsExecutedOnce) {
  TestCallPtr first = Begin<rpc::Mkdir>(MkdirOf("d", 100));
  TestCallPtr again = Begin<rpc::Mkdir>(MkdirOf("d", 100));
  EXPECT_TRUE(first->status.ok());
  EXPECT_TRUE(again->status.ok()) << again->status.ToString();
  EXPECT_EQ(first->reply, again->reply);
  EXPECT_TRUE(!Begin<rpc::Mkdir>(MkdirOf("d", 101))->status.ok());
}

TEST_F(ReplayTest, WithinOneTickToo) {
  auto a = std::make_shared<TestCall>(Op::kMkdir, MkdirOf("d", 100).SerializeAsString());
  auto b = std::make_shared<TestCall>(Op::kMkdir, MkdirOf("d", 100).SerializeAsString());
  a->session = b->session = s_;
  executor_->Execute(a);
  executor_->Execute(b);
  EXPECT_FALSE(a->answered);  // nothing leaves before the commit
  executor_->EndTick();
  EXPECT_TRUE(b->status.ok());
  EXPECT_EQ(a->reply, b->reply);
}

TEST_F(ReplayTest, AcrossARestart) {
  TestCallPtr first = Begin<rpc::Mkdir>(MkdirOf("d", 100));
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  TestCallPtr again = Begin<rpc::Mkdir>(MkdirOf("d", 100));
  EXPECT_TRUE(again->status.ok());
  EXPECT_EQ(first->reply, again->reply);
}

TEST_F(ReplayTest, FailuresAreNotStored) {
  Begin<rpc::Mkdir>(MkdirOf("a/b", 100));
  EXPECT_EQ(s_->replies.size(), 0u);
  EXPECT_TRUE(Begin<rpc::Mkdir>(MkdirOf("ok", 100))->status.ok());
}

TEST_F(ReplayTest, TheWatermarkForgets) {
  Begin<rpc::Mkdir>(MkdirOf("a", 100));
  Begin<rpc::Mkdir>(MkdirOf("b", 101));
  EXPECT_EQ(s_->replies.size(), 2u);
  pb::MkdirRequest r = MkdirOf("c", 102);
  r.mutable_ctx()->set_acked(100);
  Begin<rpc::Mkdir>(r);
  EXPECT_EQ(s_->replies.size(), 2u);
  // An op that was acknowledged is never executed again.
  EXPECT_EQ(Begin<rpc::Mkdir>(MkdirOf("z", 100))->status.err(), EINVAL);
  EXPECT_EQ(Lookup(1, "z"), 0u);
}

TEST_F(ReplayTest, AnotherOpUnderTheSameIdIsRefused) {
  Begin<rpc::Mkdir>(MkdirOf("a", 100));
  pb::RmdirRequest r;
  r.set_parent(1);
  r.set_name("a");
  r.mutable_ctx()->set_op_id(100);
  EXPECT_EQ(Begin<rpc::Rmdir>(r)->status.err(), EINVAL);
  EXPECT_NE(Lookup(1, "a"), 0u);
}

TEST_F(ReplayTest, MutationsNeedAnOpId) {
  auto call = std::make_shared<TestCall>(Op::kMkdir, MkdirOf("d", 0).SerializeAsString());
  call->session = s_;
  executor_->Execute(call);
  executor_->EndTick();
  EXPECT_EQ(call->status.code(), Code::kMalformed);
}

TEST_F(ReplayTest, ReplayedCreatesHoldTheirFileAgain) {
  pb::CreateRequest r;
  r.set_parent(1);
  r.set_name("f");
  r.set_flags(O_RDWR);
  r.mutable_ctx()->set_op_id(100);
  uint64_t ino = Run<rpc::Create>(r).attr().ino();
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  EXPECT_TRUE(ReclaimNothing(s_).ok());  // the client has not seen the answer: it does not reclaim the open
  Run<rpc::Create>(r);
  op_ids_ = 200;
  Unlink(1, "f");
  Stat(ino);
  EXPECT_EQ(err(), 0);
  Release(ino);
  EXPECT_TRUE(Gone(ino));
}

// However often it comes, whatever of its session's memory has gone: it is opened once.
TEST_F(ReplayTest, AReplayedCreateOpensOnceInEachLifeOfItsSession) {
  pb::CreateRequest r;
  r.set_parent(1);
  r.set_name("f");
  r.set_flags(O_RDWR);
  r.mutable_ctx()->set_op_id(100);
  const uint64_t ino = Run<rpc::Create>(r).attr().ino();
  const auto comes_twice = [&] {
    s_ = Attach(s_);
    EXPECT_TRUE(ReclaimNothing(s_).ok());
    EXPECT_TRUE(s_->opens.empty());
    for (int i = 0; i < 2; ++i) {
      Run<rpc::Create>(r);
      EXPECT_EQ(err(), 0);
      ASSERT_TRUE(s_->opens.contains(Ino(ino)));
      EXPECT_EQ(s_->opens.at(Ino(ino)).count, 1u);
    }
  };
  const auto expire = [&] {
    const uint32_t before = s_->expiries;
    clock_.Advance(std::chrono::seconds(31));
    executor_->OnTimer();
    executor_->EndTick();
    ASSERT_EQ(s_->expiries, before + 1);
  };
  expire();
  comes_twice();
  Restart();
  comes_twice();
  expire();
  comes_twice();
  expire();
  comes_twice();
}

TEST_F(ReplayTest, PendingReleasesAreNotCountedTwice) {
  op_ids_ = 10;
  uint64_t ino = Create(1, "f").attr().ino();
  Open(ino);
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  // One of the two handles was released, but the release never arrived.
  uint64_t release_id = ++op_ids_;
  pb::ReclaimRequest reclaim;
  reclaim.add_open()->set_ino(ino);
  reclaim.mutable_open(0)->set_count(1);
  reclaim.set_op_ids(release_id);
  reclaim.set_last(true);
  EXPECT_TRUE(Reclaim(s_, reclaim).ok());
  pb::ReleaseRequest r;
  r.set_ino(ino);
  r.mutable_ctx()->set_op_id(release_id);
  Run<rpc::Release>(r);
  Unlink(1, "f");
  Stat(ino);
  EXPECT_EQ(err(), 0);
}

TEST_F(ReplayTest, AReleaseThatWasHandedOutBeforeAReclaimCameAgainCounts) {
  op_ids_ = 10;
  uint64_t ino = Create(1, "f").attr().ino();
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  pb::ReclaimRequest reclaim;
  reclaim.add_open()->set_ino(ino);
  reclaim.mutable_open(0)->set_count(1);
  reclaim.set_op_ids(op_ids_);
  reclaim.set_last(true);
  EXPECT_TRUE(Reclaim(s_, reclaim).ok());
  // Its answer was lost, and the handle has been closed since.
  s_ = Attach(s_);
  reclaim.clear_open();
  reclaim.set_op_ids(op_ids_ + 1);
  EXPECT_TRUE(Reclaim(s_, reclaim).ok());
  Release(ino);
  Acknowledge(s_);
  Unlink(1, "f");
  EXPECT_TRUE(Gone(ino));
}

// Though all answers have been acknowledged, so that they could be forgotten.
TEST_F(SessionTest, TheLastOpOfASessionIsKnownAfterARestart) {
  op_ids_ = 10;
  Create(1, "a");
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name("b");
  r.mutable_ctx()->set_op_id(12);
  r.mutable_ctx()->set_acked(11);
  Run<rpc::Mkdir>(r);
  ASSERT_EQ(err(), 0);
  pb::MkdirRequest refused;
  refused.set_parent(1);
  refused.set_name("b");
  refused.mutable_ctx()->set_op_id(13);
  refused.mutable_ctx()->set_acked(12);
  Run<rpc::Mkdir>(refused);
  EXPECT_EQ(err(), EEXIST);
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  pb::ReclaimRequest reclaim;
  reclaim.set_last(true);
  pb::ReclaimReply reply;
  ASSERT_TRUE(Reclaim(s_, reclaim, &reply).ok());
  EXPECT_EQ(reply.known(), 12u);
}

TEST_F(SessionTest, UnknownSessionsAndWrongKeysAreRefused) {
  auto stranger = std::make_shared<Session>();
  stranger->id = s_->id;
  stranger->key = s_->key;
  stranger->volume = s_->volume;
  stranger->key = "wrong";
  EXPECT_EQ(Attach(stranger), nullptr);
  EXPECT_EQ(last_.code(), Code::kUnknownSession);
  stranger->id = SessionId(77);
  EXPECT_EQ(Attach(stranger), nullptr);
  EXPECT_EQ(last_.code(), Code::kUnknownSession);
  pb::OpenSessionRequest request;
  request.set_volume("none");
  auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
  EXPECT_EQ(executor_->OpenSession(call, request, "h", "c"), nullptr);
  executor_->EndTick();
  EXPECT_EQ(call->status.err(), ENOENT);
}

TEST_F(SessionTest, OpsBeforeReclaimAreHeldOff) {
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  EXPECT_FALSE(s_->reclaimed);
  Stat(1);
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  Stat(1);
  EXPECT_EQ(err(), 0);
}

TEST_F(SessionTest, AReclaimThatBrokeOffBeginsAgain) {
  uint64_t ino = Create(1, "f").attr().ino();
  Unlink(1, "f");
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  pb::ReclaimRequest r;
  r.add_open()->set_ino(ino);
  r.mutable_open(0)->set_count(1);
  EXPECT_EQ(Reclaim(s_, r).err(), 0);
  s_ = Attach(s_);
  r.set_last(true);
  EXPECT_EQ(Reclaim(s_, r).err(), 0);
  s_ = Attach(s_);
  EXPECT_EQ(Reclaim(s_, r).err(), 0);  // its answer had been lost
  EXPECT_EQ(s_->opens.at(Ino(ino)).count, 1u);
  op_ids_ += 10;
  Release(ino);
  Acknowledge(s_);
  EXPECT_TRUE(Gone(ino));
}

TEST_F(SessionTest, ExpiryDropsWhatIsHeldAndKeepsTheAnswers) {
  uint64_t ino = Create(1, "f").attr().ino();
  pb::MkdirRequest mkdir;
  mkdir.set_parent(1);
  mkdir.set_name("d");
  mkdir.mutable_ctx()->set_op_id(100);
  Run<rpc::Mkdir>(mkdir);
  Run<rpc::SetLock>(LockOf(ino, 1, pb::LockRange::WRITE));
  Unlink(1, "f");
  SessionPtr old = s_;
  clock_.Advance(std::chrono::seconds(29));
  pb::KeepAliveRequest keep;
  auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
  call->session = s_;
  executor_->KeepAlive(call, keep);
  clock_.Advance(std::chrono::seconds(29));
  executor_->OnTimer();
  EXPECT_NE(old->volume, nullptr);
  clock_.Advance(std::chrono::seconds(2));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(volume().mounts(), 0u);
  EXPECT_TRUE(old->opens.empty());
  EXPECT_EQ(volume().locks.CountOf(old->id), 1u);  // until that survives a loss of power
  executor_->EndTick();
  EXPECT_EQ(volume().locks.CountOf(old->id), 0u);
  Stat(1);
  EXPECT_EQ(last_.code(), Code::kTryAgain);  // on its old connection
  Restart();
  EXPECT_EQ(volume().mounts(), 0u);
  EXPECT_FALSE(volume().in_grace());  // nobody waits for what it might hold
  s_ = Attach(old);
  ASSERT_NE(s_, nullptr);
  EXPECT_EQ(s_->expiries, 1u);
  EXPECT_EQ(volume().mounts(), 1u);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  EXPECT_TRUE(Gone(ino));
  // What it had under way happens once.
  Run<rpc::Mkdir>(mkdir);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(executor_->replays(), 1u);
}

TEST_F(SessionTest, ExpiredSessionsAreForgottenInTheEnd) {
  SessionPtr old = s_;
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  EXPECT_EQ(volume().sessions.size(), 1u);
  clock_.Advance(std::chrono::hours(24) + std::chrono::seconds(1));
  executor_->OnTimer();
  EXPECT_TRUE(volume().sessions.empty());
  EXPECT_EQ(Attach(old), nullptr);
  EXPECT_EQ(last_.code(), Code::kUnknownSession);
  Restart();
  EXPECT_TRUE(volume().sessions.empty());
}

TEST_F(SessionTest, AnExpiredSessionThatCameBackMayExpireAgain) {
  for (uint32_t n = 1; n <= 2; ++n) {
    clock_.Advance(std::chrono::seconds(31));
    executor_->OnTimer();
    executor_->EndTick();
    EXPECT_EQ(volume().mounts(), 0u);
    s_ = Attach(s_);
    ASSERT_NE(s_, nullptr);
    EXPECT_EQ(s_->expiries, n);
  }
  Mkdir(1, "d");
  EXPECT_EQ(err(), 0);
}

TEST_F(SessionTest, ClosedSessionsAreForgottenDurably) {
  Mkdir(1, "d");
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = s_;
  executor_->CloseSession(call);
  executor_->EndTick();
  EXPECT_TRUE(call->answered);
  SessionPtr old = s_;
  Restart();
  EXPECT_EQ(Attach(old), nullptr);
  EXPECT_FALSE(volume().in_grace());
}

TEST_F(LockTest, ConflictsAreEagainAndWaitersAreGranted) {
  uint64_t f = Mknod(1, "f");
  SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  EXPECT_EQ(err(), 0);
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::READ), other);
  EXPECT_EQ(err(), EAGAIN);
  pb::GetLockRequest get;
  *get.mutable_lock() = LockOf(f, 1, pb::LockRange::READ).lock();
  EXPECT_EQ(Run<rpc::GetLock>(get, other).lock().type(), pb::LockRange::WRITE);
  TestCallPtr waiting = Begin<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE, true), other);
  EXPECT_FALSE(waiting->answered);
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::UNLOCK));
  ASSERT_TRUE(waiting->answered);
  EXPECT_TRUE(waiting->status.ok());
}

TEST_F(LockTest, ResentWaitingLocksJoinTheirFirstArrival) {
  uint64_t f = Mknod(1, "f");
  SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  pb::SetLockRequest r = LockOf(f, 1, pb::LockRange::WRITE, true);
  r.mutable_ctx()->set_op_id(500);
  TestCallPtr first = Begin<rpc::SetLock>(r, other);
  executor_->Disconnected(*other, 0, other->lane(0).connection_number);
  Attach(other);
  TestCallPtr again = Begin<rpc::SetLock>(r, other);
  EXPECT_FALSE(again->answered);
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::UNLOCK));
  EXPECT_TRUE(again->answered);
  EXPECT_FALSE(first->answered);
  // And once it was granted, the same id gets the same answer.
  EXPECT_TRUE(Begin<rpc::SetLock>(r, other)->status.ok());
}

TEST_F(LockTest, CancelEndsAWait) {
  uint64_t f = Mknod(1, "f");
  SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  pb::SetLockRequest r = LockOf(f, 1, pb::LockRange::WRITE, true);
  r.mutable_ctx()->set_op_id(500);
  TestCallPtr waiting = Begin<rpc::SetLock>(r, other);
  auto cancel = std::make_shared<TestCall>(Op::kCancelOp, "");
  cancel->session = other;
  pb::CancelOpRequest c;
  c.set_op_id(500);
  executor_->CancelOp(cancel, c);
  executor_->EndTick();
  ASSERT_TRUE(waiting->answered);
  EXPECT_EQ(waiting->status.err(), EINTR);
}

TEST_F(LockTest, TheSessionsEndReleases) {
  uint64_t f = Mknod(1, "f");
  SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE, false, true), other);
  TestCallPtr waiting = Begin<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE, true, true));
  executor_->EndTick();
  EXPECT_FALSE(waiting->answered);
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = other;
  executor_->CloseSession(call);
  executor_->EndTick();
  ASSERT_TRUE(waiting->answered);
  EXPECT_TRUE(waiting->status.ok());
}

TEST_F(LockTest, GraceKeepsNewLocksAway) {
  uint64_t f = Mknod(1, "f");
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  SessionPtr old = s_;
  Restart();
  SessionPtr fresh = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 2, pb::LockRange::WRITE), fresh);
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  s_ = Attach(old);
  pb::ReclaimRequest r;
  r.add_open()->set_ino(f);
  r.mutable_open(0)->set_count(1);
  *r.add_lock() = LockOf(f, 1, pb::LockRange::WRITE).lock();
  r.set_last(true);
  EXPECT_TRUE(Reclaim(s_, r).ok());
  Run<rpc::SetLock>(LockOf(f, 2, pb::LockRange::WRITE), fresh);
  EXPECT_EQ(err(), EAGAIN);
  EXPECT_EQ(last_.code(), Code::kNone);
}

TEST_F(LockTest, GraceEndsWhenTheOldSessionDoesNotComeBack) {
  uint64_t f = Mknod(1, "f");
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  Restart();
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  s_ = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  EXPECT_EQ(err(), 0);
}

TEST_F(LockTest, FlushAndReleaseUnlock) {
  uint64_t f = Create(1, "f").attr().ino();
  SessionPtr other = OpenSession();
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE));
  pb::FlushRequest flush;
  flush.set_ino(f);
  flush.set_owner(1);
  Run<rpc::Flush>(flush);
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE), other);
  EXPECT_EQ(err(), 0);
}

TEST_F(SessionTest, FsyncIsAnsweredAfterASync) {
  pb::FsyncRequest r;
  r.set_ino(1);
  TestCallPtr call = Begin<rpc::Fsync>(r);
  executor_->EndTick();
  EXPECT_TRUE(call->answered);
  EXPECT_TRUE(call->status.ok());
}

// As after a loss of power that took a file's creation along: its mount still has it open.
TEST_F(SessionTest, FsyncOfWhatDoesNotExistIsNoSuccess) {
  pb::FsyncRequest r;
  r.set_ino(4711);
  TestCallPtr call = Begin<rpc::Fsync>(r);
  executor_->EndTick();
  EXPECT_TRUE(call->answered);
  EXPECT_EQ(call->status.err(), ESTALE);
}

TEST_F(SessionTest, GarbageRequestsAreRefused) {
  for (Op op : {Op::kMkdir, Op::kLookup, Op::kSetLock, Op::kCommitWrite, Op::kHello, Op::kChunkRead}) {
    auto call = std::make_shared<TestCall>(op, "\xff\xff\xff\xff garbage");
    call->session = s_;
    executor_->Execute(call);
    executor_->EndTick();
    EXPECT_TRUE(call->answered);
    EXPECT_FALSE(call->status.ok());
  }
}

}  // namespace
}  // namespace kfs::meta
