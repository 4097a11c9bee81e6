// A session with several connections (docs/protocol.md, "Lanes"): what is the session's, and what each
// lane's.
#include "proto/lanes.h"

#include <map>
#include <set>
#include <vector>

#include "common/limits.h"
#include "meta_fixture.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

class LanesTest : public MetaTest {
 protected:
  void SetUp() override {
    env_.close_connection = [this](Session&, uint8_t lane, const Status&) { closed_.push_back(lane); };
    MetaTest::SetUp();
    On(3);
    ASSERT_EQ(Attach(s_), s_);
    closed_.clear();
  }
  // What follows is sent on that lane.
  void On(uint8_t lane) { lane_ = lane; }
  // The op of that number, on the lane.
  TestCallPtr Mkdir(uint64_t number, const std::string& name, uint64_t acked = 0) {
    pb::MkdirRequest r;
    r.set_parent(1);
    r.set_name(name);
    r.mutable_ctx()->set_op_id(LaneBase(lane_) + number);
    if (acked != 0) r.mutable_ctx()->set_acked(LaneBase(lane_) + acked);
    return Begin<rpc::Mkdir>(r);
  }
  static uint64_t Made(const TestCallPtr& call) {
    EXPECT_TRUE(call->answered && call->status.ok()) << call->status.ToString();
    pb::EntryReply reply;
    EXPECT_TRUE(reply.ParseFromString(call->reply));
    return reply.attr().ino();
  }
  Status KeepAlive(uint64_t acked, uint64_t last = 0, std::vector<uint64_t> pending = {}) {
    auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
    call->session = s_;
    call->lane = lane_;
    pb::KeepAliveRequest keep;
    keep.set_acked(acked);
    keep.set_last(last);
    for (const uint64_t id : pending) keep.add_pending(id);
    executor_->KeepAlive(call, keep);
    executor_->EndTick();
    return call->status;
  }
  int AttachErr(uint32_t lane, bool is_new = false) {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_volume("vol");
    request.set_lane(lane);
    if (!is_new) {
      request.set_session(s_->id.v);
      request.set_key(s_->key);
    }
    EXPECT_EQ(executor_->OpenSession(call, request, "host", "client"), nullptr);
    executor_->EndTick();
    return call->status.err();
  }
  void Commit() {
    volume().store.db().Put("~", "");  // what waits for another change is written
    volume().store.Commit();
  }
  pb::ReclaimReply AfterARestart(std::vector<uint64_t> handed_out) {
    const SessionPtr old = s_;
    Restart();
    s_ = Attach(old);
    pb::ReclaimRequest r;
    for (const uint64_t id : handed_out) LaneOf(id) == 0 ? r.set_op_ids(id) : r.add_lane_op_ids(id);
    r.set_last(true);
    pb::ReclaimReply reply;
    EXPECT_TRUE(Reclaim(s_, r, &reply).ok());
    return reply;
  }

  std::vector<int> closed_;
};

TEST_F(LanesTest, AnOpHappensOnceOnItsLane) {
  std::map<uint8_t, uint64_t> made;
  for (const uint8_t lane : {0, 3}) {
    On(lane);
    made[lane] = Made(Mkdir(7, "on" + std::to_string(lane)));
  }
  EXPECT_NE(made[0], made[3]);  // one number, and two ops
  for (const uint8_t lane : {3, 0}) {
    On(lane);
    EXPECT_EQ(Made(Mkdir(7, "on" + std::to_string(lane))), made[lane]);
  }
  EXPECT_EQ(executor_->replays(), 2u);
  const pb::ReclaimReply reply = AfterARestart({7, LaneBase(3) + 7});
  for (const uint8_t lane : {3, 0}) {
    On(lane);
    EXPECT_EQ(Attach(s_), s_);
    EXPECT_EQ(Made(Mkdir(7, "on" + std::to_string(lane))), made[lane]);
  }
}

TEST_F(LanesTest, AnAcknowledgementDropsAnswersOfItsLaneOnly) {
  for (const uint8_t lane : {0, 3}) {
    On(lane);
    for (uint64_t number = 1; number <= 5; ++number)
      Made(Mkdir(number, std::to_string(lane) + "-" + std::to_string(number)));
  }
  EXPECT_EQ(s_->replies.size(), 10u);
  On(3);
  Made(Mkdir(6, "3-6", 4));
  EXPECT_EQ(s_->replies.size(), 7u);
  EXPECT_EQ(Mkdir(2, "3-2")->status.err(), EINVAL);  // acknowledged: it cannot come again
  On(0);
  Made(Mkdir(2, "0-2"));  // its answer is there
  EXPECT_EQ(KeepAlive(1, 5, {3}).err(), 0);
  std::set<uint64_t> left;
  for (const auto& [id, stored] : s_->replies) left.insert(id);
  // The last of a lane stays.
  EXPECT_EQ(left, (std::set<uint64_t>{3, 5, LaneBase(3) + 5, LaneBase(3) + 6}));
}

// Those of ops that are in memory only, too.
TEST_F(LanesTest, IdsWithoutAnAnswerAreBoundedOfASessionAndOfAll) {
  const auto ids = [this](uint64_t count) {
    std::vector<uint64_t> all;
    for (uint64_t n = 1; n <= count; ++n) all.push_back(LaneBase(lane_) + 2 * n);
    return all;
  };
  const auto told = [&](uint8_t lane) { return s_->lane(lane).answered.but.size(); };
  for (const uint64_t number : {1, 3}) Made(Mkdir(number, "3-" + std::to_string(number)));
  const size_t before = volume().stored_replies.bytes();
  EXPECT_TRUE(KeepAlive(0, LaneBase(3) + 2 * kRepliesKeptMax, ids(kRepliesKeptMax - 10)).ok());
  EXPECT_EQ(told(3), kRepliesKeptMax - 10);
  EXPECT_GT(volume().stored_replies.bytes(), before + 48 * told(3));
  EXPECT_EQ(s_->replies.size(), 1u);  // the first was dropped, which is noted
  // On all lanes together. What is too much is passed over, the sign of life is one.
  On(0);
  for (const uint64_t number : {1, 3}) Made(Mkdir(number, "0-" + std::to_string(number)));
  EXPECT_TRUE(KeepAlive(0, 2 * kRepliesKeptMax, ids(11)).ok());
  EXPECT_EQ(told(0), 0u);
  EXPECT_TRUE(s_->replies.contains(1));  // nor is an answer dropped
  EXPECT_TRUE(KeepAlive(0, 2 * kRepliesKeptMax, ids(10)).ok());
  EXPECT_EQ(told(0), 10u);
  EXPECT_FALSE(s_->replies.contains(1));
  // Of all sessions, as stored answers are; across a restart, too.
  Commit();
  const size_t all = volume().stored_replies.bytes();
  (void)AfterARestart({});
  EXPECT_EQ(volume().stored_replies.bytes(), all);
  volume().stored_replies.bytes_max = all;
  const SessionPtr full = s_;
  s_ = OpenSession();
  const size_t always = volume().stored_replies.always / 64;
  EXPECT_TRUE(KeepAlive(0, 4 * always, ids(always + 1)).ok());
  EXPECT_EQ(told(0), 0u);
  EXPECT_TRUE(KeepAlive(0, 4 * always, ids(always / 2)).ok());
  EXPECT_EQ(told(0), always / 2);
  // Acknowledged, or with the session, they are gone.
  EXPECT_TRUE(KeepAlive(always).ok());
  EXPECT_EQ(told(0), 0u);
  EXPECT_EQ(volume().stored_replies.bytes(), all);
  s_ = full;
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = s_;
  executor_->CloseSession(call);
  executor_->EndTick();
  EXPECT_EQ(volume().stored_replies.bytes(), 0u);
}

TEST_F(LanesTest, WhatIsRememberedIsTheLanes) {
  const uint64_t ino = Create(1, "f").attr().ino();
  for (const uint8_t lane : {0, 3}) {
    On(lane);
    pb::OpenRequest open;
    open.set_ino(ino);
    open.mutable_ctx()->set_op_id(LaneBase(lane) + 50);
    Run<rpc::Open>(open);
    ASSERT_EQ(err(), 0);
  }
  EXPECT_EQ(s_->opens.at(Ino(ino)).count, 3u);
  const size_t before = s_->remembered.size();
  On(3);
  EXPECT_TRUE(KeepAlive(LaneBase(3) + 50).ok());
  EXPECT_EQ(s_->remembered.size(), before - 1);
  EXPECT_TRUE(s_->remembered.contains(50));
  EXPECT_FALSE(s_->remembered.contains(LaneBase(3) + 50));
}

TEST_F(LanesTest, WhatIsKnownAfterARestartIsToldByLane) {
  On(0);
  for (const uint64_t number : {1, 2, 4}) Made(Mkdir(number, "0-" + std::to_string(number)));
  On(3);
  for (const uint64_t number : {1, 2, 3, 5}) Made(Mkdir(number, "3-" + std::to_string(number)));
  EXPECT_TRUE(KeepAlive(0, LaneBase(3) + 5, {LaneBase(3) + 4}).ok());
  Commit();
  const pb::ReclaimReply reply = AfterARestart({4, LaneBase(3) + 5, LaneBase(9) + 2});
  EXPECT_EQ(reply.known(), 4u);
  EXPECT_EQ(reply.known_to(), 0u);
  EXPECT_EQ(reply.known_later_size(), 3);
  ASSERT_EQ(reply.lane_size(), 2);
  EXPECT_EQ(reply.lane(0).lane(), 3u);
  EXPECT_EQ(reply.lane(0).known_to(), LaneBase(3) + 5);
  ASSERT_EQ(reply.lane(0).not_known_size(), 1);
  EXPECT_EQ(reply.lane(0).not_known(0), LaneBase(3) + 4);
  EXPECT_EQ(reply.lane(0).known_later_size(), 0);
  // All that it had handed out was lost.
  EXPECT_EQ(reply.lane(1).lane(), 9u);
  EXPECT_EQ(reply.lane(1).known_to(), LaneBase(9));
  EXPECT_EQ(reply.lane(1).known_later_size(), 0);
}

TEST_F(LanesTest, ReleasesThatWereHandedOutBeforeTheReclaimingAreLeftOutByLane) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  pb::ReclaimRequest r;
  r.add_open()->set_ino(ino);
  r.mutable_open(0)->set_count(2);
  r.set_op_ids(100);
  r.add_lane_op_ids(LaneBase(3) + 20);
  r.set_last(true);
  ASSERT_TRUE(Reclaim(s_, r).ok());
  const auto release = [&](uint64_t number) {
    pb::ReleaseRequest release;
    release.set_ino(ino);
    release.mutable_ctx()->set_op_id(LaneBase(lane_) + number);
    Run<rpc::Release>(release);
    EXPECT_EQ(err(), 0);
    const auto it = s_->opens.find(Ino(ino));
    return it == s_->opens.end() ? 0 : it->second.count;
  };
  On(3);
  EXPECT_EQ(release(20), 2u);
  EXPECT_EQ(release(21), 1u);
  On(0);
  ASSERT_EQ(Attach(s_), s_);
  EXPECT_EQ(release(100), 1u);
  EXPECT_EQ(release(101), 0u);
}

TEST_F(LanesTest, OneLaneTellsWhatTheSessionHolds) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const SessionPtr old = s_;
  Restart();
  for (const uint8_t lane : {0, 3}) {
    On(lane);
    s_ = Attach(old);
  }
  pb::ReclaimRequest r;
  r.add_open()->set_ino(ino);
  r.mutable_open(0)->set_count(1);
  On(0);
  EXPECT_TRUE(Reclaim(s_, r).ok());
  On(3);
  EXPECT_EQ(Reclaim(s_, r).code(), Code::kTryAgain);
  Stat(1);
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  // It begins anew once the first has left.
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  r.set_last(true);
  EXPECT_TRUE(Reclaim(s_, r).ok());
  EXPECT_EQ(s_->opens.at(Ino(ino)).count, 1u);
  Stat(1);
  EXPECT_EQ(err(), 0);
}

TEST_F(LanesTest, AttachingALaneEndsItsEarlierConnectionOnly) {
  opens_for_data_ = false;
  const uint64_t ino = Create(1, "f").attr().ino();
  const uint64_t first = s_->lane(3).connection_number, other = s_->lane(0).connection_number;
  const SessionPtr holder = OpenSession();
  On(0);
  Run<rpc::SetLock>(LockOf(ino, 1, pb::LockRange::WRITE));
  On(3);
  s_ = Attach(s_);
  EXPECT_EQ(closed_, (std::vector<int>{3}));
  EXPECT_EQ(s_->lane(0).connection_number, other);
  EXPECT_TRUE(s_->lane(0).attached());
  EXPECT_GT(s_->lane(3).connection_number, first);
  EXPECT_EQ(s_->lane(3).left_connection, first);
  EXPECT_EQ(volume().locks.CountOf(s_->id), 1u);
  // A late word of the earlier connection's end does nothing.
  executor_->Disconnected(*s_, 3, first);
  EXPECT_TRUE(s_->lane(3).attached());
  On(0);
  Stat(1);
  EXPECT_EQ(err(), 0);
}

// The token that was asked for on a connection, and may never have arrived.
TEST_F(LanesTest, AppendsEndWithTheLaneThatTheyWereAskedForOn) {
  const uint64_t a = Create(1, "a").attr().ino(), b = Create(1, "b").attr().ino();
  for (const auto& [lane, ino] : std::map<uint8_t, uint64_t>{{0, a}, {3, b}}) {
    On(lane);
    pb::PrepareWriteRequest prepare;
    prepare.set_ino(ino);
    prepare.set_length(1);
    prepare.set_append(true);
    Run<rpc::PrepareWrite>(prepare);
    ASSERT_EQ(err(), 0);
  }
  ASSERT_EQ(s_->append_tokens.size(), 2u);
  const uint64_t tickets = s_->ticket_serial;
  executor_->Disconnected(*s_, 3, s_->lane(3).connection_number);
  EXPECT_EQ(s_->append_tokens, (std::set<Ino>{Ino(a)}));
  EXPECT_EQ(s_->ticket_serial, tickets);  // the mount is there still
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  EXPECT_TRUE(s_->append_tokens.empty());
  EXPECT_NE(s_->ticket_serial, tickets);
}

TEST_F(LanesTest, WithTheSessionAllItsLanesEnd) {
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(closed_, (std::vector<int>{0, 3}));
  EXPECT_FALSE(s_->attached());
  for (const uint8_t lane : {0, 3}) {
    On(lane);
    Stat(1);
    EXPECT_EQ(last_.code(), Code::kTryAgain);
  }
  // Any lane brings it back.
  EXPECT_EQ(Attach(s_), s_);
  Stat(1);
  EXPECT_EQ(err(), 0);
  Made(Mkdir(1, "d"));
  closed_.clear();
  auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
  call->session = s_;
  call->lane = lane_;
  executor_->CloseSession(call);
  executor_->EndTick();
  EXPECT_TRUE(call->answered);
  EXPECT_EQ(closed_, (std::vector<int>{0, 3}));
  Commit();
  size_t left = 0;
  volume().store.db().Scan("A", "", [&](std::string_view, std::string_view) { return ++left != 0; });
  EXPECT_EQ(left, 0u);
}

TEST_F(LanesTest, AnyLaneKeepsTheSessionAlive) {
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(std::chrono::seconds(20));
    EXPECT_TRUE(KeepAlive(0).ok());
    executor_->OnTimer();
  }
  On(0);
  Stat(1);
  EXPECT_EQ(err(), 0);
}

TEST_F(LanesTest, ThereAreSixteen) {
  for (uint8_t lane = 0; lane < kLanesMax; ++lane) {
    On(lane);
    ASSERT_EQ(Attach(s_), s_);
    Made(Mkdir(1, "on" + std::to_string(lane)));
  }
  for (const uint32_t lane : {kLanesMax, 255u, 256u, UINT32_MAX}) EXPECT_EQ(AttachErr(lane), EINVAL);
  EXPECT_EQ(AttachErr(1, /*is_new=*/true), EINVAL);  // a session begins with lane 0
  EXPECT_EQ(s_->lanes.size(), size_t{kLanesMax});
}

TEST_F(LanesTest, IdsOfOtherLanesAreRefused) {
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name("d");
  for (const uint64_t id : {uint64_t{1}, LaneBase(3), LaneBase(2) + 1, LaneBase(16) + 1, UINT64_MAX}) {
    r.mutable_ctx()->set_op_id(id);
    Run<rpc::Mkdir>(r);
    EXPECT_EQ(err(), EINVAL) << id;
  }
  pb::GetattrRequest stat;
  stat.set_ino(1);
  stat.mutable_ctx()->set_acked(9);
  Run<rpc::Getattr>(stat);
  EXPECT_EQ(err(), EINVAL);
  EXPECT_EQ(KeepAlive(9).err(), EINVAL);
  EXPECT_EQ(KeepAlive(0, 9).err(), EINVAL);
  EXPECT_EQ(KeepAlive(0, LaneBase(3) + 9, {LaneBase(3) + 1, 2}).err(), EINVAL);
  pb::ReclaimRequest reclaim;
  reclaim.add_lane_op_ids(LaneBase(kLanesMax));
  EXPECT_EQ(Reclaim(s_, reclaim).err(), EINVAL);
  EXPECT_EQ(s_->lanes.size(), 2u);
  EXPECT_EQ(s_->lane(0).acked, 0u);
}

}  // namespace
}  // namespace kfs::meta
