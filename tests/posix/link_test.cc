// Hard links: link(2), linkat(2) and the link counts of files and directories.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class LinkTest : public PosixTest {};

TEST_F(LinkTest, BothNamesAreOneFile) {
  WriteFile("a", "content");
  CHECK_OK(link("a", "b"));
  struct stat a = Stat("a"), b = Stat("b");
  CHECK_EQ(a.st_ino, b.st_ino);
  CHECK_EQ(a.st_nlink, 2);
  CHECK_EQ(b.st_nlink, 2);
  WriteFile("b", "changed");
  CHECK_EQ(ReadFile("a"), "changed");
  CHECK_OK(chmod("a", 0600));
  CHECK_EQ(Mode("b"), 0600);
  CHECK_OK(unlink("a"));
  CHECK_EQ(Stat("b").st_nlink, 1);
  CHECK_EQ(ReadFile("b"), "changed");
}

TEST_F(LinkTest, AcrossDirectories) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(mkdir("e", 0755));
  WriteFile("d/f", "x");
  CHECK_OK(link("d/f", "e/g"));
  CHECK_OK(unlink("d/f"));
  CHECK_OK(rmdir("d"));
  CHECK_EQ(ReadFile("e/g"), "x");
}

TEST_F(LinkTest, RefusesATakenNewName) {
  WriteFile("a", "a");
  WriteFile("b", "b");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("nowhere", "dangling"));
  CHECK_ERRNO(link("a", "b"), EEXIST);
  CHECK_ERRNO(link("a", "a"), EEXIST);
  CHECK_ERRNO(link("a", "d"), EEXIST);
  CHECK_ERRNO(link("a", "dangling"), EEXIST);
  CHECK_EQ(Stat("a").st_nlink, 1);
}

TEST_F(LinkTest, RefusesMissingAndMisplacedNames) {
  WriteFile("a", "a");
  CHECK_ERRNO(link("missing", "b"), ENOENT);
  CHECK_ERRNO(link("a", "missing/b"), ENOENT);
  CHECK_ERRNO(link("a", ""), ENOENT);
  CHECK_ERRNO(link("", "b"), ENOENT);
  CHECK_ERRNO(link("a/x", "b"), ENOTDIR);
  CHECK_ERRNO(link("a", "a/x"), ENOTDIR);
  CHECK_ERRNO(link("a/", "b"), ENOTDIR);
  CHECK_ERRNO(link("a", "b/"), ENOENT);
}

TEST_F(LinkTest, DirectoryIsEperm) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO(link("d", "e"), EPERM);
  CHECK_ERRNO(link(".", "e"), EPERM);
  CHECK_EQ(Stat("d").st_nlink, 2);
}

TEST_F(LinkTest, OtherFileSystemIsExdev) {
  WriteFile("a", "a");
  CHECK_ERRNO(link("/proc/self/status", "b"), EXDEV);
  CHECK_ERRNO(rename("/proc/self/status", "b"), EXDEV);
  CHECK_ERRNO(rename("a", "/proc/self/a"), EXDEV);
}

TEST_F(LinkTest, SymlinkItselfIsLinkedUnlessFollowed) {
  WriteFile("f", "x");
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(link("s", "s2"));
  CHECK_TRUE(S_ISLNK(Lstat("s2").st_mode));
  CHECK_EQ(Lstat("s").st_nlink, 2);
  CHECK_EQ(Lstat("s").st_ino, Lstat("s2").st_ino);
  CHECK_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
  CHECK_EQ(Lstat("f2").st_ino, Lstat("f").st_ino);
  CHECK_EQ(Lstat("f").st_nlink, 2);
  CHECK_ERRNO(linkat(AT_FDCWD, "f", AT_FDCWD, "f3", 0x10), EINVAL);
}

TEST_F(LinkTest, SpecialFilesCanBeLinked) {
  CHECK_OK(mkfifo("p", 0644));
  CHECK_OK(link("p", "p2"));
  CHECK_TRUE(S_ISFIFO(Lstat("p2").st_mode));
  CHECK_EQ(Lstat("p").st_nlink, 2);
}

TEST_F(LinkTest, UnlinkedOpenFileCannotBeNamedAgain) {
  WriteFile("f", "x");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(unlink("f"));
  std::string proc = "/proc/self/fd/" + std::to_string(fd);
  CHECK_ERRNO(linkat(AT_FDCWD, proc.c_str(), AT_FDCWD, "g", AT_SYMLINK_FOLLOW), ENOENT);
  CHECK_FALSE(Exists("g"));
}

TEST_F(LinkTest, ThousandLinksAreCountedExactly) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  int made = 0;
  for (int i = 0; i < 1000; ++i) made += link("f", ("d/" + std::to_string(i)).c_str()) == 0;
  CHECK_EQ(made, 1000);
  CHECK_EQ(Stat("f").st_nlink, 1001);
  for (int i = 0; i < 500; ++i) unlink(("d/" + std::to_string(i)).c_str());
  CHECK_EQ(Stat("f").st_nlink, 501);
  CHECK_EQ(Stat("d/999").st_ino, Stat("f").st_ino);
}

TEST_F(LinkTest, DirectoryCountsItsSubdirectories) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_EQ(Stat("d").st_nlink, 2);
  CHECK_OK(mkdir("d/a", 0755));
  CHECK_OK(mkdir("d/b", 0755));
  CHECK_EQ(Stat("d").st_nlink, 4);
  WriteFile("d/file", "x");
  CHECK_EQ(Stat("d").st_nlink, 4);
  CHECK_OK(rmdir("d/a"));
  CHECK_EQ(Stat("d").st_nlink, 3);
  CHECK_OK(mkdir("e", 0755));
  CHECK_OK(rename("d/b", "e/b"));
  CHECK_EQ(Stat("d").st_nlink, 2);
  CHECK_EQ(Stat("e").st_nlink, 3);
  CHECK_OK(mkdir("d/c", 0755));
  CHECK_OK(rename("d/c", "e/b"));  // replaces an empty directory
  CHECK_EQ(Stat("d").st_nlink, 2);
  CHECK_EQ(Stat("e").st_nlink, 3);
}

TEST_F(LinkTest, NeedsWritePermissionOnTheNewDirectory) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("open", 0777));
  CHECK_OK(chmod("open", 0777));
  CHECK_OK(mkdir("closed", 0755));
  WriteFile("open/f", "x");
  CHECK_OK(chown("open/f", kNobody.uid, kNobody.gid));
  CHECK_ERRNO_AS(kNobody, link("open/f", "closed/f"), EACCES);
  CHECK_OK_AS(kNobody, link("open/f", "open/g"));
  CHECK_OK(chmod("closed", 0700));
  CHECK_ERRNO_AS(kNobody, link("closed/f", "open/h"), EACCES);
}

}  // namespace
}  // namespace kfs::posix_test
