// unlink(2) and files that live on without a name.
#include <cstdio>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class UnlinkTest : public PosixTest {};

TEST_F(UnlinkTest, RemovesTheName) {
  WriteFile("f", "x");
  CHECK_OK(unlink("f"));
  CHECK_ERRNO(unlink("f"), ENOENT);
  CHECK_ERRNO(open("f", O_RDONLY), ENOENT);
  CHECK_EQ(List(".").size(), 0);
}

TEST_F(UnlinkTest, RefusalsAreNamed) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO(unlink("d"), EISDIR);
  CHECK_ERRNO(unlink("d/"), EISDIR, ENOTDIR);
  CHECK_ERRNO(unlink("f/"), ENOTDIR);
  CHECK_ERRNO(unlink("f/x"), ENOTDIR);
  CHECK_ERRNO(unlink("missing/x"), ENOENT);
  CHECK_ERRNO(unlink(""), ENOENT);
  CHECK_ERRNO(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
  CHECK_ERRNO(unlinkat(AT_FDCWD, "f", 0x40), EINVAL);
  CHECK_TRUE(Exists("f"));
}

TEST_F(UnlinkTest, OpenFileLivesOnWithoutLinks) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDWR);
  Fd second = OpenOk("f", O_RDONLY);
  CHECK_OK(unlink("f"));
  CHECK_EQ(Fstat(fd).st_nlink, 0);
  CHECK_EQ(PreadAll(fd, 100, 0), "content");
  std::string more = Pattern(200000);
  CHECK_EQ(pwrite(fd, more.data(), more.size(), 7), more.size());
  CHECK_EQ(Fstat(second).st_size, 7 + more.size());
  CHECK_TRUE(PreadAll(second, more.size(), 7) == more);
  CHECK_OK(ftruncate(fd, 3));
  CHECK_EQ(PreadAll(second, 100, 0), "con");
  CHECK_OK(fchmod(fd, 0600));
  CHECK_EQ(Fstat(second).st_mode & 07777, 0600);
  CHECK_OK(fsync(fd));
}

TEST_F(UnlinkTest, NameCanBeUsedAgainAtOnce) {
  WriteFile("f", "first");
  Fd first = OpenOk("f", O_RDONLY);
  CHECK_OK(unlink("f"));
  WriteFile("f", "second");
  CHECK_EQ(PreadAll(first, 100, 0), "first");
  CHECK_EQ(ReadFile("f"), "second");
  CHECK_NE(Fstat(first).st_ino, Stat("f").st_ino);
}

TEST_F(UnlinkTest, OrphanSurvivesInAChildThatInheritedIt) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(unlink("f"));
  Child child([&] { return PreadAll(fd, 100, 0) == "content" ? 0 : 1; });
  fd.Close();
  CHECK_EQ(child.Wait(), 0);
}

TEST_F(UnlinkTest, OpenFileOfARemovedDirectoryLivesOn) {
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "content");
  Fd fd = OpenOk("d/f", O_RDWR);
  CHECK_OK(unlink("d/f"));
  CHECK_OK(rmdir("d"));
  CHECK_EQ(PreadAll(fd, 100, 0), "content");
  CHECK_EQ(pwrite(fd, "CON", 3, 0), 3);
  CHECK_EQ(PreadAll(fd, 100, 0), "CONtent");
}

TEST_F(UnlinkTest, DeletedFileIsReopenedThroughProc) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(unlink("f"));
  CHECK_EQ(ReadFile("/proc/self/fd/" + std::to_string(fd)), "content");
}

TEST_F(UnlinkTest, FileWithoutPermissionsCanBeRemoved) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chmod("d", 0777));
  WriteFile("d/f", "x", 0);
  CHECK_OK_AS(kNobody, unlink("d/f"));
  CHECK_FALSE(Exists("d/f"));
}

TEST_F(UnlinkTest, RemoveOfTheLibraryHandlesBothKinds) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(remove("f"));
  CHECK_OK(remove("d"));
  CHECK_EQ(List(".").size(), 0);
}

}  // namespace
}  // namespace kfs::posix_test
