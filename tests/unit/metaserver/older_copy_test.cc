// An older copy of a volume's database is known by what others have heard, and is not served; whatever is
// legal (a loss of power, a restart, a restore, a number that is used again) does not look like one.
#include <filesystem>

#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class OlderCopyTest : public VolumeHostTest {
 protected:
  // As its metaserver announces it.
  pb::SyncPoint Point() {
    const Volume& v = *executor_->FindVolume("data");
    return points_.Signed(v.id(), v.line, v.store.db().synced_at(), v.incarnation());
  }
  void Make(const std::string& name) {
    pb::OpenSessionReply session;
    ASSERT_TRUE(Open(&session).ok());
    ASSERT_TRUE(Mkdir(name).ok());
    ASSERT_TRUE(executor_->FindVolume("data")->store.db().Sync().ok());
  }
  void Copy(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(to);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }
  void ExpectOlder(const Status& s) {
    EXPECT_EQ(s.err(), EAGAIN);
    EXPECT_EQ(s.code(), Code::kTryAgain);
    EXPECT_THAT(s.message(), HasSubstr("older copy"));
    EXPECT_THAT(s.message(), HasSubstr("kfs volume restore"));
  }
  // The volume with one directory, a copy of it, then a second directory; the volume is closed.
  void MakeCopy() {
    Used();
    End();
    Copy(database_, copy_);
    Begin();
    ASSERT_TRUE(Apply().ok());
    Make("later");
    point_ = Point();
    End();
  }

  const std::string database_ = dir_ + "/volumes/3", copy_ = dir_ + "-copy", right_ = dir_ + "-right";
  pb::SyncPoint point_;
  void TearDown() override {
    VolumeHostTest::TearDown();
    std::filesystem::remove_all(copy_);
    std::filesystem::remove_all(right_);
  }
};

TEST_F(OlderCopyTest, IsNotOpenedWhenALaterStateHasBeenHeardOf) {
  MakeCopy();
  Copy(database_, right_);
  Copy(copy_, database_);
  Begin();
  ASSERT_TRUE(points_.Heard(point_));
  EXPECT_TRUE(Apply().ok());  // the metaserver runs, for its other volumes
  EXPECT_FALSE(Serves());
  ExpectOlder(host_->Trouble(VolumeId(3)));
  ExpectOlder(Where());
  pb::OpenSessionReply none;
  ExpectOlder(Open(&none));
  // The right one is taken without a word.
  End();
  Copy(right_, database_);
  Begin();
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(OlderCopyTest, IsClosedWhenALaterStateIsHeardOfWhileItIsServed) {
  MakeCopy();
  Copy(copy_, database_);
  Begin();
  ASSERT_TRUE(Apply().ok());
  ASSERT_TRUE(Serves());
  // It has overtaken the right one in numbers, and is behind it all the same.
  for (int i = 0; i < 20; ++i) Make("astray" + std::to_string(i));
  ASSERT_GT(Point().sequence(), point_.sequence());
  ASSERT_TRUE(points_.Heard(point_));
  host_->CloseOlder(VolumeId(3));
  EXPECT_FALSE(Serves());
  ExpectOlder(Where());
  ExpectOlder(Mkdir("x"));
}

TEST_F(OlderCopyTest, WhatItSaysItselfDoesNotCloseIt) {
  Used();
  for (int i = 0; i < 3; ++i) {
    Make("more" + std::to_string(i));
    points_.Heard(Point());
    host_->CloseOlder(VolumeId(3));
    EXPECT_TRUE(Serves());
  }
  const pb::SyncPoint last = Point();
  Restart();
  points_.Heard(last);
  ASSERT_TRUE(Apply().ok());
  host_->CloseOlder(VolumeId(3));
  ExpectKept();
}

TEST_F(OlderCopyTest, NobodyElseCanMakeAPoint) {
  Used();
  pb::SyncPoint forged = Point();
  forged.set_sequence(uint64_t{1} << 60);
  EXPECT_FALSE(points_.Heard(forged));
  forged.set_mac(std::string(32, 'x'));
  EXPECT_FALSE(points_.Heard(forged));
  forged = SyncPoints("another key").Signed(VolumeId(3), 9, 1, 1);
  EXPECT_FALSE(points_.Heard(forged));
  host_->CloseOlder(VolumeId(3));
  EXPECT_TRUE(Serves());
  EXPECT_EQ(points_.Latest(VolumeId(3)), nullptr);
}

TEST_F(OlderCopyTest, InAnotherClusterNothingIsKnown) {
  SyncPoints points("one cluster");
  const pb::SyncPoint point = points.Signed(VolumeId(3), 1, 100, 7);
  ASSERT_TRUE(points.Heard(point));
  points.BeginAnew("another");
  EXPECT_EQ(points.Latest(VolumeId(3)), nullptr);
  EXPECT_FALSE(points.Heard(point));
}

TEST_F(OlderCopyTest, OnlyWhatWasSyncedIsAnnounced) {
  Used();
  Db& db = executor_->FindVolume("data")->store.db();
  ASSERT_TRUE(db.Sync().ok());
  const uint64_t synced = Point().sequence();
  ASSERT_GT(synced, 0u);
  ASSERT_TRUE(Mkdir("unsynced").ok());
  EXPECT_EQ(Point().sequence(), synced);
  ASSERT_TRUE(db.Sync().ok());
  EXPECT_GT(Point().sequence(), synced);
}

TEST_F(OlderCopyTest, AVolumeThatIsMadeAnewUnderANumberBeginsALineOfItsOwn) {
  const pb::SyncPoint lost = points_.Signed(VolumeId(3), 77, 100000, 1);
  ASSERT_TRUE(points_.Heard(lost));
  ASSERT_TRUE(Apply().ok());
  ASSERT_TRUE(Serves()) << Where().ToString();
  EXPECT_GT(Point().line(), 77u);
  Restart();
  points_.Heard(lost);
  ASSERT_TRUE(Apply().ok());
  EXPECT_TRUE(Serves()) << Where().ToString();
}

TEST_F(OlderCopyTest, AfterItWasStoppedItIsLookedAtAgain) {
  MakeCopy();
  Copy(database_, right_);
  Copy(copy_, database_);
  Begin();
  ASSERT_TRUE(points_.Heard(point_));
  EXPECT_TRUE(Apply().ok());
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  data().set_started(true);
  EXPECT_TRUE(Apply().ok());
  ExpectOlder(host_->Trouble(VolumeId(3)));  // still
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  Copy(right_, database_);
  data().set_started(true);
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

}  // namespace
}  // namespace kfs::meta
