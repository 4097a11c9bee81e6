// Which mounts, servers and key `kfs doctor` takes, by what it was given and by what is mounted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/doctor/gather.h"
#include "cli/doctor/wanted.h"
#include "doctor_machine.h"

namespace kfs::cli::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DoctorWantedTest : public testing::Test {
 protected:
  DoctorWantedTest() {
    for (const char* name : {"KFS_METASERVER", "KFS_SECRET_FILE", "KFS_TLS"}) unsetenv(name);
    mounts_ = {Mount("/mnt/a", "m1:7400:/a", "0"), Mount("/mnt/b", "m2,m3:7500:/b/dir", "0")};
  }
  ~DoctorWantedTest() override {
    for (const char* name : {"KFS_METASERVER", "KFS_SECRET_FILE", "KFS_TLS"}) unsetenv(name);
  }
  static LocalMount Mount(const std::string& where, const std::string& source, const std::string& user) {
    return {.mountpoint = where,
            .source = source,
            .options = "rw,relatime,hard,secretfile=/keys" + where + ",tls=accept,socketdir=/run/own",
            .told = {},
            .shown = "rw,user_id=" + user + ",group_id=0",
            .device = "0:1"};
  }
  // REQUIRES: it is understood.
  Wanted Want(const std::string& what) {
    auto wanted = FindWanted(given_, what, &mounts_);
    EXPECT_TRUE(wanted.ok()) << wanted.status().ToString();
    return wanted.ok() ? *wanted : Wanted{.options = {}, .volume = {}};
  }

  GlobalOptions given_;
  std::vector<LocalMount> mounts_;
};

TEST_F(DoctorWantedTest, AMountSaysItsServersAndItsKey) {
  const Wanted w = Want("/mnt/b/");
  EXPECT_THAT(w.options.metaservers, ElementsAre("m2:7400", "m3:7500"));
  EXPECT_EQ(w.volume, "b");
  EXPECT_EQ(w.options.secret_file, "/keys/mnt/b");
  EXPECT_EQ(w.options.tls, "accept");
  EXPECT_EQ(w.socket_dir, "/run/own");
  ASSERT_EQ(mounts_.size(), 1u);
  EXPECT_EQ(mounts_[0].mountpoint, "/mnt/b");
}

TEST_F(DoctorWantedTest, WhatIsSaidCountsMoreThanTheMount) {
  given_.secret_file = "/my/key";
  given_.tls = "required";
  given_.metaservers = {"m9:7400"};
  Wanted w = Want("/mnt/a");
  EXPECT_EQ(w.options.secret_file, "/my/key");
  EXPECT_EQ(w.options.tls, "required");
  EXPECT_THAT(w.options.metaservers, ElementsAre("m9:7400"));
  given_ = {};
  setenv("KFS_SECRET_FILE", "/env/key", 1);
  EXPECT_EQ(Want("/mnt/a").options.secret_file, "/env/key");
}

TEST_F(DoctorWantedTest, NoFileIsReadBecauseOfAnotherUsersMount) {
  mounts_ = {Mount("/mnt/a", "m1:/a", "4242")};
  const Wanted w = Want("/mnt/a");
  EXPECT_EQ(w.options.secret_file, "/etc/kfs/secret");
  EXPECT_EQ(w.options.tls, "required");
  EXPECT_EQ(w.socket_dir, kSocketDir);
  mounts_[0].shown = "rw";  // whose it is is not said
  EXPECT_EQ(Want("/mnt/a").options.secret_file, "/etc/kfs/secret");
}

TEST_F(DoctorWantedTest, WithoutAnArgumentAMountSaysWhichClusterWhereNobodyElseDoes) {
  Wanted w = Want("");
  EXPECT_EQ(mounts_.size(), 2u) << "all are looked at";
  EXPECT_THAT(w.options.metaservers, ElementsAre("m1:7400"));
  EXPECT_EQ(w.volume, "a");
  setenv("KFS_METASERVER", "m8:7400", 1);
  w = Want("");
  EXPECT_THAT(w.options.metaservers, ElementsAre("m8:7400"));
  EXPECT_EQ(w.volume, "");
  unsetenv("KFS_METASERVER");
  mounts_ = {Mount("/mnt/a", "m1:/a", "4242"), Mount("/mnt/b", "no source", "0")};
  EXPECT_THAT(Want("").options.metaservers, ElementsAre("127.0.0.1:7400"));
}

TEST_F(DoctorWantedTest, AVolumeThatNeedNotBeMounted) {
  const Wanted w = Want("m5:/data/dir");
  EXPECT_THAT(w.options.metaservers, ElementsAre("m5:7400"));
  EXPECT_EQ(w.volume, "data");
  EXPECT_EQ(w.options.secret_file, "/etc/kfs/secret");
  EXPECT_TRUE(mounts_.empty()) << "none of them is it";
}

TEST_F(DoctorWantedTest, TheLastOneMountedThereIsSeen) {
  mounts_ = {Mount("/mnt/a", "m1:/a", "0"), Mount("/mnt/a", "m2:/b", "0")};
  EXPECT_EQ(Want("/mnt/a").volume, "b");
  ASSERT_EQ(mounts_.size(), 1u);
  EXPECT_EQ(mounts_[0].source, "m2:/b");
}

TEST_F(DoctorWantedTest, WhatIsNotUnderstoodOrNotThere) {
  EXPECT_EQ(FindWanted(given_, "/mnt/none", &mounts_).status().err(), ENOENT);
  mounts_ = {Mount("/mnt/a", "what is this", "0")};
  EXPECT_EQ(FindWanted(given_, "/mnt/a", &mounts_).status().err(), EINVAL);
  mounts_.clear();
  EXPECT_EQ(FindWanted(given_, "m1:/\xff", &mounts_).status().err(), EINVAL);
  given_.metaservers = {"m1:99999"};
  EXPECT_FALSE(FindWanted(given_, "", &mounts_).ok());
}

class DoctorGatherTest : public DoctorMachine {};

TEST_F(DoctorGatherTest, MountsAreThoseOfTheMachinesFile) {
  GlobalOptions given;
  given.metaservers = {"unix:" + root_.File("nobody")};  // refuses at once
  given.secret_file = root_.File("no key");
  Put("/proc/self/mountinfo", "31 1 0:52 / " + root_.path() +
                                  " rw,relatime - fuse.kfs m1:/data rw,user_id=0,group_id=0,max_read=4096\n" +
                                  "32 1 0:53 / /elsewhere rw - ext4 /dev/sda rw\nnonsense\n");
  const auto here = Gather(given, root_.path(), root_.path());
  ASSERT_TRUE(here.ok()) << here.status().ToString();
  ASSERT_EQ(here->mounts.size(), 1u);
  EXPECT_EQ(here->mounts[0].device, "0:52");
  EXPECT_FALSE(here->mounts[0].told.ok()) << "no mount of ours answers there";
  EXPECT_THAT(here->mounts[0].shown, HasSubstr("max_read=4096"));
  EXPECT_FALSE(here->asked.key.ok());
  Remove("/proc/self/mountinfo");
  EXPECT_EQ(Gather(given, root_.path(), root_.path()).status().err(), ENOENT);
  const auto unknown = Gather(given, "", root_.path());
  ASSERT_TRUE(unknown.ok());
  EXPECT_FALSE(unknown->mounts_known.ok());
}

}  // namespace
}  // namespace kfs::cli::doctor
