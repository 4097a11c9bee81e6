// Setuid and setgid bits go when somebody without privilege changes a file.
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class PrivilegeBitsTest : public PosixTest {
 protected:
  // A file of another user that everybody may write.
  static void MakeFile(mode_t mode) {
    WriteFile("f", std::string(8192, 'x'));
    CHECK_OK(chown("f", kAlice.uid, kAlice.gid));
    CHECK_OK(chmod("f", mode));
  }
};

// The mode after `operation` by kBob on a file with 06777.
#define CLEARS(operation)         \
  do {                            \
    MakeFile(06777);              \
    CHECK_OK_AS(kBob, operation); \
    CHECK_EQ(Mode("f"), 0777);    \
  } while (false)

TEST_F(PrivilegeBitsTest, EveryKindOfWriteClears) {
  NEEDS_ROOT();
  CLEARS(write(open("f", O_WRONLY), "y", 1));
  CLEARS(pwrite(open("f", O_WRONLY), "y", 1, 100));
  CLEARS(write(open("f", O_WRONLY | O_APPEND), "y", 1));
  CLEARS(truncate("f", 10));
  CLEARS(truncate("f", 10000));
  CLEARS(ftruncate(open("f", O_RDWR), 10));
  CLEARS(open("f", O_WRONLY | O_TRUNC));
  CLEARS(fallocate(open("f", O_RDWR), 0, 0, 20000));
  CLEARS(fallocate(open("f", O_RDWR), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  WriteFile("source", "source");
  CLEARS(copy_file_range(open("source", O_RDONLY), nullptr, open("f", O_WRONLY), nullptr, 6, 0));
}

TEST_F(PrivilegeBitsTest, OwnerLosesThemByWritingToo) {
  NEEDS_ROOT();
  MakeFile(06777);
  CHECK_OK_AS(kAlice, write(open("f", O_WRONLY), "y", 1));
  CHECK_EQ(Mode("f"), 0777);
}

TEST_F(PrivilegeBitsTest, WrittenDataIsThere) {
  NEEDS_ROOT();
  MakeFile(06777);
  CHECK_EQ(AsUser(kBob, [] { return write(open("f", O_WRONLY | O_APPEND), "appended", 8) == 8 ? 0 : errno; }),
           0);
  CHECK_EQ(ReadFile("f").substr(8192), "appended");
}

TEST_F(PrivilegeBitsTest, RootWritesWithoutClearing) {
  NEEDS_ROOT();
  MakeFile(06777);
  Fd fd = OpenOk("f", O_WRONLY);
  CHECK_EQ(write(fd, "y", 1), 1);
  CHECK_EQ(Mode("f"), 06777);
  CHECK_OK(ftruncate(fd, 10));
  CHECK_EQ(Mode("f"), 06777);
}

TEST_F(PrivilegeBitsTest, SetgidWithoutGroupExecuteStaysForGroupMembersOnly) {
  NEEDS_ROOT();
  MakeFile(02666);  // no group execute: not a privilege
  const User member{12346, 12346, {kAlice.gid}};
  CHECK_OK_AS(member, write(open("f", O_WRONLY), "y", 1));
  CHECK_EQ(Mode("f"), 02666);
}

TEST_F(PrivilegeBitsTest, ReadingClearsNothing) {
  NEEDS_ROOT();
  MakeFile(06777);
  char byte;
  CHECK_OK_AS(kBob, read(open("f", O_RDONLY), &byte, 1));
  CHECK_OK_AS(kBob, open("f", O_WRONLY));
  CHECK_OK_AS(kBob, open("f", O_RDWR | O_CREAT, 0644));
  CHECK_EQ(Mode("f"), 06777);
}

TEST_F(PrivilegeBitsTest, ChownClearsThem) {
  NEEDS_ROOT();
  MakeFile(06755);
  CHECK_OK_AS(kAlice, chown("f", static_cast<uid_t>(-1), kAlice.gid));
  CHECK_EQ(Mode("f"), 0755);
  CHECK_OK(chmod("f", 06755));
  CHECK_OK(chown("f", kBob.uid, kBob.gid));  // Linux clears them for root as well
  CHECK_EQ(Mode("f"), 0755);
  CHECK_OK(chmod("f", 02644));
  CHECK_OK(chown("f", kAlice.uid, kBob.gid));
  CHECK_EQ(Mode("f"), 02644);  // setgid without group execute is no privilege
}

TEST_F(PrivilegeBitsTest, ChownOfADirectoryKeepsItsSetgid) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(chmod("d", 03755));
  CHECK_OK(chown("d", kAlice.uid, kAlice.gid));
  CHECK_EQ(Mode("d"), 03755);
}

TEST_F(PrivilegeBitsTest, SharedMappingOfAnotherUserKeepsDataAndMayClear) {
  NEEDS_ROOT();
  MakeFile(06777);
  AsUser(kBob, [] {
    Fd fd = OpenOk("f", O_RDWR);
    void* map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_TRUE(map != MAP_FAILED);
    static_cast<char*>(map)[0] = 'm';
    CHECK_OK(msync(map, 4096, MS_SYNC));
  });
  CHECK_EQ(ReadFile("f")[0], 'm');
}

TEST_F(PrivilegeBitsTest, WritingDropsFileCapabilities) {
  NEEDS_ROOT();
  MakeFile(0777);
  // vfs_cap_data version 2 with no capability: the smallest valid value.
  const unsigned char capabilities[20] = {0, 0, 0, 2};
  if (setxattr("f", "security.capability", capabilities, sizeof capabilities, 0) != 0) {
    GTEST_SKIP() << "security.capability cannot be set here: " << ErrnoName(errno);
  }
  CHECK_OK_AS(kBob, write(open("f", O_WRONLY), "y", 1));
  CHECK_ERRNO(getxattr("f", "security.capability", nullptr, 0), ENODATA);
}

}  // namespace
}  // namespace kfs::posix_test
