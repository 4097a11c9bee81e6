// What becomes of a volume as the configuration changes, and what must never become an empty one.
#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

TEST_F(VolumeHostTest, AVolumeIsMadeOnceAndOpenedAgain) {
  Used();
  ExpectKept();
  EXPECT_TRUE(Apply().ok());  // nothing to do
  ExpectKept();
  Restart();
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, AnothersVolumeIsNotMade) {
  data().set_owner("m2");
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_EQ(Where().code(), Code::kNotOwner);
  EXPECT_THAT(Where().message(), HasSubstr("served by m2:7400"));
}

TEST_F(VolumeHostTest, AVolumeThatGetsAnotherOwnerIsClosed) {
  const pb::OpenSessionReply session = Used();
  data().set_owner("m2");
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_EQ(Mkdir("x").code(), Code::kNotOwner);  // on the connection that is still there
  pb::OpenSessionReply again;
  EXPECT_EQ(Open(&again, &session).code(), Code::kNotOwner);
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, AStoppedVolumeKeepsItsSessions) {
  const pb::OpenSessionReply session = Used();
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  const Status stopped = Mkdir("x");
  EXPECT_EQ(stopped.code(), Code::kStopped);
  EXPECT_EQ(stopped.err(), ESHUTDOWN);
  EXPECT_THAT(stopped.message(), HasSubstr("kfs volume start data"));
  pb::OpenSessionReply again;
  EXPECT_EQ(Open(&again, &session).code(), Code::kStopped);
  data().set_started(true);
  EXPECT_TRUE(Apply().ok());
  ASSERT_TRUE(Open(&again, &session).ok());
  EXPECT_EQ(again.session(), session.session());
  EXPECT_NE(again.incarnation(), session.incarnation());  // it has to reclaim
  ExpectKept();
}

TEST_F(VolumeHostTest, AStoppedVolumeStaysStoppedThroughARestart) {
  Used();
  data().set_started(false);
  Restart();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, AStoppedVolumeIsHeldWhileItIsCopied) {
  Used();
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  const Status why(EAGAIN, Code::kTryAgain, "it is being copied");
  {
    auto db = HoldStopped(why);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    EXPECT_TRUE((*db)->Get(DentryKey(Ino(1), "kept")).has_value());
    EXPECT_EQ(HoldStopped(why).status().err(), EBUSY);
    data().set_started(true);
    EXPECT_TRUE(Apply().ok());
    EXPECT_FALSE(Serves());
    EXPECT_EQ(Where().message(), why.message());
  }
  host_->Unhold(VolumeId(3));
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, AStoppedVolumeThatIsNotHereIsNotHeld) {
  Used();
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  std::filesystem::remove_all(host_->Path(VolumeId(3)));
  EXPECT_EQ(HoldStopped().status().err(), EIO);
  data().set_started(true);
  EXPECT_FALSE(Apply().ok());
  EXPECT_THAT(Where().message(), HasSubstr("is not in"));
}

TEST_F(VolumeHostTest, WhoWasGivenUpLetsItsVolumesBeCopied) {
  Used();
  const auto left = [this](const std::string& name, const std::string& cluster = "c") {
    Result<std::unique_ptr<Db>> held = Status(EAGAIN, "not yet");
    host_->HoldLeft(name, cluster, Status(EAGAIN, "it is being copied"),
                    [&held](VolumeId, Result<std::unique_ptr<Db>> db) { held = std::move(db); });
    return held;
  };
  conf_.mutable_member()->DeleteSubrange(0, 1);
  data().set_owner("m2");
  data().set_epoch(200);
  data().set_owner_incarnation(0);
  EXPECT_TRUE(Apply().ok());
  ASSERT_FALSE(Serves());
  EXPECT_EQ(left("other").status().err(), ENOENT);
  EXPECT_EQ(left("data", "another cluster").status().err(), EIO);
  for (int again = 0; again < 2; ++again) {
    auto db = left("data", conf_.cluster_id());
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    EXPECT_TRUE((*db)->Get(DentryKey(Ino(1), "kept")).has_value());
    EXPECT_EQ(left("data", conf_.cluster_id()).status().err(), EBUSY);
    host_->Unhold(VolumeId(3), std::move(*db));
  }
  conf_.clear_volume();  // and nobody else knows it any more
  EXPECT_TRUE(Apply().ok());
  {
    auto db = left("data", conf_.cluster_id());
    EXPECT_TRUE(db.ok()) << db.status().ToString();
    if (db.ok()) host_->Unhold(VolumeId(3), std::move(*db));
  }
  const std::string path = host_->Path(VolumeId(3));
  std::filesystem::remove_all(path);
  EXPECT_EQ(left("data", conf_.cluster_id()).status().err(), EIO);
  EXPECT_FALSE(std::filesystem::exists(path)) << "an empty one is made in its place";
}

TEST_F(VolumeHostTest, WhoWasGivenUpKeepsVolumesThatOthersDoNotKnow) {
  Used();
  const pb::ClusterConf before = conf_;
  conf_.mutable_member()->DeleteSubrange(0, 1);
  conf_.clear_volume();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, ADeletedVolumeIsRemoved) {
  Used();
  conf_.clear_volume();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
  EXPECT_EQ(Mkdir("x").code(), Code::kUnknownSession);
  EXPECT_EQ(Where().err(), ENOENT);
}

TEST_F(VolumeHostTest, WhatWasDeletedWhileItWasAwayIsRemovedAtTheNextStart) {
  Used();
  Restart();
  conf_.clear_volume();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(VolumeHostTest, OptionsTakeEffectAtOnceAndGoBackToTheDefault) {
  Used();
  (*data().mutable_option())["read-only"] = "on";
  (*data().mutable_option())["atime"] = "off";
  (*data().mutable_option())["slow-op-ms"] = "7";
  (*data().mutable_option())["session-keep"] = "2h";
  EXPECT_TRUE(Apply().ok());
  const Volume::Settings set = executor_->FindVolume("data")->settings;
  EXPECT_TRUE(set.read_only);
  EXPECT_FALSE(set.atime);
  EXPECT_EQ(set.slow_op, std::chrono::milliseconds(7));
  EXPECT_EQ(set.session_keep, std::chrono::hours(2));
  EXPECT_EQ(Mkdir("x").err(), EROFS);
  data().clear_option();
  EXPECT_TRUE(Apply().ok());
  const Volume::Settings standard = executor_->FindVolume("data")->settings;
  EXPECT_FALSE(standard.read_only);
  EXPECT_TRUE(standard.atime);
  EXPECT_EQ(standard.slow_op, ExecutorOptions().slow_op);
  EXPECT_EQ(standard.session_keep, ExecutorOptions().session_keep);
  EXPECT_TRUE(Mkdir("x").ok());
}

// ---- what must never become an empty volume

TEST_F(VolumeHostTest, AWipedMemberDoesNotServeAnEmptyVolume) {
  Used();
  End();
  std::filesystem::remove_all(dir_);
  std::filesystem::create_directories(dir_ + "/volumes");
  Begin();
  ExpectRefused(Apply(/*incarnation=*/2), "was lost with its metaserver's disk");
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  ExpectRefused(Apply(2), "was lost with its metaserver's disk");  // however often
}

TEST_F(VolumeHostTest, ABackupPutInItsPlaceIsServedAlsoByAWipedMember) {
  Used();
  End();
  std::filesystem::copy(dir_ + "/volumes/3", dir_ + "/backup", std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(dir_ + "/cluster");
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  EXPECT_FALSE(Apply(/*incarnation=*/2).ok());
  std::filesystem::rename(dir_ + "/backup", dir_ + "/volumes/3");
  EXPECT_TRUE(Apply(2).ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, AVolumeWhoseDatabaseIsMissingIsNotMadeAnew) {
  Used();
  End();
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  ExpectRefused(Apply(), "put it back");
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, AVolumePutBackIsServed) {
  Used();
  End();
  std::filesystem::rename(dir_ + "/volumes/3", dir_ + "/aside");
  Begin();
  EXPECT_FALSE(Apply().ok());
  std::filesystem::rename(dir_ + "/aside", dir_ + "/volumes/3");
  EXPECT_TRUE(Apply().ok());
  EXPECT_TRUE(host_->Trouble(VolumeId(3)).ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherTimeIsLeftAlone) {
  Used();
  data().set_epoch(6);  // it has been elsewhere since
  Restart();
  ExpectRefused(Apply(), "of another time");
  data().set_epoch(5);
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherClusterIsLeftAlone) {
  Used();
  conf_.set_cluster_id("elsewhere");
  Restart();
  ExpectRefused(Apply(), "holds another volume");
  conf_.set_cluster_id("here");
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherVolumeIsLeftAlone) {
  Used();
  End();
  std::filesystem::rename(dir_ + "/volumes/3", dir_ + "/volumes/4");
  Begin();
  cluster_->RemoveVolume(VolumeId(3));
  data().set_id(4);
  EXPECT_THAT(Apply().message(), HasSubstr("holds another volume"));
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/volumes/4"));
}

TEST_F(VolumeHostTest, AStampThatCannotBeReadIsNobodys) {
  Used();
  End();
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Put(StampKey(), "\xff\xff");
    (*db)->Commit();
  }
  Begin();
  cluster_->RemoveVolume(VolumeId(3));
  ExpectRefused(Apply(), "holds another volume");
}

TEST_F(VolumeHostTest, AMakingThatWasInterruptedIsBegunAnew) {
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Put(DentryKey(Ino(1), "half"), "made");
    (*db)->Commit();
  }
  EXPECT_TRUE(Apply().ok());
  ASSERT_TRUE(Serves());
  EXPECT_FALSE(executor_->FindVolume("data")->store.db().Get(DentryKey(Ino(1), "half")).has_value());
}

TEST_F(VolumeHostTest, AMakingThatWasInterruptedAfterTheStampGoesOn) {
  Used();
  End();
  Begin();
  cluster_->RemoveVolume(VolumeId(3));  // as if it had not been noted yet
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
  EXPECT_TRUE(cluster_->volumes().contains(VolumeId(3)));
}

TEST_F(VolumeHostTest, ADatabaseWithoutAStampIsNotOverwrittenOnceItWasWhole) {
  Used();
  End();
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Delete(StampKey());
    (*db)->Commit();
  }
  Begin();
  ExpectRefused(Apply(), "holds another volume");
}

TEST_F(VolumeHostTest, OneVolumeInTroubleKeepsNoOtherDown) {
  Used();
  End();
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  *conf_.add_volume() = data();
  conf_.mutable_volume(1)->set_id(4);
  conf_.mutable_volume(1)->set_name("more");
  EXPECT_EQ(Apply().err(), EIO);
  EXPECT_FALSE(Serves());
  EXPECT_NE(executor_->FindVolume("more"), nullptr);
}

}  // namespace
}  // namespace kfs::meta
