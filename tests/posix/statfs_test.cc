// statfs(2), statvfs(3) and the identity that stat gives.
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <set>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class StatfsTest : public PosixTest {};

TEST_F(StatfsTest, NumbersAreSane) {
  struct statvfs fs = {};
  CHECK_OK(statvfs(".", &fs));
  CHECK_GE(fs.f_bsize, 512);
  CHECK_GE(fs.f_frsize, 512);
  CHECK_GT(fs.f_blocks, 0);
  CHECK_LE(fs.f_bfree, fs.f_blocks);
  CHECK_LE(fs.f_bavail, fs.f_bfree);
  CHECK_LE(fs.f_ffree, fs.f_files);
  CHECK_EQ(fs.f_namemax, 255);
  CHECK_EQ(fs.f_flag & ST_RDONLY, 0);
}

TEST_F(StatfsTest, SameFromEveryFileAndDescriptor) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  struct statfs a = {}, b = {}, c = {};
  CHECK_OK(statfs("f", &a));
  CHECK_OK(statfs("d", &b));
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(fstatfs(fd, &c));
  CHECK_EQ(a.f_type, b.f_type);
  CHECK_EQ(a.f_blocks, b.f_blocks);
  CHECK_EQ(a.f_bsize, c.f_bsize);
  CHECK_EQ(a.f_namelen, 255);
  CHECK_ERRNO(statfs("missing", &a), ENOENT);
  CHECK_ERRNO(statfs("f/x", &a), ENOTDIR);
  CHECK_ERRNO(fstatfs(-1, &a), EBADF);
}

TEST_F(StatfsTest, InodesAreDistinctAndStable) {
  std::set<ino_t> inodes;
  for (int i = 0; i < 50; ++i) {
    std::string name = "f" + std::to_string(i);
    WriteFile(name, name);
    inodes.insert(Stat(name).st_ino);
  }
  CHECK_EQ(inodes.size(), 50);
  for (int i = 0; i < 50; ++i) CHECK_EQ(inodes.count(Stat("f" + std::to_string(i)).st_ino), 1);
  CHECK_EQ(inodes.count(0), 0);
}

TEST_F(StatfsTest, OneDeviceForTheWholeTree) {
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "x");
  CHECK_OK(mkfifo("p", 0644));
  dev_t device = Stat(".").st_dev;
  CHECK_EQ(Stat("d").st_dev, device);
  CHECK_EQ(Stat("p").st_dev, device);
}

TEST_F(StatfsTest, BlocksFollowTheData) {
  WriteFile("f", "");
  CHECK_EQ(Stat("f").st_blocks, 0);
  CHECK_GE(Stat("f").st_blksize, 512);
  Fd fd = OpenOk("f", O_WRONLY);
  std::string data = Pattern(1 << 20);
  CHECK_EQ(write(fd, data.data(), data.size()), data.size());
  CHECK_OK(fsync(fd));
  CHECK_GE(Fstat(fd).st_blocks, (1 << 20) / 512);
  CHECK_LT(Fstat(fd).st_blocks, (1 << 20) / 512 + 256);
  CHECK_OK(ftruncate(fd, 0));
  CHECK_EQ(Fstat(fd).st_blocks, 0);
}

TEST_F(StatfsTest, PathconfNamesTheLimits) {
  CHECK_EQ(pathconf(".", _PC_NAME_MAX), 255);
  CHECK_EQ(pathconf(".", _PC_PATH_MAX), 4096);
  CHECK_EQ(pathconf(".", _PC_PIPE_BUF), 4096);
  CHECK_EQ(pathconf(".", _PC_NO_TRUNC), 1);
  CHECK_EQ(pathconf(".", _PC_CHOWN_RESTRICTED), 1);
}

}  // namespace
}  // namespace kfs::posix_test
