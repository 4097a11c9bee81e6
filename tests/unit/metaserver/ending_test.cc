// The end of sessions that hold and wait for thousands of things: in steps, so that nobody else waits for it,
// and nobody gets what is still held.
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

// They are let go in no order.
bool SomeWait(const std::vector<TestCallPtr>& calls) {
  return std::any_of(calls.begin(), calls.end(), [](const TestCallPtr& c) { return !c->answered; });
}

class EndingTest : public MetaTest {
 protected:
  static constexpr uint64_t kMany = 3000;

  void SetUp() override {
    MetaTest::SetUp();
    file_ = Mknod(1, "f");
    gone_ = OpenSession();
    other_ = OpenSession();
  }
  TestCallPtr Send(const SessionPtr& session, const google::protobuf::Message& request, Op op) {
    auto call = std::make_shared<TestCall>(op, request.SerializeAsString());
    call->session = session;
    executor_->Execute(call);
    return call;
  }
  TestCallPtr Lock(const SessionPtr& session, uint64_t owner, pb::LockRange::Type type, bool wait,
                   uint64_t start = 0, uint64_t end = UINT64_MAX) {
    pb::SetLockRequest r = LockOf(file_, owner, type, wait);
    r.mutable_lock()->set_start(start);
    r.mutable_lock()->set_end(end);
    r.mutable_ctx()->set_op_id(++op_ids_);
    return Send(session, r, Op::kSetLock);
  }
  TestCallPtr SendMkdir(const SessionPtr& session, const std::string& name) {
    pb::MkdirRequest r;
    r.mutable_ctx()->set_op_id(++op_ids_);
    r.set_parent(1);
    r.set_name(name);
    r.set_mode(0755);
    return Send(session, r, Op::kMkdir);
  }
  TestCallPtr Close(const SessionPtr& session) {
    auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
    call->session = session;
    executor_->CloseSession(call);
    return call;
  }
  // gone_ waits for a lock that s_ holds, many times.
  std::vector<TestCallPtr> WaitOften() {
    Lock(s_, 1, pb::LockRange::WRITE, false);
    std::vector<TestCallPtr> waiting;
    for (uint64_t i = 0; i < kMany; ++i) waiting.push_back(Lock(gone_, 100 + i, pb::LockRange::WRITE, true));
    executor_->EndTick();
    EXPECT_EQ(executor_->parked_now(), kMany);
    return waiting;
  }
  // gone_ holds every second byte of the beginning.
  void HoldMany() {
    for (uint64_t i = 0; i < kMany; ++i) Lock(gone_, 1, pb::LockRange::WRITE, false, 2 * i, 2 * i);
    executor_->EndTick();
    EXPECT_EQ(volume().locks.CountOf(gone_->id), kMany);
  }
  // The clock goes on while the executor works: a tick does a little of what there is.
  void TicksAreShort() { clock_.per_look = std::chrono::microseconds(50); }
  // Ticks until `done`, in which another's requests are served, one after the other; how many ticks.
  int TicksUntil(const std::function<bool()>& done) {
    TicksAreShort();
    int ticks = 0, served = 0;
    TestCallPtr one;
    for (; !done() && ticks < 10000; ++ticks) {
      if (one == nullptr || one->answered) one = SendMkdir(other_, "d" + std::to_string(++names_));
      executor_->EndTick();
      if (one->answered) ++served;
    }
    clock_.per_look = {};
    EXPECT_LT(ticks, 10000);
    EXPECT_GE(served * 3, ticks) << "another waits for more than three ticks";
    return ticks;
  }

  uint64_t file_ = 0;
  SessionPtr gone_, other_;
  int names_ = 0;
};

TEST_F(EndingTest, ThousandsOfWaitingCallsAreAnsweredInStepsAndTheGoodbyeLast) {
  const std::vector<TestCallPtr> waiting = WaitOften();
  const TestCallPtr goodbye = Close(gone_);
  EXPECT_FALSE(volume().sessions.contains(gone_->id));
  EXPECT_GT(TicksUntil([&] { return goodbye->answered; }), 5);
  for (const TestCallPtr& w : waiting) {
    ASSERT_TRUE(w->answered);
    ASSERT_EQ(w->status.code(), Code::kUnknownSession);
  }
  EXPECT_EQ(executor_->parked_now(), 0u);
  EXPECT_EQ(*gone_->parked_bytes, 0u);
  EXPECT_EQ(volume().locks.waiters(), 0u);
  EXPECT_EQ(volume().locks.CountOf(gone_->id), 0u);
}

TEST_F(EndingTest, WhatIsFreeMeanwhileIsNotForTheOneThatEnds) {
  const std::vector<TestCallPtr> waiting = WaitOften();
  const TestCallPtr wants = Lock(other_, 1, pb::LockRange::WRITE, true);
  executor_->EndTick();
  TicksAreShort();
  Close(gone_);
  Lock(s_, 1, pb::LockRange::UNLOCK, false);
  executor_->EndTick();
  ASSERT_TRUE(SomeWait(waiting));
  TicksUntil([&] { return wants->answered; });
  EXPECT_TRUE(wants->status.ok()) << wants->status.ToString();
  TicksUntil([&] { return executor_->parked_now() == 0; });
  for (const TestCallPtr& w : waiting) ASSERT_EQ(w->status.code(), Code::kUnknownSession);
}

TEST_F(EndingTest, NobodyGetsWhatIsHeldBeforeAllOfItIsReleasedAndWhoCameFirstGetsIt) {
  HoldMany();
  const SessionPtr first = OpenSession(), second = OpenSession(), late = OpenSession();
  const TestCallPtr all = Lock(first, 1, pb::LockRange::WRITE, true);
  const TestCallPtr part = Lock(second, 1, pb::LockRange::WRITE, true, 0, 0);
  executor_->EndTick();
  TicksAreShort();
  const TestCallPtr goodbye = Close(gone_);
  executor_->EndTick();
  const size_t left = volume().locks.CountOf(gone_->id);
  ASSERT_GT(left, 0u);
  ASSERT_LT(left, kMany);
  const TestCallPtr tries = Lock(late, 1, pb::LockRange::WRITE, false, 0, 0);
  executor_->EndTick();
  EXPECT_FALSE(all->answered || part->answered);
  EXPECT_FALSE(tries->answered && tries->status.ok());
  TicksUntil([&] { return goodbye->answered && all->answered && tries->answered; });
  EXPECT_TRUE(all->status.ok());
  EXPECT_FALSE(part->answered);
  EXPECT_EQ(tries->status.err(), EAGAIN);
  Lock(first, 1, pb::LockRange::UNLOCK, false);
  executor_->EndTick();
  EXPECT_TRUE(part->answered && part->status.ok());
}

TEST_F(EndingTest, AnUnlockThatLetsThousandsGoGivesNothingToWhoComesMeanwhile) {
  const std::vector<TestCallPtr> waiting = [&] {
    Lock(s_, 1, pb::LockRange::WRITE, false);
    std::vector<TestCallPtr> readers;
    for (uint64_t i = 0; i < kMany; ++i)
      readers.push_back(Lock(gone_, 100 + i, pb::LockRange::WRITE, true, i, i));
    executor_->EndTick();
    return readers;
  }();
  const SessionPtr late = OpenSession();
  TicksAreShort();
  const TestCallPtr unlock = Lock(s_, 1, pb::LockRange::UNLOCK, false);
  executor_->EndTick();
  EXPECT_TRUE(unlock->answered);
  ASSERT_TRUE(SomeWait(waiting));
  const TestCallPtr tries = Lock(late, 1, pb::LockRange::WRITE, false, kMany - 1, kMany - 1);
  pb::GetLockRequest get;
  *get.mutable_lock() = LockOf(file_, 7, pb::LockRange::WRITE).lock();
  get.mutable_lock()->set_start(kMany - 1);
  const TestCallPtr asks = Send(late, get, Op::kGetLock);
  TicksUntil([&] { return !SomeWait(waiting) && tries->answered && asks->answered; });
  for (const TestCallPtr& w : waiting) ASSERT_TRUE(w->answered && w->status.ok());
  EXPECT_EQ(tries->status.err(), EAGAIN) << "one that came before had not got it yet";
  pb::GetLockReply holder;
  ASSERT_TRUE(holder.ParseFromString(asks->reply));
  EXPECT_EQ(holder.lock().type(), pb::LockRange::WRITE);
}

TEST_F(EndingTest, AnExpiredSessionIsThereAgainWhenWhatItHeldIsLetGo) {
  HoldMany();
  clock_.Advance(executor_->options().session_ttl + std::chrono::seconds(1));
  s_->last_heard = clock_.MonoNow();
  TicksAreShort();
  executor_->OnTimer();
  executor_->EndTick();
  ASSERT_NE(gone_->expired, 0);
  ASSERT_GT(volume().locks.CountOf(gone_->id), 0u);
  EXPECT_EQ(Attach(gone_), nullptr);
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  TicksUntil([&] { return gone_->endings == 0; });
  EXPECT_EQ(volume().locks.CountOf(gone_->id), 0u);
  EXPECT_EQ(Attach(gone_), gone_);
  const TestCallPtr again = Lock(gone_, 1, pb::LockRange::WRITE, false);
  executor_->EndTick();
  EXPECT_TRUE(again->answered && again->status.ok());
  executor_->EndTick();
  EXPECT_EQ(volume().locks.CountOf(gone_->id), 1u);
}

TEST_F(EndingTest, AGrantThatWaitsForItsTurnIsNothingWhenTheSessionEnds) {
  const std::vector<TestCallPtr> waiting = WaitOften();
  clock_.per_look = std::chrono::milliseconds(1);  // nothing is answered in this tick
  Lock(s_, 1, pb::LockRange::UNLOCK, false);
  executor_->EndTick();
  ASSERT_GT(volume().locks.Held(Ino(file_), false).size(), 0u);
  ASSERT_FALSE(waiting.front()->answered);
  clock_.per_look = {};
  const TestCallPtr goodbye = Close(gone_);
  executor_->EndTick();
  executor_->EndTick();
  EXPECT_TRUE(goodbye->answered);
  EXPECT_EQ(waiting.front()->status.code(), Code::kUnknownSession);
  EXPECT_EQ(volume().locks.CountOf(gone_->id), 0u);
}

TEST_F(EndingTest, AVolumeIsClosedAtOnceAndThoseWhoWaitedAreToldInSteps) {
  const std::vector<TestCallPtr> waiting = WaitOften();
  TicksAreShort();
  const Status why(ESHUTDOWN, Code::kStopped, "stopped");
  executor_->CloseVolume(VolumeId(1), why);
  EXPECT_EQ(executor_->FindVolume("vol"), nullptr);
  EXPECT_TRUE(SomeWait(waiting));
  int ticks = 0;
  for (; executor_->parked_now() > 0 && ticks < 10000; ++ticks) executor_->EndTick();
  EXPECT_GT(ticks, 2);
  for (const TestCallPtr& w : waiting) {
    ASSERT_TRUE(w->answered);
    ASSERT_EQ(w->status.code(), Code::kStopped);
  }
}

TEST_F(EndingTest, FilesThatItHadOpenAreLetGoOf) {
  const SessionPtr keeps = s_;
  s_ = gone_;
  std::vector<uint64_t> nameless;
  for (int i = 0; i < 500; ++i) nameless.push_back(Tmpfile());
  s_ = keeps;
  clock_.Advance(Freeing::kLinger + std::chrono::milliseconds(1));
  executor_->OnTimer();
  EXPECT_NE(Stat(nameless[0]).ino(), 0u);
  const TestCallPtr goodbye = Close(gone_);
  TicksUntil([&] { return goodbye->answered && !volume().HasStep(); });
  for (const uint64_t ino : nameless) {
    Stat(ino);
    ASSERT_EQ(err(), ESTALE);
  }
}

TEST_F(EndingTest, ThousandsOfSessionsExpireInTurn) {
  std::vector<SessionPtr> many;
  for (int i = 0; i < 1000; ++i) many.push_back(OpenSession());
  clock_.Advance(executor_->options().session_ttl + std::chrono::seconds(1));
  s_->last_heard = gone_->last_heard = other_->last_heard = clock_.MonoNow();
  executor_->OnTimer();
  EXPECT_LT(volume().mounts(), 1003u);
  EXPECT_GT(volume().mounts(), 500u);
  for (int i = 0; i < 10; ++i) executor_->OnTimer();
  EXPECT_EQ(volume().mounts(), 3u);
}

}  // namespace
}  // namespace kfs::meta
