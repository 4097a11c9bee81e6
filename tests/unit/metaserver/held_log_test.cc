// A volume whose log acknowledges later: until it does, nothing that rests on a change is in the database,
// and nobody hears of it, whatever they have asked for and whoever they are.
#include <algorithm>

#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"
#include "tests/unit/metaserver/memory_journal.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

class HeldLogTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    UseLog();
  }
  void UseLog(uint64_t epoch = 1) {
    const Status s = volume().store.db().UseJournal(std::make_unique<MemoryJournal>(log_), LogEpoch(epoch));
    ASSERT_TRUE(s.ok()) << s.ToString();
    volume().store.db().OnLogChange([this] { told_ = true; });
  }
  void Hold() { log_->holds = true; }
  void AcknowledgeTo(LogPosition at) {
    told_ = false;
    log_->Acknowledge(at);
    EXPECT_TRUE(told_);
    executor_->EndTick();
  }
  void Acknowledge() { AcknowledgeTo(log_->last); }
  TestCallPtr BeginMkdir(const std::string& name) {
    pb::MkdirRequest r;
    r.set_parent(1);
    r.set_name(name);
    r.set_mode(0755);
    return Begin<rpc::Mkdir>(r);
  }
  TestCallPtr BeginStat(uint64_t ino) {
    pb::GetattrRequest r;
    r.set_ino(ino);
    return Begin<rpc::Getattr>(r);
  }
  TestCallPtr BeginReaddir() {
    pb::ReaddirRequest r;
    r.set_ino(1);
    r.set_max_bytes(1 << 16);
    return Begin<rpc::Readdir>(r);
  }
  static std::set<std::string> NamesOf(const TestCall& listing) {
    pb::ReaddirReply reply;
    EXPECT_TRUE(reply.ParseFromString(listing.reply));
    std::set<std::string> names;
    for (const auto& e : reply.entry()) names.insert(e.name());
    return names;
  }
  bool InDatabase(const std::string& name) {
    return DbView(volume().store.db()).Get(DentryKey(Ino(1), name)).has_value();
  }

  const std::shared_ptr<MemoryLog> log_ = std::make_shared<MemoryLog>();
  bool told_ = false;
};

TEST_F(HeldLogTest, NeitherAnswersNorRefusalsNorReadsLeaveBefore) {
  Hold();
  const TestCallPtr made = BeginMkdir("d"), again = BeginMkdir("d"), stat = BeginStat(1),
                    listing = BeginReaddir();
  const std::vector<TestCallPtr> all{made, again, stat, listing};
  for (int i = 0; i < 3; ++i) {
    executor_->OnTimer();
    executor_->EndTick();
    for (const TestCallPtr& call : all) EXPECT_FALSE(call->answered) << OpName(call->op());
    EXPECT_FALSE(InDatabase("d"));
  }
  Acknowledge();
  for (const TestCallPtr& call : all) ASSERT_TRUE(call->answered) << OpName(call->op());
  EXPECT_TRUE(made->status.ok() && stat->status.ok());
  EXPECT_EQ(again->status.err(), EEXIST);
  EXPECT_TRUE(NamesOf(*listing).contains("d"));
  EXPECT_TRUE(InDatabase("d"));
  EXPECT_EQ(Stat(1).nlink(), 3u);  // and nothing waits any more
}

TEST_F(HeldLogTest, EachWaitsForItsOwnPosition) {
  Hold();
  std::vector<TestCallPtr> made, listed;
  std::vector<LogPosition> at;
  for (const char* name : {"a", "b", "c"}) {
    made.push_back(BeginMkdir(name));
    listed.push_back(BeginReaddir());
    at.push_back(log_->last);
  }
  for (size_t done = 0; done < at.size(); ++done) {
    AcknowledgeTo(at[done]);
    for (size_t i = 0; i < at.size(); ++i) {
      EXPECT_EQ(made[i]->answered, i <= done) << i << " of " << done;
      EXPECT_EQ(listed[i]->answered, i <= done) << i << " of " << done;
    }
    EXPECT_EQ(InDatabase("b"), done >= 1);
  }
  EXPECT_FALSE(NamesOf(*listed[0]).contains("b"));
  EXPECT_TRUE(NamesOf(*listed[1]).contains("a") && NamesOf(*listed[1]).contains("b"));
}

TEST_F(HeldLogTest, NoChunkserverHearsOfAChangeBefore) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 100), 0);
  ASSERT_EQ(Write(f, kChunk, 100), 0);
  Hold();
  mutated_.clear();
  auto_ack_ = false;
  pb::SetattrRequest cut = SetattrOf(f, pb::SetattrRequest::SIZE);
  cut.set_size(10);
  const TestCallPtr call = Begin<rpc::Setattr>(cut);
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(std::chrono::seconds(1));
    executor_->OnTimer();
    executor_->EndTick();
    EXPECT_TRUE(mutated_.empty());
    EXPECT_TRUE(deleted_.empty());
    EXPECT_FALSE(call->answered);
  }
  Acknowledge();
  EXPECT_EQ(mutated_.size(), 1u);
  for (int i = 0; i < 3 && deleted_.empty(); ++i) {
    executor_->OnTimer();
    executor_->EndTick();
    Acknowledge();
  }
  EXPECT_EQ(deleted_.size(), 1u);
  EXPECT_TRUE(call->answered);
}

TEST_F(HeldLogTest, NoTicketIsEndedBefore) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ(Write(f, 0, 100), 0);  // for which the session has a ticket
  Hold();
  fenced_.clear();
  auto_ack_fences_ = false;
  auto closes = std::make_shared<TestCall>(Op::kCloseSession, "");
  closes->session = s_;
  executor_->CloseSession(closes);
  executor_->EndTick();
  EXPECT_EQ(s_->volume, nullptr);
  EXPECT_TRUE(fenced_.empty());
  Acknowledge();
  EXPECT_EQ(fenced_.size(), 1u);
}

// Its other lanes have not been closed yet, because the log has not said that it has expired; what comes on
// them is of before.
TEST_F(HeldLogTest, WhoeverBringsAnExpiredSessionBackEndsItsOtherLanes) {
  std::set<int> closed;
  env_.close_connection = [&](Session&, uint8_t lane, const Status&) { closed.insert(lane); };
  lane_ = 3;
  ASSERT_EQ(Attach(s_), s_);
  Hold();
  clock_.Advance(std::chrono::seconds(31));
  executor_->OnTimer();
  executor_->EndTick();
  ASSERT_NE(s_->expired, 0);
  // It might be forgotten yet that it has expired.
  EXPECT_EQ(Attach(s_), nullptr);
  Acknowledge();
  executor_->EndTick();
  EXPECT_EQ(closed, (std::set<int>{0, 3}));
  ASSERT_EQ(Attach(s_), s_);
  EXPECT_EQ(s_->expired, 0);
  lane_ = 0;
  BeginMkdir("of before");
  lane_ = 3;
  BeginMkdir("new");
  Acknowledge();
  EXPECT_TRUE(InDatabase("new"));
  EXPECT_FALSE(InDatabase("of before"));
}

TEST_F(HeldLogTest, NoLockAndNoSessionIsGrantedBefore) {
  const uint64_t f = Create(1, "f").attr().ino();
  ASSERT_EQ((Run<rpc::SetLock>(LockOf(f, 1, pb::LockRange::WRITE)), err()), 0);
  const TestCallPtr waits = Begin<rpc::SetLock>(LockOf(f, 2, pb::LockRange::WRITE, /*wait=*/true));
  Hold();
  BeginMkdir("d");
  Begin<rpc::SetLock>(LockOf(f, 1, pb::LockRange::UNLOCK));
  auto opens = std::make_shared<TestCall>(Op::kOpenSession, "");
  pb::OpenSessionRequest request;
  request.set_volume("vol");
  const SessionPtr opened = executor_->OpenSession(opens, request, "host", "client");
  executor_->EndTick();
  EXPECT_FALSE(waits->answered);
  EXPECT_FALSE(opens->answered);
  Acknowledge();
  EXPECT_TRUE(waits->answered && waits->status.ok());
  EXPECT_TRUE(opens->answered && opens->status.ok());
  auto closes = std::make_shared<TestCall>(Op::kCloseSession, "");
  closes->session = opened;
  executor_->CloseSession(closes);
  executor_->EndTick();
  EXPECT_FALSE(closes->answered);
  Acknowledge();
  EXPECT_TRUE(closes->answered && closes->status.ok());
}

TEST_F(HeldLogTest, WhatIsNotAcknowledgedIsAnsweredWithTheReasonWhenTheLogFails) {
  ASSERT_NE(Mkdir(1, "kept"), 0u);
  Hold();
  const TestCallPtr made = BeginMkdir("d"), stat = BeginStat(1);
  log_->Fail(Status(EIO, "another has taken over"));
  executor_->EndTick();
  for (const TestCallPtr& call : {made, stat, BeginMkdir("e")}) {
    ASSERT_TRUE(call->answered);
    EXPECT_EQ(call->status.code(), Code::kTryAgain) << call->status.ToString();
    EXPECT_NE(call->status.message().find("another has taken over"), std::string::npos);
  }
  EXPECT_TRUE(volume().store.db().log_failed());
  EXPECT_TRUE(InDatabase("kept"));
  EXPECT_FALSE(InDatabase("d"));
}

TEST_F(HeldLogTest, WhatWaitsWhenTheVolumeIsClosedIsToldWhy) {
  Hold();
  const TestCallPtr made = BeginMkdir("d");
  executor_->CloseVolume(VolumeId(1), Status(ESHUTDOWN, Code::kStopped, "stopped"));
  ASSERT_TRUE(made->answered);
  EXPECT_EQ(made->status.code(), Code::kStopped);
}

TEST_F(HeldLogTest, NoMoreIsChangedWhileTheLogIsFarBehind) {
  Hold();
  const std::string text(60000, 'x');
  TestCallPtr last;
  for (int i = 0; i < 1000 && (last == nullptr || !last->answered); ++i) {
    pb::SetxattrRequest r;
    r.set_ino(1);
    r.set_name("user.x");
    r.set_value(text);
    last = Begin<rpc::Setxattr>(r);
    // What refuses it rests on nothing, but leaves behind what was before.
    if (volume().store.db().pending_bytes() > (16u << 20)) break;
  }
  EXPECT_GT(volume().store.db().pending_bytes(), 16u << 20);
  const LogPosition before = log_->last;
  const TestCallPtr refused = BeginMkdir("d");
  EXPECT_EQ(log_->last, before);
  Acknowledge();
  EXPECT_EQ(volume().store.db().pending_bytes(), 0u);
  ASSERT_TRUE(refused->answered);
  EXPECT_EQ(refused->status.code(), Code::kTryAgain);
  ASSERT_TRUE(last->answered && last->status.ok());
}

// The owner dies after the acknowledgement and before it has heard of it; the next one has it from the log.
TEST_F(HeldLogTest, WhatWasAcknowledgedIsBroughtInByTheNextOwner) {
  ASSERT_NE(Mkdir(1, "first"), 0u);
  Hold();
  BeginMkdir("acknowledged");
  const LogPosition at = log_->last;
  BeginMkdir("not");
  log_->Acknowledge(at);
  EXPECT_FALSE(InDatabase("acknowledged"));
  Kill();
  log_->Die();
  log_->holds = false;
  const std::string path = dir_ + "/vol";
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(path, "volume", memory);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    EXPECT_FALSE((*db)->Get(DentryKey(Ino(1), "acknowledged")));
    ASSERT_TRUE((*db)->UseJournal(std::make_unique<MemoryJournal>(log_), LogEpoch(2)).ok());
    EXPECT_TRUE((*db)->Get(DentryKey(Ino(1), "acknowledged")));
    EXPECT_TRUE((*db)->Get(DentryKey(Ino(1), "first")));
    EXPECT_FALSE((*db)->Get(DentryKey(Ino(1), "not")));
    EXPECT_TRUE((*db)->settled());
  }
  Start();
  EXPECT_EQ(volume().store.db().Get(DentryKey(Ino(1), "acknowledged")).has_value(), true);
}

}  // namespace
}  // namespace kfs::meta
