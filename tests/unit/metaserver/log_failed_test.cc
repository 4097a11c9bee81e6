// A volume whose log cannot be written or synced: it is closed, in words, as long as the process lives, since
// nobody knows what the disk has; nothing was promised that is not there, and nothing else stops.
#include "tests/unit/metaserver/faulty_disk.h"
#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class LogFailedTest : public VolumeHostTest {
 protected:
  void SetUp() override {
    env_ = both_.get();
    VolumeHostTest::SetUp();
    *conf_.add_volume() = data();
    conf_.mutable_volume(1)->set_id(4);
    conf_.mutable_volume(1)->set_name("more");
  }
  void TearDown() override {
    Heal();
    VolumeHostTest::TearDown();
  }
  void Heal() { disk_->writes_fail = disk_->syncs_fail = false; }
  Status Fsync() {
    pb::FsyncRequest r;
    r.set_ino(1);
    auto call = std::make_shared<TestCall>(Op::kFsync, r.SerializeAsString());
    call->session = session_;
    executor_->Execute(call);
    executor_->EndTick();
    executor_->EndTick();  // the answer comes after the sync
    EXPECT_TRUE(call->answered);
    return call->status;
  }
  static void ExpectTold(const Status& s) {
    EXPECT_EQ(s.code(), Code::kTryAgain) << s.ToString();  // mounts wait, nothing fails
    EXPECT_THAT(s.message(), AllOf(HasSubstr("/volumes/3"), HasSubstr("restart kfs-metaserver")));
  }
  void ExpectClosed() {
    EXPECT_FALSE(Serves());
    ExpectTold(host_->Trouble(VolumeId(3)));
    ExpectTold(Where());
    pb::OpenSessionReply none;
    ExpectTold(Open(&none));
    EXPECT_NE(executor_->FindVolume("more"), nullptr);
    EXPECT_TRUE(host_->Trouble(VolumeId(4)).ok());
  }
  // It has just been found; then whatever may be done to the volume, but for a new process.
  void ExpectClosedForGood() {
    EXPECT_EQ(std::exchange(damaged_, {}), std::set<VolumeId>{VolumeId(3)});
    host_->CloseDamaged(VolumeId(3));
    ExpectTold(Mkdir("later"));  // on the connection that is still there
    ExpectClosed();
    Heal();
    conf_.set_generation(6);
    EXPECT_TRUE(Apply().ok());
    ExpectClosed();
    data().set_started(false);
    (void)Apply();
    ExpectTold(HoldStopped().status());
    data().set_started(true);
    (void)Apply();
    ExpectClosed();
  }

  const std::shared_ptr<FaultyDisk> disk_ = std::make_shared<FaultyDisk>(dir_ + "/volumes/3/");
  const std::unique_ptr<rocksdb::Env> both_ = rocksdb::NewCompositeEnv(disk_);
};

TEST_F(LogFailedTest, AWriteThatFailsClosesTheVolumeForGood) {
  Used();
  disk_->writes_fail = true;
  ExpectTold(Mkdir("lost"));
  ExpectTold(Mkdir("too"));
  ExpectClosedForGood();
  Restart();
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(LogFailedTest, ASyncThatFailsDoesTheSame) {
  Used();
  disk_->syncs_fail = true;
  ExpectTold(Fsync());
  disk_->syncs_fail = false;
  ExpectTold(Fsync());  // a second one would say that all is well
  ExpectClosedForGood();
  Restart();
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(LogFailedTest, OneThatFailsWhileItIsOpenedIsNotTriedAgain) {
  disk_->writes_fail = true;
  (void)Apply();
  Heal();
  EXPECT_FALSE(Serves());
  (void)Apply();
  ExpectClosed();
  Restart();
  EXPECT_TRUE(Apply().ok());
  EXPECT_TRUE(Serves()) << Where().ToString();
}

}  // namespace
}  // namespace kfs::meta
