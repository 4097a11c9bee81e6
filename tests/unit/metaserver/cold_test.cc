// Records that are not in memory: the op waits for them, the ops behind it do not.
#include "meta_fixture.h"

namespace kfs::meta {
namespace {

class ColdTest : public MetaTest {
 protected:
  ColdTest() {
    env_.fetch = [this](Db& db, std::vector<std::string> keys, std::function<void()> done) {
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
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  Serve();
  EXPECT_FALSE(cold->answered);  // nobody listens
}

// So do ops on data and locks, whose runs before leave no token, chunk or lock.
TEST_F(ColdTest, OpsOnDataAndLocksWaitForTheirRecords) {
  GoCold();
  const uint64_t chunks = volume().store.counters().next_chunk();
  const TestCallPtr append = Begin<rpc::PrepareWrite>(PrepareOf(made_, 0, 4096, /*append=*/true));
  const TestCallPtr lock = Begin<rpc::SetLock>(LockOf(made_, 7, pb::LockRange::WRITE));
  EXPECT_FALSE(append->answered || lock->answered);
  EXPECT_EQ(fetches_.size(), 2u);
  EXPECT_TRUE(s_->append_tokens.empty());
  EXPECT_EQ(volume().locks.CountOf(s_->id), 0u);
  EXPECT_EQ(volume().store.counters().next_chunk(), chunks);
  Serve();
  ASSERT_TRUE(append->answered && lock->answered);
  EXPECT_TRUE(append->status.ok()) << append->status.ToString();
  EXPECT_TRUE(lock->status.ok()) << lock->status.ToString();
  EXPECT_EQ(s_->append_tokens.size(), 1u);
  EXPECT_EQ(volume().locks.CountOf(s_->id), 1u);
  EXPECT_EQ(volume().store.counters().next_chunk(), chunks + 1);
}

TEST_F(ColdTest, IsToBeSentAgainWhereNothingComes) {
  GoCold();
  TestCallPtr cold = Begin<rpc::Lookup>(LookupOf("15"));
  for (int i = 0; i < 10 && !cold->answered; ++i) {
    ASSERT_FALSE(fetches_.empty());
    fetches_.front().keys.clear();
    ServeOne();
  }
  ASSERT_TRUE(cold->answered);
  EXPECT_EQ(cold->status.code(), Code::kTryAgain);
}

// With a cache in which nothing stays.
class NoCacheTest : public ColdTest {
 protected:
  NoCacheTest() { db_bytes_ = 0; }
};

TEST_F(NoCacheTest, WhatHasBeenReadIsThereForTheRunThatWantsIt) {
  GoCold();
  TestCallPtr cold = Begin<rpc::Lookup>(LookupOf(kName));
  ASSERT_FALSE(cold->answered);
  Serve();
  ASSERT_TRUE(cold->answered);
  EXPECT_TRUE(cold->status.ok()) << cold->status.ToString();
  pb::LinkRequest link;  // of many records
  link.set_ino(made_);
  link.set_parent(1);
  link.set_name("g");
  link.mutable_ctx()->set_op_id(++op_ids_);
  const TestCallPtr changed = Begin<rpc::Link>(link);
  Serve();
  ASSERT_TRUE(changed->answered);
  EXPECT_TRUE(changed->status.ok()) << changed->status.ToString();
}

TEST_F(NoCacheTest, WhatIsChangedWhileItIsReadIsSeenAsItIs) {
  GoCold();
  const TestCallPtr cold = Begin<rpc::Lookup>(LookupOf(kName));
  ASSERT_EQ(fetches_.size(), 1u);
  Fetch fetch = std::move(fetches_.front());
  fetches_.pop_front();
  fetch.db->Warm(fetch.keys);
  pb::UnlinkRequest unlink;
  unlink.set_parent(1);
  unlink.set_name(kName);
  unlink.mutable_ctx()->set_op_id(++op_ids_);
  const TestCallPtr removed = Begin<rpc::Unlink>(unlink);
  Serve();
  ASSERT_TRUE(removed->answered && removed->status.ok()) << removed->status.ToString();
  fetch.done();
  executor_->EndTick();
  Serve();
  ASSERT_TRUE(cold->answered);
  EXPECT_EQ(cold->status.err(), ENOENT);
}

// ---- what a session says it holds after a restart

class ColdReclaimTest : public ColdTest {
 protected:
  static constexpr int kFiles = 300;
  // Makes kFiles files and restarts; the session has attached, and only the root is in memory.
  void MakeFiles() {
    for (int i = 0; i < kFiles; ++i) files_.push_back(Mknod(1, std::to_string(i) + std::string(200, 'n')));
    const SessionPtr old = s_;
    Restart();
    s_ = Attach(old);
    other_ = OpenSession();
  }
  TestCallPtr Tell(const pb::ReclaimRequest& request) {
    auto call = std::make_shared<TestCall>(Op::kReclaim, "");
    call->session = s_;
    executor_->Reclaim(call, request);
    executor_->EndTick();
    return call;
  }
  pb::ReclaimRequest OpensOf(int begin, int end) const {
    pb::ReclaimRequest r;
    for (int i = begin; i < end; ++i) {
      auto* open = r.add_open();
      open->set_ino(files_[static_cast<size_t>(i)]);
      open->set_count(1);
    }
    return r;
  }
  pb::ReclaimRequest AllOpens() const {
    pb::ReclaimRequest r = OpensOf(0, kFiles);
    r.add_open()->set_ino(999999);  // not there
    r.mutable_open(kFiles)->set_count(1);
    r.set_last(true);
    return r;
  }
  std::vector<uint64_t> files_;
  SessionPtr other_;
};

TEST_F(ColdReclaimTest, ThousandsOfInodesAreReadOffTheLoop) {
  MakeFiles();
  const TestCallPtr call = Tell(AllOpens());
  EXPECT_FALSE(call->answered);
  ASSERT_EQ(fetches_.size(), 1u);
  EXPECT_LT(fetches_.front().keys.size(), static_cast<size_t>(kFiles)) << "all at once";
  pb::GetattrRequest root;
  root.set_ino(1);
  const TestCallPtr others = Begin<rpc::Getattr>(root, other_);
  ASSERT_TRUE(others->answered);
  Serve();
  ASSERT_TRUE(call->answered && call->status.ok()) << call->status.ToString();
  pb::ReclaimReply reply;
  ASSERT_TRUE(reply.ParseFromString(call->reply));
  ASSERT_EQ(reply.lost_size(), 1);
  EXPECT_EQ(reply.lost(0), 999999u);
  EXPECT_EQ(s_->opens.size(), static_cast<size_t>(kFiles));
  EXPECT_TRUE(s_->reclaimed);
}

TEST_F(ColdReclaimTest, SeveralMessagesKeepTheirOrder) {
  MakeFiles();
  const TestCallPtr first = Tell(OpensOf(0, 100));
  pb::ReclaimRequest nothing;
  nothing.set_last(true);
  const TestCallPtr last = Tell(nothing);
  EXPECT_FALSE(first->answered || last->answered);
  Serve();
  EXPECT_TRUE(first->answered && last->answered);
  EXPECT_EQ(s_->opens.size(), 100u);
  EXPECT_TRUE(s_->reclaimed);
}

TEST_F(ColdReclaimTest, OneWhoseConnectionEndsMeanwhileBeginsAgain) {
  MakeFiles();
  const TestCallPtr call = Tell(AllOpens());
  ASSERT_FALSE(call->answered);
  ServeOne();
  executor_->Disconnected(*s_, 0, s_->lane(0).connection_number);
  ASSERT_EQ(Attach(s_), s_);
  Serve();
  EXPECT_FALSE(call->answered);
  const TestCallPtr again = Tell(AllOpens());
  Serve();
  ASSERT_TRUE(again->answered && again->status.ok());
  EXPECT_EQ(s_->opens.size(), static_cast<size_t>(kFiles));
  for (const auto& [ino, open] : s_->opens) EXPECT_EQ(open.count, 1u);
}

TEST_F(ColdReclaimTest, AVolumeThatIsClosedMeanwhile) {
  MakeFiles();
  const TestCallPtr call = Tell(AllOpens());
  ASSERT_FALSE(call->answered);
  executor_->CloseVolume(VolumeId(1), Status(ESHUTDOWN, Code::kStopped, "stopped"));
  for (Fetch& fetch : fetches_) fetch.done();
  fetches_.clear();
  executor_->EndTick();
  EXPECT_TRUE(call->answered);
  EXPECT_EQ(call->status.code(), Code::kStopped);
}

}  // namespace
}  // namespace kfs::meta
