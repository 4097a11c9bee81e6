// Volumes that a thread opens, and what the configuration may say meanwhile.
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
    host_->OpenOnThread([this](std::function<void()> fn) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(fn));
      came_.notify_all();
    });
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
  host_->WhenOpened([&opened] { opened = true; });
  EXPECT_TRUE(opened) << "nothing is being opened";
  opened = false;
  EXPECT_TRUE(Apply().ok());
  host_->WhenOpened([&opened] { opened = true; });
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
  EXPECT_EQ(host_->HoldStopped(conf_, data(), 1, {}).status().err(), EBUSY);
  Hear();
  EXPECT_FALSE(Serves());
  EXPECT_EQ(Where().code(), Code::kStopped);
  EXPECT_TRUE(host_->HoldStopped(conf_, data(), 1, {}).ok());
  host_->Unhold(VolumeId(3));
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
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(OpeningTest, OneThatIsMadeAndDeletedMeanwhileLeavesNothing) {
  EXPECT_TRUE(Apply().ok());
  conf_.clear_volume();
  Change();
  EXPECT_TRUE(Apply().ok());
  Hear();
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
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
