// Volumes that threads open, close and remove, and what the configuration may say meanwhile.
#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class OpeningTest : public VolumeHostTest {
 protected:
  void SetUp() override {
    VolumeHostTest::SetUp();
    OnThread();
  }
  void OnThread() {
    host_->UseThreads(
        [this](std::function<void()> fn) {
          std::lock_guard lock(mutex_);
          posted_.push_back(std::move(fn));
          came_.notify_all();
        },
        threads_.StartWorkers("test", 2));
  }
  // The thread has done what it was to do, and the loop hears of it.
  void Hear() {
    std::function<void()> fn;
    {
      std::unique_lock lock(mutex_);
      ASSERT_TRUE(came_.wait_for(lock, std::chrono::seconds(60), [this] { return !posted_.empty(); }));
      fn = std::move(posted_.front());
      posted_.pop_front();
    }
    fn();
  }
  void Change() { conf_.set_generation(conf_.generation() + 1); }
  // A volume with a directory in it, closed.
  void MakeVolume() {
    ASSERT_TRUE(Apply().ok());
    Hear();
    pb::OpenSessionReply session;
    ASSERT_TRUE(Open(&session).ok());
    ASSERT_TRUE(Mkdir("kept").ok());
    Restart();
    OnThread();
  }
};

TEST_F(OpeningTest, ApplyDoesNotWaitForIt) {
  MakeVolume();
  bool opened = false;
  host_->WhenSettled([&opened] { opened = true; });
  EXPECT_TRUE(opened) << "nothing is being opened";
  opened = false;
  EXPECT_TRUE(Apply().ok());
  host_->WhenSettled([&opened] { opened = true; });
  EXPECT_FALSE(Serves() || opened);
  EXPECT_TRUE(host_->Trouble(VolumeId(3)).ok());
  EXPECT_EQ(Where().code(), Code::kTryAgain);
  EXPECT_THAT(Where().message(), HasSubstr("being opened"));
  pb::OpenSessionReply none;
  EXPECT_EQ(Open(&none).code(), Code::kTryAgain);
  EXPECT_TRUE(Apply().ok());  // once is enough
  clock_.Advance(std::chrono::seconds(7));
  EXPECT_THAT(host_->Trouble(VolumeId(3)).message(), HasSubstr("for 7 s"));
  EXPECT_EQ(Where().code(), Code::kTryAgain);
  Hear();
  ExpectKept();
  EXPECT_TRUE(opened);
  EXPECT_TRUE(posted_.empty());
}

TEST_F(OpeningTest, OneThatIsStoppedMeanwhileIsClosedAndCanBeStarted) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  data().set_started(false);
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_EQ(HoldStopped().status().err(), EBUSY);
  Hear();
  EXPECT_FALSE(Serves());
  EXPECT_EQ(Where().code(), Code::kStopped);
  Hear();  // closed
  data().set_started(true);
  Change();
  EXPECT_TRUE(Apply().ok());
  Hear();
  ExpectKept();
}

TEST_F(OpeningTest, OneThatIsStoppedAndStartedMeanwhileIsServed) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  for (const bool started : {false, true}) {
    data().set_started(started);
    Change();
    EXPECT_TRUE(Apply().ok());
  }
  Hear();
  ExpectKept();
}

TEST_F(OpeningTest, OneThatIsDeletedMeanwhileIsRemoved) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  conf_.clear_volume();
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
  Hear();
  EXPECT_FALSE(Serves());
  Hear();  // closed
  Hear();  // deleted
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(OpeningTest, OneThatIsMadeAndDeletedMeanwhileLeavesNothing) {
  EXPECT_TRUE(Apply().ok());
  conf_.clear_volume();
  Change();
  EXPECT_TRUE(Apply().ok());
  for (int i = 0; i < 3; ++i) Hear();  // opened, closed, deleted
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(OpeningTest, OneThatIsStoppedIsClosedBesideTheOthersAndThenCopied) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  Hear();
  ASSERT_TRUE(Serves());
  data().set_started(false);
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  bool settled = false;
  host_->WhenSettled([&settled] { settled = true; });
  EXPECT_FALSE(settled);
  const Status why(EAGAIN, Code::kTryAgain, "it is being copied");
  Result<std::unique_ptr<Db>> held = Status(EAGAIN, "not yet");
  host_->HoldStopped(conf_, data(), 1, why,
                     [&held](Result<std::unique_ptr<Db>> db) { held = std::move(db); });
  EXPECT_EQ(held.status().message(), "not yet");
  Hear();
  EXPECT_TRUE(settled);
  Hear();
  ASSERT_TRUE(held.ok()) << held.status().ToString();
  EXPECT_TRUE((*held)->Get(DentryKey(Ino(1), "kept")).has_value());
  // Started while it is held, and let go of with its database still open.
  data().set_started(true);
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_EQ(Where().message(), why.message());
  host_->Unhold(VolumeId(3), std::move(*held));
  EXPECT_TRUE(Apply().ok());
  Hear();  // closed
  Hear();  // opened
  ExpectKept();
}

TEST_F(OpeningTest, OneThatIsMadeUnderTheNumberOfADeletedOneWaitsForItsEnd) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  Hear();
  const pb::VolumeConf was = data();
  conf_.clear_volume();
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  *conf_.add_volume() = was;
  data().set_epoch(9);
  Change();
  EXPECT_TRUE(Apply().ok());
  for (int i = 0; i < 3; ++i) Hear();  // closed, deleted, made
  ASSERT_TRUE(Serves()) << Where().ToString();
  EXPECT_FALSE(executor_->FindVolume("data")->store.db().Get(DentryKey(Ino(1), "kept")).has_value());
}

TEST_F(OpeningTest, WhatIsWrongIsToldUntilItIsMended) {
  MakeVolume();
  std::filesystem::rename(host_->Path(VolumeId(3)), dir_ + "/aside");
  EXPECT_TRUE(Apply().ok());
  Hear();
  ExpectRefused(host_->Trouble(VolumeId(3)), "is not in");
  EXPECT_TRUE(posted_.empty()) << "it is not tried again by itself";
  std::filesystem::rename(dir_ + "/aside", host_->Path(VolumeId(3)));
  Change();
  EXPECT_TRUE(Apply().ok());
  EXPECT_THAT(Where().message(), HasSubstr("is not in"));
  Hear();
  ExpectKept();
  EXPECT_TRUE(host_->Trouble(VolumeId(3)).ok());
}

TEST_F(OpeningTest, AMetaserverThatEndsMeanwhileLetsGoOfIt) {
  MakeVolume();
  EXPECT_TRUE(Apply().ok());
  Restart();
  EXPECT_TRUE(Apply().ok());  // at once: nobody else has the database
  ExpectKept();
}

}  // namespace
}  // namespace kfs::meta
