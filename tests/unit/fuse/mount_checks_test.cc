#include "fuse/mount_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/credentials.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::fuse {
namespace {

using testing::HasSubstr;

constexpr const char* kInfo =
    "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
    "40 22 0:40 / /mnt/a rw,nosuid shared:5 - fuse.kfs 127.0.0.1:7400:/data rw,user_id=0\n"
    "41 22 0:41 / /mnt/with\\040blank rw - fuse.kfs h:/v rw\n"
    "42 22 0:42 / /mnt/other rw - tmpfs tmpfs rw\n";

TEST(KfsMountAt, FindsOnlyOurMounts) {
  EXPECT_EQ(KfsMountAt(kInfo, "/mnt/a"), "127.0.0.1:7400:/data");
  EXPECT_EQ(KfsMountAt(kInfo, "/mnt/with blank"), "h:/v");
  EXPECT_EQ(KfsMountAt(kInfo, "/mnt/other"), "");
  EXPECT_EQ(KfsMountAt(kInfo, "/mnt"), "");
}

TEST(CheckMountPoint, SaysWhatIsWrong) {
  const TempDir temp;
  const std::string dir = temp.path();
  auto ok = CheckMountPoint(dir + "/./");
  ASSERT_TRUE(ok.ok());
  EXPECT_EQ(*ok, dir);

  auto missing = CheckMountPoint(dir + "/nothing");
  EXPECT_EQ(missing.status().err(), ENOENT);
  EXPECT_THAT(missing.status().message(), HasSubstr("mkdir -p " + dir + "/nothing"));

  std::ofstream(dir + "/file") << "x";
  auto file = CheckMountPoint(dir + "/file");
  EXPECT_EQ(file.status().err(), ENOTDIR);
}

TEST(ExplainConnect, SaysWhatToDoNext) {
  MountOptions o;
  o.metaservers = {"127.0.0.1:7400"};
  o.volume = "data";
  o.secret_file = "/tmp/s";
  const std::pair<Status, const char*> table[] = {
      {Status(EACCES, Code::kBadProof, "refused"), "secretfile="},
      {Status(EPROTO, Code::kWrongVersion, "refused"), "same release"},
      {Status(EACCES, Code::kWrongCluster, "refused"), "another cluster"},
      {Status(ENOENT, "no volume data"), "kfs volume list"},
      {Status(ECONNREFUSED, "refused"), "kfs-metaserver must run there"},
      {Status(ETIMEDOUT, "no answer"), "firewall"},
  };
  for (const auto& [why, hint] : table) {
    const Status said = ExplainConnect(o, why);
    EXPECT_THAT(said.message(), HasSubstr(why.message()));
    EXPECT_THAT(said.message(), HasSubstr(hint));
    EXPECT_EQ(said.err(), why.err());
  }
  // The metaserver says itself what to do, and nothing is wrong with host or firewall.
  const Status stopped(ESHUTDOWN, Code::kStopped, "volume \"data\" is stopped: start it");
  EXPECT_EQ(ExplainConnect(o, stopped).message(), stopped.message());
}

TEST(ExplainConnect, WhoHasAKeyIsNotSentForTheRootSecret) {
  const TempDir temp;
  MountOptions o;
  o.metaservers = {"127.0.0.1:7400"};
  o.volume = "data";
  o.secret_file = temp.path() + "/x.key";
  std::ofstream(o.secret_file) << Credentials::OfKey("mount/x/3", std::string(32, 'k'),
                                                     "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
                                                     std::string(32, 'p'))
                                      .FileText();
  ASSERT_EQ(chmod(o.secret_file.c_str(), 0600), 0);
  const Status said = ExplainConnect(o, Status(EACCES, Code::kBadProof, "the key mount/x/3 has expired"));
  EXPECT_THAT(said.message(), HasSubstr("kfs key create NAME --volume data"));
  EXPECT_THAT(said.message(), testing::Not(HasSubstr("secret-file names")));
}

TEST(ExplainKernel, SaysWhatToDoNext) {
  MountOptions o;
  o.mountpoint = "/mnt/a";
  EXPECT_THAT(ExplainKernel(o, Status(EPERM, "fusermount3: mount failed")).message(), HasSubstr("sudo"));
  EXPECT_THAT(ExplainKernel(o, Status(EPERM, "allow_other only if user_allow_other is set")).message(),
              HasSubstr("/etc/fuse.conf"));
  EXPECT_THAT(ExplainKernel(o, Status(ENODEV, "x")).message(), HasSubstr("modprobe fuse"));
}

}  // namespace
}  // namespace kfs::fuse
