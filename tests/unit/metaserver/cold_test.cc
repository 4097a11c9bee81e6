// Records that are not in memory: the op waits for them, the ops behind it do not.
#include "meta_fixture.h"

namespace kfs::meta {
namespace {

class ColdTest : public MetaTest {
 protected:
  ColdTest() {
    hooks_.fetch = [this](Db& db, std::vector<std::string> keys, std::function<void()> done) {
      fetches_.push_back({&db, std::move(keys), std::move(done)});
    };
  }
  // Makes file kName (inode made_) amid many others, so that its records lie in blocks of the database which
  // nothing else reads, and restarts: only the root is in memory then.
  static constexpr char kName[] = "15";
  void GoCold() {
    for (int i = 0; i < 200; ++i) {
      if (i == 100) made_ = Mknod(1, kName);
      Mknod(1, std::to_string(i) + std::string(200, 'n'));
    }
    SessionPtr old = s_;
    Restart();
    s_ = Attach(old);
    ASSERT_TRUE(ReclaimNothing(s_).ok());
    op_ids_ += 1000;
    pb::GetattrRequest root;
    root.set_ino(1);
    TestCallPtr call = Begin<rpc::Getattr>(root);
    Serve();
    ASSERT_TRUE(call->answered);
  }
  // The disk's answer to the first one waiting.
  void ServeOne() {
    ASSERT_FALSE(fetches_.empty());
    Fetch fetch = std::move(fetches_.front());
    fetches_.pop_front();
    fetch.db->Warm(fetch.keys);
    fetch.done();
    executor_->EndTick();
  }
  void Serve() {
    while (!fetches_.empty()) ServeOne();
  }

  struct Fetch {
    Db* db;
    std::vector<std::string> keys;
    std::function<void()> done;
  };
  std::deque<Fetch> fetches_;
  uint64_t made_ = 0;
};

pb::LookupRequest LookupOf(const std::string& name) {
  pb::LookupRequest r;
  r.set_parent(1);
  r.set_name(name);
  return r;
}

TEST_F(ColdTest, AnOpWaitsForItsRecordsAndOthersDoNot) {
  GoCold();
  TestCallPtr cold = Begin<rpc::Lookup>(LookupOf("15"));
  EXPECT_FALSE(cold->answered);
  EXPECT_EQ(fetches_.size(), 1u);
  pb::GetattrRequest root;
  root.set_ino(1);
  EXPECT_TRUE(Begin<rpc::Getattr>(root)->answered);  // in memory: goes ahead
  Serve();
  ASSERT_TRUE(cold->answered);
  EXPECT_TRUE(cold->status.ok()) << cold->status.ToString();
  EXPECT_GE(executor_->cold_runs(), 1u);
  EXPECT_TRUE(Begin<rpc::Lookup>(LookupOf("15"))->answered);  // warm now
}

TEST_F(ColdTest, AChangeRunsOnce) {
  GoCold();
  const uint64_t ino = made_;
  pb::LinkRequest r;
  r.set_ino(ino);
  r.set_parent(1);
  r.set_name("g");
  r.mutable_ctx()->set_op_id(++op_ids_);
  TestCallPtr call = Begin<rpc::Link>(r);
  EXPECT_FALSE(call->answered);
  // Sent again on another connection meanwhile: it joins its first arrival.
  TestCallPtr again = Begin<rpc::Link>(r);
  Serve();
  ASSERT_TRUE(again->answered);
  EXPECT_TRUE(again->status.ok()) << again->status.ToString();
  EXPECT_EQ(volume().store.GetInode(Ino(ino))->nlink(), 2u);
}

TEST_F(ColdTest, AbsentNamesAreNotTakenForColdOnesNorTheOtherWayRound) {
  GoCold();
  pb::MkdirRequest r;
  r.set_parent(1);
  r.set_name(kName);
  r.set_mode(0755);
  r.mutable_ctx()->set_op_id(++op_ids_);
  TestCallPtr call = Begin<rpc::Mkdir>(r);
  Serve();
  ASSERT_TRUE(call->answered);
  EXPECT_EQ(call->status.err(), EEXIST);
}

TEST_F(ColdTest, ASessionThatEndsMeanwhileIsNotRun) {
  GoCold();
  TestCallPtr cold = Begin<rpc::Lookup>(LookupOf("15"));
  ASSERT_FALSE(cold->answered);
  executor_->Disconnected(*s_, s_->connection_number);
  Serve();
  EXPECT_FALSE(cold->answered);  // nobody listens
}

TEST_F(ColdTest, ReadsTheDiskItselfInTheEnd) {
  GoCold();
  TestCallPtr cold = Begin<rpc::Lookup>(LookupOf("15"));
  for (int i = 0; i < 10 && !cold->answered; ++i) {
    ASSERT_FALSE(fetches_.empty());
    fetches_.front().keys.clear();  // a disk that brings nothing
    ServeOne();
  }
  ASSERT_TRUE(cold->answered);
  EXPECT_TRUE(cold->status.ok());
}

}  // namespace
}  // namespace kfs::meta
