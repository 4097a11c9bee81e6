// O_TMPFILE: files without a name, and linkat that gives them one.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class TmpfileTest : public PosixTest {
 protected:
  static int GiveName(int fd, const char* name) {
    std::string proc = "/proc/self/fd/" + std::to_string(fd);
    return linkat(AT_FDCWD, proc.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW);
  }
};

TEST_F(TmpfileTest, HasNoNameAndNoLinks) {
  Fd fd = OpenOk(".", O_TMPFILE | O_RDWR, 0640);
  struct stat st = Fstat(fd);
  CHECK_TRUE(S_ISREG(st.st_mode));
  CHECK_EQ(st.st_nlink, 0);
  CHECK_EQ(st.st_mode & 07777, 0640);
  CHECK_EQ(st.st_size, 0);
  CHECK_EQ(List(".").size(), 0);
}

TEST_F(TmpfileTest, HoldsData) {
  Fd fd = OpenOk(".", O_TMPFILE | O_RDWR, 0600);
  std::string data = Pattern(300000);
  CHECK_EQ(pwrite(fd, data.data(), data.size(), 0), data.size());
  CHECK_EQ(Fstat(fd).st_size, data.size());
  CHECK_TRUE(PreadAll(fd, data.size(), 0) == data);
  CHECK_OK(ftruncate(fd, 10));
  CHECK_EQ(Fstat(fd).st_size, 10);
  CHECK_OK(fsync(fd));
}

TEST_F(TmpfileTest, LinkatGivesItAName) {
  Fd fd = OpenOk(".", O_TMPFILE | O_RDWR, 0644);
  CHECK_EQ(write(fd, "content", 7), 7);
  CHECK_OK(GiveName(fd, "named"));
  CHECK_EQ(ReadFile("named"), "content");
  CHECK_EQ(Fstat(fd).st_nlink, 1);
  CHECK_EQ(Fstat(fd).st_ino, Stat("named").st_ino);
  CHECK_OK(GiveName(fd, "again"));
  CHECK_EQ(Stat("named").st_nlink, 2);
  fd.Close();
  CHECK_EQ(ReadFile("again"), "content");
}

TEST_F(TmpfileTest, LinkatByEmptyPathGivesItAName) {
  NEEDS_ROOT();
  Fd fd = OpenOk(".", O_TMPFILE | O_WRONLY, 0644);
  CHECK_OK(linkat(fd, "", AT_FDCWD, "named", AT_EMPTY_PATH));
  CHECK_EQ(Stat("named").st_nlink, 1);
}

TEST_F(TmpfileTest, LinkatOntoATakenNameIsEexist) {
  WriteFile("taken", "x");
  Fd fd = OpenOk(".", O_TMPFILE | O_WRONLY, 0644);
  CHECK_ERRNO(GiveName(fd, "taken"), EEXIST);
  CHECK_EQ(ReadFile("taken"), "x");
  CHECK_OK(GiveName(fd, "free"));
}

TEST_F(TmpfileTest, ExclusiveForbidsANameForEver) {
  Fd fd = OpenOk(".", O_TMPFILE | O_EXCL | O_RDWR, 0644);
  CHECK_ERRNO(GiveName(fd, "named"), ENOENT);
  CHECK_FALSE(Exists("named"));
  CHECK_EQ(write(fd, "abc", 3), 3);
  CHECK_EQ(PreadAll(fd, 3, 0), "abc");
}

TEST_F(TmpfileTest, NeedsADirectoryAndWriteAccessMode) {
  WriteFile("f", "x");
  CHECK_ERRNO(open("f", O_TMPFILE | O_RDWR, 0644), ENOTDIR);
  CHECK_ERRNO(open("missing", O_TMPFILE | O_RDWR, 0644), ENOENT);
  CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0644), EINVAL);
}

TEST_F(TmpfileTest, NeedsWritePermissionOnTheDirectory) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO_AS(kNobody, open("d", O_TMPFILE | O_RDWR, 0644), EACCES);
  CHECK_OK(chmod("d", 0777));
  CHECK_OK_AS(kNobody, open("d", O_TMPFILE | O_RDWR, 0644));
}

TEST_F(TmpfileTest, BelongsToItsCreatorAndObeysUmaskAndSetgidDirectory) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chown("d", 0, 4242));
  CHECK_OK(chmod("d", 02777));
  AsUser(kAlice, [&] {
    umask(077);
    Fd fd = OpenOk("d", O_TMPFILE | O_RDWR, 0666);
    struct stat st = Fstat(fd);
    CHECK_EQ(st.st_uid, kAlice.uid);
    CHECK_EQ(st.st_gid, 4242);
    CHECK_EQ(st.st_mode & 07777, 0600);
    CHECK_OK(GiveName(fd, "d/named"));
  });
  CHECK_EQ(Stat("d/named").st_uid, kAlice.uid);
}

}  // namespace
}  // namespace kfs::posix_test
