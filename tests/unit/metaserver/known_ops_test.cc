// Which of a session's ops this database knows of, as a mount is told after a restart: what it had been
// answered and is not among them was lost with the power, and fsync must not say otherwise.
#include <algorithm>
#include <random>
#include <set>

#include "memory_ops_fixture.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

class KnownOpsTest : public MemoryOpsTest {
 protected:
  // The ops under these ids, in this order.
  void MkdirAs(std::initializer_list<uint64_t> ids) {
    for (const uint64_t id : ids) {
      pb::MkdirRequest r;
      r.set_parent(1);
      r.set_name("d" + std::to_string(id));
      r.mutable_ctx()->set_op_id(id);
      Run<rpc::Mkdir>(r);
      ASSERT_EQ(err(), 0);
    }
  }
  // What the client says with a sign of life.
  void SayPending(uint64_t last, std::initializer_list<uint64_t> pending) {
    pb::KeepAliveRequest keep;
    keep.set_last(last);
    for (const uint64_t id : pending) keep.add_pending(id);
    auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
    call->session = s_;
    executor_->KeepAlive(call, keep);
  }
  size_t LeftWhenItEnds() {
    auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
    call->session = s_;
    executor_->CloseSession(call);
    executor_->EndTick();
    volume().store.db().Put("~", "");  // whatever waits for another change is written
    volume().store.Commit();
    size_t left = 0;
    volume().store.db().Scan("A", "", [&](std::string_view, std::string_view) { return ++left != 0; });
    return left;
  }
  size_t NoteBytes() { return volume().store.db().Get(ReplyKey(s_->id, 0)).value_or("").size(); }
  pb::ReclaimReply AfterARestart() {
    pb::ReclaimReply reply;
    RestartAndReclaim({}, &reply);
    return reply;
  }
  static std::set<uint64_t> Known(const pb::ReclaimReply& r, uint64_t up_to) {
    EXPECT_TRUE(r.has_known_to());
    std::set<uint64_t> known(r.known_later().begin(), r.known_later().end());
    for (uint64_t id = 1; id <= r.known_to(); ++id) known.insert(id);
    for (const uint64_t id : r.not_known()) known.erase(id);
    known.erase(known.upper_bound(up_to), known.end());
    return known;
  }
};

// An op that waits for records on disk is executed after one that was sent later. When the power goes between
// the two, the later one is stored.
TEST_F(KnownOpsTest, ALaterOpDoesNotStandForOneBeforeIt) {
  acked_ = 1;
  MkdirAs({2, 3, 5});
  const pb::ReclaimReply reply = AfterARestart();
  EXPECT_EQ(reply.known(), 5u);
  EXPECT_EQ(Known(reply, 9), (std::set<uint64_t>{2, 3, 5}));
}

TEST_F(KnownOpsTest, NorWhenItsAnswerHasBeenAcknowledgedAndRemoved) {
  acked_ = 1;
  MkdirAs({2, 3, 5, 6});
  SayPending(6, {4});
  MkdirAs({7, 9});  // with which the removal is written
  ASSERT_EQ(RepliesOnDisk(), 3u);
  EXPECT_EQ(Known(AfterARestart(), 9), (std::set<uint64_t>{1, 2, 3, 5, 6, 7, 9}));
  // And from one metaserver to the next.
  MkdirAs({4});
  EXPECT_EQ(Known(AfterARestart(), 9), (std::set<uint64_t>{1, 2, 3, 4, 5, 6, 7, 9}));
  acked_ = 7;
  MkdirAs({10, 11});
  EXPECT_EQ(Known(AfterARestart(), 11), (std::set<uint64_t>{1, 2, 3, 4, 5, 6, 7, 9, 10, 11}));
}

// However far the removals of acknowledged answers have got.
TEST_F(KnownOpsTest, WhatIsStoredIsKnown) {
  acked_ = 0;
  std::set<uint64_t> all;
  for (uint64_t id = 1; id <= 20; ++id) {
    op_ids_ = id;  // of which all but this one are acknowledged
    MkdirAs({id});
    all.insert(id);
    if (id % 3 == 0) SayPending(id, {});
    if (id % 4 == 0) {
      EXPECT_EQ(Known(AfterARestart(), id), all);
    }
  }
}

// A database of before does not say what it has removed: up to the highest all counts as stored, as it did,
// until the client has said what it has.
TEST_F(KnownOpsTest, ASessionOfAVersionBeforeIsKnownToItsHighestOp) {
  acked_ = 1;
  MkdirAs({2, 3, 5});
  volume().store.db().Delete(ReplyKey(s_->id, 0));
  volume().store.Commit();
  pb::ReclaimReply reply = AfterARestart();
  EXPECT_FALSE(reply.has_known_to());
  EXPECT_EQ(reply.known(), 5u);
  acked_ = 3;
  MkdirAs({6, 7});
  EXPECT_FALSE(AfterARestart().has_known_to());
  SayPending(7, {4});
  MkdirAs({8});
  EXPECT_EQ(Known(AfterARestart(), 9), (std::set<uint64_t>{1, 2, 3, 5, 6, 7, 8}));
}

TEST_F(KnownOpsTest, NothingIsLeftOfASessionThatEnds) {
  acked_ = 1;
  MkdirAs({2, 3, 5});
  SayPending(5, {4});
  MkdirAs({6});
  EXPECT_EQ(LeftWhenItEnds(), 0u);
}

// Nor of what would have been written with the next change.
TEST_F(KnownOpsTest, NothingIsWrittenOfASessionThatHasEnded) {
  acked_ = 1;
  MkdirAs({2, 3, 5});
  SayPending(5, {4});
  EXPECT_EQ(LeftWhenItEnds(), 0u);
}

// A record that names all pending ops is not made for each small op: a client that says once that thousands
// are, and acknowledges one at a time, would have a thousand times as much written as it sends.
TEST_F(KnownOpsTest, ACrowdOfPendingOpsIsNotWrittenDownWithEachOp) {
  constexpr uint64_t kPending = 20000;
  acked_ = 1;
  MkdirAs({2, 3, kPending + 2});
  pb::KeepAliveRequest keep;
  keep.set_last(kPending + 3);
  for (uint64_t id = 4; id < kPending; ++id) keep.add_pending(id);
  auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
  call->session = s_;
  executor_->KeepAlive(call, keep);
  MkdirAs({4});
  const size_t before = NoteBytes();
  EXPECT_GT(before, kPending);
  for (uint64_t id = 5; id < 40; ++id) {
    acked_ = id - 1;
    MkdirAs({id});
    EXPECT_EQ(NoteBytes(), before) << id;
  }
  // It is exact all the same, and what is acknowledged goes when the client says again what is pending.
  std::set<uint64_t> known;
  for (uint64_t id = 1; id < 40; ++id) known.insert(id);
  EXPECT_EQ(Known(AfterARestart(), 100), known);
  SayPending(kPending + 3, {});
  MkdirAs({kPending + 10});
  EXPECT_LE(RepliesOnDisk(), 2u);
}

// Whatever comes when: ops that overtake each other, answers that are acknowledged with ops and with signs of
// life, and restarts between any two.
TEST_F(KnownOpsTest, WhatHasBeenExecutedIsKnownAndNothingElse) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Mkdir(1, "first");
  uint64_t next = op_ids_ + 1;
  std::set<uint64_t> waiting, executed;
  for (uint64_t id = 1; id < next; ++id) executed.insert(id);
  const auto some = [&] { return *std::next(waiting.begin(), static_cast<long>(random() % waiting.size())); };
  for (int step = 0; step < 1500; ++step) {
    while (waiting.size() < 1 + random() % 200) waiting.insert(next++);
    acked_ = *waiting.begin() - 1;
    const uint64_t what = random() % 100;
    if (what < 80) {
      const uint64_t id = random() % 3 == 0 ? some() : *waiting.begin();
      MkdirAs({id});
      waiting.erase(id);
      executed.insert(id);
    } else if (what < 90) {
      pb::KeepAliveRequest keep;
      keep.set_acked(acked_);
      keep.set_last(next - 1);
      keep.mutable_pending()->Assign(waiting.begin(), waiting.end());
      auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
      call->session = s_;
      executor_->KeepAlive(call, keep);
      executor_->EndTick();
    } else if (what < 97) {
      executor_->EndTick();
    } else {
      op_ids_ = next - 1;
      ASSERT_EQ(Known(AfterARestart(), next - 1), executed) << "step " << step;
    }
  }
}

// It waits for no other change then.
TEST_F(KnownOpsTest, WhatIsToBeWrittenSoonIsBounded) {
  Db& db = volume().store.db();
  volume().store.Commit();
  const std::string half(Db::kSoonBytesMax / 2, 'x');
  db.PutSoon(ReplyKey(SessionId(77), 0), half);
  EXPECT_FALSE(db.dirty());
  db.PutSoon(ReplyKey(SessionId(78), 0), half);
  EXPECT_TRUE(db.dirty());
}

}  // namespace
}  // namespace kfs::meta
