// Who is asked for what stands in the way, how often, and for how long; who goes on when.
#include "metaserver/executor/gate.h"

#include <set>

#include "meta_fixture.h"

namespace kfs::meta {
namespace {

// Sessions that hold inodes, for themselves alone. They give back what they are told to.
class Things : public Holders {
 public:
  struct Asked {
    SessionId holder;
    Ino ino;
    HoldMode mode;
    std::function<void()> done;
  };
  void Conflicts(const Volume&, const Txn& txn, SessionId, std::vector<Need>* needs) override {
    txn.ForEachTouched([&](Ino ino, bool changed) {
      for (const auto& [holder, held] : holds) {
        if (held == ino)
          needs->push_back(
              {.holder = holder, .ino = ino, .mode = changed ? HoldMode::kExclusive : HoldMode::kShared});
      }
    });
  }
  void Ask(const SessionPtr& holder, Ino ino, HoldMode mode, std::function<void()> done) override {
    asked.push_back({holder->id, ino, mode, std::move(done)});
    if (at_once) GiveBack(asked.size() - 1);
  }
  void GiveBack(size_t which) {
    holds.erase({asked.at(which).holder, asked.at(which).ino});
    asked.at(which).done();
  }
  std::set<std::pair<SessionId, Ino>> holds;
  std::vector<Asked> asked;
  bool at_once = false;  // they are given back
};

class GateTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    executor_->AddHolders(&things_);
    f_ = Mknod(1, "f");
    a_ = Connected();
    b_ = Connected();
  }
  SessionPtr Connected() {
    SessionPtr s = OpenSession();
    // Only whether there is one is asked.
    s->lane(0).connection =
        std::shared_ptr<Connection>(std::shared_ptr<void>(), reinterpret_cast<Connection*>(this));
    return s;
  }
  void TearDown() override {
    for (const SessionPtr& s : {a_, b_}) s->lane(0).connection.reset();
    MetaTest::TearDown();
  }
  TestCallPtr BeginChmod(uint32_t mode, const SessionPtr& session) {
    pb::SetattrRequest r = SetattrOf(f_, pb::SetattrRequest::MODE);
    r.set_mode(mode);
    return Begin<rpc::Setattr>(r, session);
  }
  uint32_t Mode() { return volume().store.GetInode(Ino(f_))->mode() & 07777; }
  void GiveBack(size_t which) {
    things_.GiveBack(which);
    executor_->EndTick();
  }

  Things things_;
  uint64_t f_ = 0;
  SessionPtr a_, b_;
};

TEST_F(GateTest, AnOpWaitsForAllHoldersAndChangesNothingBefore) {
  things_.holds = {{a_->id, Ino(f_)}, {b_->id, Ino(f_)}};
  const TestCallPtr call = BeginChmod(0700, s_);
  ASSERT_EQ(things_.asked.size(), 2u);
  EXPECT_EQ(things_.asked[0].mode, HoldMode::kExclusive);
  GiveBack(0);
  EXPECT_FALSE(call->answered);
  EXPECT_EQ(Mode(), 0644u);
  GiveBack(1);
  ASSERT_TRUE(call->answered);
  EXPECT_TRUE(call->status.ok()) << call->status.ToString();
  EXPECT_EQ(Mode(), 0700u);
  EXPECT_EQ(things_.asked.size(), 2u);
}

TEST_F(GateTest, WhatIsOnlyLookedAtIsAskedForShared) {
  things_.holds = {{a_->id, Ino(f_)}};
  pb::GetattrRequest r;
  r.set_ino(f_);
  const TestCallPtr call = Begin<rpc::Getattr>(r);
  ASSERT_EQ(things_.asked.size(), 1u);
  EXPECT_EQ(things_.asked[0].mode, HoldMode::kShared);
  GiveBack(0);
  EXPECT_TRUE(call->answered);
}

TEST_F(GateTest, OfTwoHoldersOneMayDie) {
  things_.holds = {{a_->id, Ino(f_)}, {b_->id, Ino(f_)}};
  const TestCallPtr call = BeginChmod(0700, s_);
  GiveBack(0);
  const SessionPtr dead = things_.asked[1].holder == a_->id ? a_ : b_;
  things_.holds.clear();
  auto close = std::make_shared<TestCall>(Op::kCloseSession, "");
  close->session = dead;
  executor_->CloseSession(close);
  executor_->EndTick();
  ASSERT_TRUE(call->answered);
  EXPECT_TRUE(call->status.ok());
  things_.asked[1].done();  // of nobody any more
  executor_->EndTick();
}

TEST_F(GateTest, WhoDoesNotAnswerIsNotWaitedForButKeepsWhatItHolds) {
  things_.holds = {{a_->id, Ino(f_)}};
  const TestCallPtr call = BeginChmod(0700, s_);
  ASSERT_EQ(things_.asked.size(), 1u);
  clock_.Advance(Gate::kAskMax + std::chrono::milliseconds(1));
  executor_->OnTimer();
  executor_->EndTick();
  // Its op has run again, and asks again.
  EXPECT_FALSE(call->answered);
  ASSERT_EQ(things_.asked.size(), 2u);
  things_.asked[0].done();  // an answer to the first question, too late for it
  executor_->EndTick();
  EXPECT_FALSE(call->answered);
  GiveBack(1);
  EXPECT_TRUE(call->answered);
}

TEST_F(GateTest, AHolderThatIsAwayIsAwaitedUntilItExpires) {
  things_.holds = {{a_->id, Ino(f_)}};
  a_->lane(0).connection.reset();
  const TestCallPtr call = BeginChmod(0700, s_);
  for (int i = 0; i < 20 && !call->answered; ++i) {
    clock_.Advance(std::chrono::seconds(2));
    s_->last_heard = b_->last_heard = clock_.MonoNow();
    executor_->OnTimer();
    if (a_->expired != 0) things_.holds.clear();
    executor_->EndTick();
    EXPECT_EQ(call->answered, a_->expired != 0);
  }
  EXPECT_TRUE(call->answered && call->status.ok());
  EXPECT_TRUE(things_.asked.empty());
}

TEST_F(GateTest, AHolderIsNotInItsOwnWayNotEvenWhileItIsAsked) {
  things_.holds = {{a_->id, Ino(f_)}};
  const TestCallPtr other = BeginChmod(0700, s_);
  ASSERT_EQ(things_.asked.size(), 1u);
  const TestCallPtr own = BeginChmod(0600, a_);
  EXPECT_TRUE(own->answered);
  EXPECT_EQ(Mode(), 0600u);
  GiveBack(0);
  EXPECT_TRUE(other->answered);
  EXPECT_EQ(Mode(), 0700u);
}

TEST_F(GateTest, OneQuestionIsUnderWayAndWhoComesMeanwhileWaitsForAnother) {
  things_.holds = {{a_->id, Ino(f_)}};
  const TestCallPtr first = BeginChmod(0700, s_);
  const TestCallPtr second = BeginChmod(0600, b_);
  const TestCallPtr third = BeginChmod(0640, b_);
  ASSERT_EQ(things_.asked.size(), 1u);
  // Not given back: the first asks again, behind those who have come meanwhile.
  things_.asked[0].done();
  executor_->EndTick();
  EXPECT_FALSE(first->answered || second->answered || third->answered);
  ASSERT_EQ(things_.asked.size(), 2u);
  GiveBack(1);
  // One more is under way for the first.
  ASSERT_TRUE(second->answered && third->answered);
  EXPECT_EQ(Mode(), 0640u);
  ASSERT_EQ(things_.asked.size(), 3u);
  GiveBack(2);
  EXPECT_TRUE(first->answered);
}

TEST_F(GateTest, AnAskerThatDiesIsNotRunAndOthersAre) {
  things_.holds = {{a_->id, Ino(f_)}};
  const TestCallPtr dead = BeginChmod(0777, b_);
  const TestCallPtr alive = BeginChmod(0700, s_);
  auto close = std::make_shared<TestCall>(Op::kCloseSession, "");
  close->session = b_;
  executor_->CloseSession(close);
  executor_->EndTick();
  EXPECT_TRUE(dead->answered && !dead->status.ok());
  GiveBack(0);
  ASSERT_EQ(things_.asked.size(), 2u);
  GiveBack(1);
  EXPECT_TRUE(alive->answered);
  EXPECT_EQ(Mode(), 0700u);
}

TEST_F(GateTest, AHolderIsAskedABoundedNumberOfThings) {
  Gate gate(clock_, [this](SessionId) { return a_; });
  gate.Add(&things_);
  for (uint64_t i = 1; i <= Gate::kAsksOfHolderMax; ++i) gate.Ask({{.holder = a_->id, .ino = Ino(i)}}, [] {});
  EXPECT_EQ(gate.MayAsk({{.holder = a_->id, .ino = Ino(5000)}}).code(), Code::kTryAgain);
  EXPECT_TRUE(gate.MayAsk({{.holder = a_->id, .ino = Ino(5)}}).ok());  // asked for it already
  EXPECT_TRUE(gate.MayAsk({{.holder = b_->id, .ino = Ino(5000)}}).ok());
  things_.asked.at(0).done();
  EXPECT_TRUE(gate.MayAsk({{.holder = a_->id, .ino = Ino(5000)}}).ok());
  EXPECT_EQ(gate.asks(), Gate::kAsksOfHolderMax - 1);
  gate.Ended(a_->id);
  EXPECT_EQ(gate.asks(), 0u);
}

// What is no op passes the same gate.
TEST_F(GateTest, WhatAChunkserverAnswersIsNotedWhenHoldersHaveGivenItBack) {
  auto_ack_ = false;
  ASSERT_EQ(Write(f_, 0, 4096), 0);
  const TestCallPtr cut = [&] {
    pb::SetattrRequest r = SetattrOf(f_, pb::SetattrRequest::SIZE);
    r.set_size(100);
    return Begin<rpc::Setattr>(r);
  }();
  ASSERT_TRUE(cut->answered);
  ASSERT_EQ(mutated_.size(), 1u);
  const uint64_t before = volume().store.GetInode(Ino(f_))->allocated();
  things_.holds = {{a_->id, Ino(f_)}};
  AckMutations();
  executor_->EndTick();
  EXPECT_EQ(volume().store.GetInode(Ino(f_))->allocated(), before);
  ASSERT_EQ(things_.asked.size(), 1u);
  GiveBack(0);
  EXPECT_EQ(volume().store.GetInode(Ino(f_))->allocated(), 4096u);
}

TEST_F(GateTest, FreeingWaitsForHolders) {
  const uint64_t g = Mknod(1, "g");
  ASSERT_EQ(Write(g, 0, 4096), 0);
  ASSERT_EQ(Unlink(1, "g"), 0);
  things_.holds = {{a_->id, Ino(g)}};
  Settle();
  Settle();
  EXPECT_NE(volume().store.GetInode(Ino(g)), nullptr);
  ASSERT_EQ(things_.asked.size(), 1u);  // not in each step
  EXPECT_FALSE(volume().HasStep());
  GiveBack(0);
  EXPECT_EQ(volume().store.GetInode(Ino(g)), nullptr);
}

TEST_F(GateTest, HoldersThatAnswerAtOnceKeepNothingWaiting) {
  things_.at_once = true;
  const uint64_t g = Mknod(1, "g");
  ASSERT_EQ(Write(g, 0, 4096), 0);
  ASSERT_EQ(Unlink(1, "g"), 0);
  things_.holds = {{a_->id, Ino(f_)}, {a_->id, Ino(g)}};
  EXPECT_TRUE(BeginChmod(0700, s_)->status.ok());
  EXPECT_EQ(Mode(), 0700u);
  EXPECT_TRUE(Gone(g));
  EXPECT_EQ(volume().store.GetInode(Ino(g)), nullptr);
}

}  // namespace
}  // namespace kfs::meta
