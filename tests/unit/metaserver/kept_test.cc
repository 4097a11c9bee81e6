// What many sessions together make the metaserver keep is bounded: stored answers that nobody acknowledges,
// open files that nobody closes. What is there stays, and who needs little is served.
#include "meta_fixture.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

class KeptTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    for (int i = 0; i < 20; ++i) sessions_.push_back(OpenSession());
  }
  TestCallPtr MkdirAs(const SessionPtr& s, uint64_t acked = 0) {
    pb::MkdirRequest r;
    r.set_parent(1);
    r.set_name(std::to_string(++names_));
    r.set_mode(0755);
    r.mutable_ctx()->set_acked(acked);
    return Begin<rpc::Mkdir>(r, s);
  }
  size_t StoredOnDisk() {
    size_t n = 0;
    volume().store.Scan("A", "", [&](std::string_view key, std::string_view) {
      if (KeyU64(key, 9) != 0) ++n;
      return true;
    });
    return n;
  }
  void Close(const SessionPtr& s) {
    auto call = std::make_shared<TestCall>(Op::kCloseSession, "");
    call->session = s;
    executor_->CloseSession(call);
    for (int i = 0; i < 100 && !call->answered; ++i) executor_->EndTick();
  }

  std::vector<SessionPtr> sessions_;
  int names_ = 0;
};

TEST_F(KeptTest, StoredAnswersOfAllSessionsAreBoundedAndNoneIsLost) {
  volume().stored_replies.bytes_max = 50000;
  volume().stored_replies.always = 2000;
  std::vector<std::pair<SessionPtr, uint64_t>> given;
  int refused = 0;
  for (int round = 0; round < 40; ++round) {
    for (const SessionPtr& s : sessions_) {
      const TestCallPtr call = MkdirAs(s);
      if (call->status.ok()) {
        given.emplace_back(s, op_ids_);
        continue;
      }
      ++refused;
      EXPECT_EQ(call->status.code(), Code::kTryAgain) << call->status.ToString();
    }
  }
  EXPECT_GT(refused, 0);
  // No more than the bound, and the little that each has.
  EXPECT_LE(volume().stored_replies.bytes(), 50000u + 20 * 2500u);
  EXPECT_EQ(StoredOnDisk(), given.size());
  for (const auto& [s, id] : given) EXPECT_TRUE(s->replies.contains(id));
  // One that came before needs little; who acknowledges goes on, too.
  EXPECT_TRUE(MkdirAs(s_)->status.ok());
  const SessionPtr greedy = sessions_[0];
  ASSERT_FALSE(MkdirAs(greedy)->status.ok());
  EXPECT_TRUE(MkdirAs(greedy, /*acked=*/op_ids_)->status.ok());
  EXPECT_LE(greedy->replies.size(), 2u);
}

TEST_F(KeptTest, StoredAnswersAreCountedThroughARestartAndUntilTheirSessionsAreGone) {
  for (const SessionPtr& s : sessions_) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(MkdirAs(s)->status.ok());
  }
  const size_t bytes = volume().stored_replies.bytes();
  EXPECT_GT(bytes, 100 * StoredReplies::kWeight);
  Restart();
  EXPECT_EQ(volume().stored_replies.bytes(), bytes);
  std::vector<SessionPtr> all;
  for (const auto& [id, s] : volume().sessions) all.push_back(s);
  for (const SessionPtr& s : all) Close(s);
  EXPECT_EQ(volume().stored_replies.bytes(), 0u);
}

TEST_F(KeptTest, OpenFilesOfAllSessionsAreBounded) {
  std::vector<uint64_t> files;
  for (int i = 0; i < 40; ++i) files.push_back(Mknod(1, "f" + std::to_string(i)));
  volume().open_files.bytes_max = 200 * OpenFiles::kWeight;
  volume().open_files.always = 2 * OpenFiles::kWeight;
  const auto open = [&](const SessionPtr& s, uint64_t ino) {
    pb::OpenRequest r;
    r.set_ino(ino);
    return Begin<rpc::Open>(r, s)->status.err();
  };
  int opened = 0;
  for (const SessionPtr& s : sessions_) {
    for (const uint64_t ino : files) {
      const int err = open(s, ino);
      if (err == 0) {
        ++opened;
      } else {
        EXPECT_EQ(err, ENFILE);
      }
    }
  }
  EXPECT_EQ(opened, 200 + 15 * 2);
  EXPECT_EQ(volume().open_files.bytes(), 230 * OpenFiles::kWeight);
  const SessionPtr greedy = sessions_[0];
  EXPECT_EQ(open(greedy, files[0]), 0);  // has it open already
  // Nothing is made that could not be opened.
  pb::CreateRequest create;
  create.set_parent(1);
  create.set_name("new");
  create.set_flags(O_RDWR);
  EXPECT_EQ(Begin<rpc::Create>(create, greedy)->status.err(), ENFILE);
  EXPECT_EQ(Lookup(1, "new"), 0u);
  EXPECT_TRUE(Begin<rpc::Create>(create, s_)->status.ok());
  for (const SessionPtr& s : sessions_) Close(s);
  Settle();
  EXPECT_EQ(volume().open_files.bytes(), OpenFiles::kWeight);
}

}  // namespace
}  // namespace kfs::meta
