// Whose request runs next, alone and in the executor.
#include "metaserver/executor/turns.h"

#include "meta_fixture.h"

namespace kfs::meta {
namespace {

constexpr VolumeId kVolume{1};

class TurnsTest : public testing::Test {
 protected:
  // `takes`: of the loop's time.
  void Add(uint64_t session, const std::string& what, Duration takes = {}, VolumeId volume = kVolume,
           Turns::Lane lane = Turns::Lane::kInOrder) {
    turns_.Add(volume, SessionId(session), lane, [this, what, takes] {
      ran_.push_back(what);
      clock_.Advance(takes);
    });
  }
  void Tick() {
    turns_.Run();
    turns_.TickEnded();
  }
  size_t PlaceOf(const std::string& what) const {
    return static_cast<size_t>(std::find(ran_.begin(), ran_.end(), what) - ran_.begin());
  }

  TestClock clock_;
  Turns turns_{clock_};
  std::vector<std::string> ran_;
};

TEST_F(TurnsTest, ASessionsRequestsKeepTheirOrder) {
  for (int i = 0; i < 100; ++i) {
    Add(1, "a" + std::to_string(i));
    Add(2, "b" + std::to_string(i));
  }
  Tick();
  ASSERT_EQ(ran_.size(), 200u);
  for (int i = 1; i < 100; ++i) {
    EXPECT_LT(PlaceOf("a" + std::to_string(i - 1)), PlaceOf("a" + std::to_string(i)));
    EXPECT_LT(PlaceOf("b" + std::to_string(i - 1)), PlaceOf("b" + std::to_string(i)));
  }
}

TEST_F(TurnsTest, OneRequestGoesBeforeAThousandThatCameEarlier) {
  for (int i = 0; i < 1000; ++i) Add(1, "a");
  Add(2, "b");
  Tick();
  EXPECT_LE(PlaceOf("b"), 1u);
  EXPECT_EQ(ran_.size(), 1001u);
}

TEST_F(TurnsTest, ATickEndsInTimeAndTheRestComesInTheNext) {
  for (int i = 0; i < 100; ++i) Add(1, "a", Turns::kTick / 10);
  Tick();
  EXPECT_EQ(ran_.size(), 10u);
  EXPECT_EQ(turns_.waiting(), 90u);
  Add(2, "b");  // what the sockets have brought meanwhile
  Tick();
  EXPECT_LE(PlaceOf("b"), 11u);
  for (int i = 0; i < 20; ++i) Tick();
  EXPECT_EQ(ran_.size(), 101u);
}

TEST_F(TurnsTest, WhoAsksForMuchAtOnceGetsNoMoreTime) {
  for (int i = 0; i < 200; ++i) {
    Add(1, "long", std::chrono::milliseconds(1));
    for (int k = 0; k < 10; ++k) Add(2, "short", std::chrono::microseconds(100));
  }
  while (ran_.size() < 550) Tick();
  const auto longs = std::count(ran_.begin(), ran_.end(), "long");
  EXPECT_NEAR(static_cast<double>(longs), 50, 5);
}

TEST_F(TurnsTest, VolumesTakeTurnsHoweverManySessionsTheyHave) {
  for (int i = 0; i < 10; ++i) {
    for (uint64_t s = 1; s <= 50; ++s) Add(s, "a");
  }
  for (int i = 0; i < 10; ++i) Add(99, "b", {}, VolumeId(2));
  Tick();
  size_t last_b = 0;
  for (size_t i = 0; i < ran_.size(); ++i) {
    if (ran_[i] == "b") last_b = i;
  }
  EXPECT_LE(last_b, 21u);
}

TEST_F(TurnsTest, WhatWasSavedUpCountsNoMore) {
  for (int i = 0; i < 1000; ++i) Add(1, "a", Turns::kTick);
  for (int i = 0; i < 500; ++i) Tick();
  for (int i = 0; i < 100; ++i) Add(2, "b", Turns::kTick);
  ran_.clear();
  for (int i = 0; i < 40; ++i) Tick();
  const auto b = std::count(ran_.begin(), ran_.end(), "b");
  EXPECT_NEAR(static_cast<double>(b), 20, 2);
}

TEST_F(TurnsTest, WhatHadWaitedElsewhereGoesBeforeWhatIsNew) {
  Add(1, "new");
  Add(1, "first", {}, kVolume, Turns::Lane::kFirst);
  Tick();
  EXPECT_EQ(ran_, (std::vector<std::string>{"first", "new"}));
}

TEST_F(TurnsTest, SessionsThatCameAndWentAreForgotten) {
  for (int i = 0; i < 3000; ++i) Add(1, "a", Turns::kTick / 2);
  for (uint64_t s = 2; s < 1000; ++s) {
    Add(s, "b", Turns::kTick / 2);
    Tick();
  }
  EXPECT_EQ(std::count(ran_.begin(), ran_.end(), "b"), 998);
}

// ---- in the executor

class FairTest : public MetaTest {
 protected:
  TestCallPtr Send(const SessionPtr& session, const google::protobuf::Message& request, Op op) {
    auto call = std::make_shared<TestCall>(op, request.SerializeAsString());
    call->session = session;
    executor_->Execute(call);
    return call;
  }
  TestCallPtr SendMkdir(const SessionPtr& session, const std::string& name) {
    pb::MkdirRequest r;
    r.mutable_ctx()->set_op_id(++op_ids_);
    r.set_parent(1);
    r.set_name(name);
    r.set_mode(0755);
    return Send(session, r, Op::kMkdir);
  }
};

TEST_F(FairTest, OneOpIsServedAfterAFewOfAThousand) {
  const SessionPtr other = OpenSession();
  clock_.per_look = std::chrono::microseconds(20);
  std::vector<TestCallPtr> many;
  for (int i = 0; i < 1000; ++i) many.push_back(SendMkdir(s_, "d" + std::to_string(i)));
  const auto answered = [&many] {
    return std::count_if(many.begin(), many.end(), [](const TestCallPtr& c) { return c->answered; });
  };
  executor_->EndTick();
  const auto before = answered();
  EXPECT_GT(before, 0);
  EXPECT_LT(before, 50);  // a tick's worth
  const TestCallPtr one = SendMkdir(other, "other");
  executor_->EndTick();
  EXPECT_TRUE(one->answered);
  EXPECT_LT(answered(), 100);
  int ticks = 0;
  while (answered() < 1000 && ++ticks < 1000) executor_->EndTick();
  uint64_t last = 0;  // numbers are given in the order of execution
  for (const TestCallPtr& c : many) {
    ASSERT_TRUE(c->answered && c->status.ok()) << c->status.ToString();
    pb::EntryReply reply;
    ASSERT_TRUE(reply.ParseFromString(c->reply));
    EXPECT_GT(reply.attr().ino(), last);
    last = reply.attr().ino();
  }
}

TEST_F(FairTest, WhatHasNotRunWhenItsConnectionEndsComesAgainOnce) {
  clock_.per_look = std::chrono::microseconds(20);
  std::vector<TestCallPtr> many;
  const uint64_t before = op_ids_;
  for (int i = 0; i < 200; ++i) many.push_back(SendMkdir(s_, "d" + std::to_string(i)));
  executor_->EndTick();
  ASSERT_FALSE(many.back()->answered);
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  Attach(s_);
  ASSERT_EQ(err(), 0);
  op_ids_ = before;
  std::vector<TestCallPtr> again;
  for (int i = 0; i < 200; ++i) again.push_back(SendMkdir(s_, "d" + std::to_string(i)));
  for (int i = 0; i < 200; ++i) executor_->EndTick();
  for (const TestCallPtr& c : again) EXPECT_TRUE(c->answered && c->status.ok()) << c->status.ToString();
  EXPECT_FALSE(many.back()->answered);  // dropped: nobody listens
  clock_.per_look = {};
  EXPECT_EQ(Stat(1).nlink(), 202u);
}

TEST_F(FairTest, AGoodbyeCountsThoughTheConnectionEndsBeforeItsTurn) {
  const SessionPtr other = OpenSession();
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = other;
  other->closing = true;
  executor_->InTurn(call, [this, call] { executor_->CloseSession(call); });
  executor_->Disconnected(*other, 0, other->lane(0).connection_number);
  executor_->EndTick();
  EXPECT_FALSE(volume().sessions.contains(other->id));
}

TEST_F(FairTest, AnUnlockThatLetsThousandsGoDoesNotHoldUpOthers) {
  const uint64_t f = Mknod(1, "f");
  const SessionPtr many = OpenSession(), other = OpenSession();
  const auto lock = [&](const SessionPtr& session, uint64_t owner, pb::LockRange::Type type, bool wait) {
    pb::SetLockRequest r = LockOf(f, owner, type, wait);
    r.mutable_ctx()->set_op_id(++op_ids_);
    return Send(session, r, Op::kSetLock);
  };
  lock(s_, 1, pb::LockRange::WRITE, false);
  executor_->EndTick();
  std::vector<TestCallPtr> waiting;
  for (uint64_t i = 0; i < 1000; ++i) waiting.push_back(lock(many, 100 + i, pb::LockRange::READ, true));
  executor_->EndTick();
  const uint64_t last = op_ids_;
  clock_.per_look = std::chrono::microseconds(20);
  const TestCallPtr unlock = lock(s_, 1, pb::LockRange::UNLOCK, false);
  executor_->EndTick();
  EXPECT_TRUE(unlock->answered);
  EXPECT_FALSE(waiting.back()->answered);
  const TestCallPtr one = SendMkdir(other, "one");
  executor_->EndTick();
  EXPECT_TRUE(one->answered);
  // Too late to be cancelled: it is granted.
  auto cancel = std::make_shared<TestCall>(Op::kCancelOp, "");
  cancel->session = many;
  pb::CancelOpRequest c;
  c.set_op_id(last);
  executor_->CancelOp(cancel, c);
  for (int i = 0; i < 1000 && !waiting.back()->answered; ++i) executor_->EndTick();
  for (const TestCallPtr& w : waiting) ASSERT_TRUE(w->answered && w->status.ok()) << w->status.ToString();
  EXPECT_EQ(volume().locks.CountOf(many->id), 1000u);
}

// A flock that is held is tried again when its holder's mount has sent its releases: all of them.
class DrainTest : public FairTest {
 protected:
  DrainTest() {
    env_.drain = [this](Session&, Ino, std::function<void()> done) { drained_ = std::move(done); };
  }
  std::function<void()> drained_;
};

TEST_F(DrainTest, ReleasesThatWaitForTheirTurnCount) {
  const uint64_t f = Mknod(1, "f");
  const SessionPtr other = OpenSession();
  // Only whether there is one is asked.
  s_->lane(0).connection =
      std::shared_ptr<Connection>(std::shared_ptr<void>(), reinterpret_cast<Connection*>(this));
  Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE, false, true));
  const TestCallPtr wanted = Begin<rpc::SetLock>(LockOf(f, 2, pb::LockRange::WRITE, false, true), other);
  ASSERT_FALSE(wanted->answered);
  ASSERT_TRUE(drained_);
  for (int i = 0; i < 50; ++i) SendMkdir(s_, "d" + std::to_string(i));
  pb::SetLockRequest unlock = LockOf(f, 1, pb::LockRange::UNLOCK, false, true);
  unlock.mutable_ctx()->set_op_id(++op_ids_);
  Send(s_, unlock, Op::kSetLock);
  drained_();
  executor_->EndTick();
  ASSERT_TRUE(wanted->answered);
  EXPECT_TRUE(wanted->status.ok()) << wanted->status.ToString();
}

// ---- what waits is bounded in bytes

class ParkedBytesTest : public FairTest {
 protected:
  // A lock request with `ballast` bytes that no field has.
  TestCallPtr SendLock(const SessionPtr& session, uint64_t ino, uint64_t owner, pb::LockRange::Type type,
                       bool wait, size_t ballast) {
    pb::SetLockRequest r = LockOf(ino, owner, type, wait);
    r.mutable_ctx()->set_op_id(++op_ids_);
    r.GetReflection()->MutableUnknownFields(&r)->AddLengthDelimited(1000, std::string(ballast, 'x'));
    return Send(session, r, Op::kSetLock);
  }
};

TEST_F(ParkedBytesTest, OneSessionsWaitingRequestsAreBoundedAndAnothersAreNotRefused) {
  const uint64_t f = Mknod(1, "f");
  const SessionPtr greedy = OpenSession(), other = OpenSession();
  SendLock(s_, f, 1, pb::LockRange::WRITE, false, 0);
  constexpr size_t kBallast = 1 << 20;
  std::vector<TestCallPtr> waiting;
  for (uint64_t i = 0; i < 100; ++i) {
    waiting.push_back(SendLock(greedy, f, 100 + i, pb::LockRange::WRITE, true, kBallast));
    executor_->EndTick();
  }
  EXPECT_FALSE(waiting.front()->answered);
  ASSERT_TRUE(waiting.back()->answered);
  EXPECT_EQ(waiting.back()->status.code(), Code::kTryAgain);
  EXPECT_NE(waiting.back()->status.message().find("keep"), std::string::npos)
      << waiting.back()->status.ToString();
  EXPECT_LE(*greedy->parked_bytes, 64u << 20);
  // It can still do what does not wait.
  const TestCallPtr unlock = SendLock(greedy, f, 100, pb::LockRange::UNLOCK, false, 0);
  const TestCallPtr others = SendLock(other, f, 1, pb::LockRange::WRITE, true, 0);
  executor_->EndTick();
  EXPECT_TRUE(unlock->answered && unlock->status.ok()) << unlock->status.ToString();
  EXPECT_FALSE(others->answered);
  // What no longer waits keeps nothing.
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = greedy;
  executor_->CloseSession(call);
  executor_->EndTick();
  waiting.clear();
  EXPECT_EQ(*greedy->parked_bytes, 0u);
  SendLock(s_, f, 1, pb::LockRange::UNLOCK, false, 0);
  executor_->EndTick();
  EXPECT_TRUE(others->answered && others->status.ok());
  EXPECT_EQ(*other->parked_bytes, 0u);
}

TEST_F(ParkedBytesTest, ThoseOfAllSessionsAreBoundedAndOneThatWaitsForLittleHasItsPlace) {
  const uint64_t f = Mknod(1, "f");
  SendLock(s_, f, 1, pb::LockRange::WRITE, false, 0);
  size_t kept = 0;
  std::vector<SessionPtr> sessions;
  for (int n = 0; n < 12; ++n) {
    sessions.push_back(OpenSession());
    for (uint64_t i = 0; i < 64; ++i)
      SendLock(sessions.back(), f, 100 + i, pb::LockRange::WRITE, true, 1020 << 10);
    executor_->EndTick();
    kept += *sessions.back()->parked_bytes;
  }
  EXPECT_GT(kept, 500u << 20);
  EXPECT_LE(kept, 520u << 20);
  const TestCallPtr honest = SendLock(OpenSession(), f, 1, pb::LockRange::WRITE, true, 0);
  executor_->EndTick();
  EXPECT_FALSE(honest->answered);
}

}  // namespace
}  // namespace kfs::meta
