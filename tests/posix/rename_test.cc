// rename(2) and renameat2(2) by one user: replacing, NOREPLACE, EXCHANGE, subtrees and refusals.
#include <linux/fs.h>

#include <cstdio>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class RenameTest : public PosixTest {
 protected:
  static int Rename2(const char* from, const char* to, unsigned flags) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
  }
};

TEST_F(RenameTest, MovesAFileWithItsInode) {
  WriteFile("a", "content");
  ino_t inode = Stat("a").st_ino;
  CHECK_OK(rename("a", "b"));
  CHECK_FALSE(Exists("a"));
  CHECK_EQ(ReadFile("b"), "content");
  CHECK_EQ(Stat("b").st_ino, inode);
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(rename("b", "d/c"));
  CHECK_FALSE(Exists("b"));
  CHECK_EQ(ReadFile("d/c"), "content");
  CHECK_EQ(Stat("d/c").st_nlink, 1);
}

TEST_F(RenameTest, ReplacesAFileAtomically) {
  WriteFile("a", "new");
  WriteFile("b", "old");
  CHECK_OK(rename("a", "b"));
  CHECK_EQ(ReadFile("b"), "new");
  CHECK_EQ(List(".").size(), 1);
}

TEST_F(RenameTest, NameIsNeverMissingWhileItIsReplaced) {
  WriteFile("target", "0");
  Shared<std::atomic<bool>> stop;
  Child reader([&] {
    int missing = 0;
    while (!stop->load()) {
      Fd fd(open("target", O_RDONLY));
      missing += fd < 0;
    }
    return missing == 0 ? 0 : 1;
  });
  for (int i = 0; i < 300; ++i) {
    WriteFile("next", std::to_string(i));
    CHECK_OK(rename("next", "target"));
  }
  stop->store(true);
  CHECK_EQ(reader.Wait(), 0);
}

TEST_F(RenameTest, ReplacedFileStaysReadableWhileOpen) {
  WriteFile("old", "old content");
  WriteFile("new", "new content");
  Fd fd = OpenOk("old", O_RDWR);
  CHECK_OK(rename("new", "old"));
  CHECK_EQ(PreadAll(fd, 100, 0), "old content");
  CHECK_EQ(Fstat(fd).st_nlink, 0);
  CHECK_EQ(pwrite(fd, "OLD", 3, 0), 3);
  CHECK_EQ(PreadAll(fd, 100, 0), "OLD content");
  CHECK_EQ(ReadFile("old"), "new content");
}

TEST_F(RenameTest, OntoItselfDoesNothing) {
  WriteFile("a", "x");
  CHECK_OK(rename("a", "a"));
  CHECK_OK(link("a", "b"));
  CHECK_OK(rename("a", "b"));  // two names of one file: nothing happens
  CHECK_TRUE(Exists("a"));
  CHECK_TRUE(Exists("b"));
  CHECK_EQ(Stat("a").st_nlink, 2);
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(rename("d", "d"));
}

TEST_F(RenameTest, MissingNamesAreEnoent) {
  WriteFile("a", "x");
  CHECK_ERRNO(rename("missing", "b"), ENOENT);
  CHECK_ERRNO(rename("missing", "a"), ENOENT);
  CHECK_ERRNO(rename("a", "missing/b"), ENOENT);
  CHECK_ERRNO(rename("missing/a", "b"), ENOENT);
  CHECK_ERRNO(rename("a", ""), ENOENT);
  CHECK_ERRNO(rename("", "b"), ENOENT);
  CHECK_ERRNO(rename("a/x", "b"), ENOTDIR);
  CHECK_ERRNO(rename("a", "a/x"), ENOTDIR);
  CHECK_EQ(ReadFile("a"), "x");
}

TEST_F(RenameTest, KindsDoNotReplaceOneAnother) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("d", "s"));
  CHECK_ERRNO(rename("f", "d"), EISDIR);
  CHECK_ERRNO(rename("d", "f"), ENOTDIR);
  CHECK_ERRNO(rename("d", "s"), ENOTDIR);
  CHECK_ERRNO(rename("f", "g/"), ENOTDIR, ENOENT);
  CHECK_ERRNO(rename("f/", "g"), ENOTDIR);
  CHECK_OK(rename("f", "s"));  // replaces the link, not what it names
  CHECK_TRUE(S_ISREG(Lstat("s").st_mode));
  CHECK_OK(rename("d", "e/"));
  CHECK_TRUE(Exists("e"));
}

TEST_F(RenameTest, DirectoryReplacesOnlyAnEmptyDirectory) {
  CHECK_OK(mkdir("full", 0755));
  WriteFile("full/f", "x");
  CHECK_OK(mkdir("empty", 0755));
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/mine", "y");
  CHECK_ERRNO(rename("d", "full"), ENOTEMPTY, EEXIST);
  CHECK_ERRNO(rename("empty", "full"), ENOTEMPTY, EEXIST);
  CHECK_OK(rename("d", "empty"));
  CHECK_EQ(ReadFile("empty/mine"), "y");
  CHECK_FALSE(Exists("d"));
  CHECK_EQ(ReadFile("full/f"), "x");
}

TEST_F(RenameTest, IntoTheOwnSubtreeIsEinval) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("a/b", 0755));
  CHECK_OK(mkdir("a/b/c", 0755));
  CHECK_ERRNO(rename("a", "a/x"), EINVAL);
  CHECK_ERRNO(rename("a", "a/b/c/x"), EINVAL);
  CHECK_ERRNO(rename("a", "a/b"), EINVAL);
  CHECK_ERRNO(rename("a/b/c", "a"), ENOTEMPTY, EEXIST);
  CHECK_ERRNO(Rename2("a", "a/b/c", RENAME_EXCHANGE), EINVAL);
  CHECK_ERRNO(Rename2("a/b/c", "a", RENAME_EXCHANGE), EINVAL);
  CHECK_TRUE(Exists("a/b/c"));
  CHECK_OK(rename("a/b/c", "c"));
}

TEST_F(RenameTest, DotAndDotDotAreRefused) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO(rename("d/.", "e"), EBUSY, EINVAL);
  CHECK_ERRNO(rename("d/..", "e"), EBUSY, EINVAL);
  CHECK_ERRNO(rename(".", "e"), EBUSY, EINVAL);
  CHECK_ERRNO(rename("d", "."), EBUSY, EINVAL);
  CHECK_ERRNO(rename("d", ".."), EBUSY, EINVAL, ENOTEMPTY);
}

TEST_F(RenameTest, DirectoryTakesItsContentAndKnowsItsNewParent) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("a/b", 0755));
  WriteFile("a/b/f", "x");
  CHECK_OK(mkdir("z", 0755));
  Fd fd = OpenOk("a/b", O_RDONLY | O_DIRECTORY);
  CHECK_OK(rename("a/b", "z/y"));
  CHECK_EQ(ReadFile("z/y/f"), "x");
  CHECK_EQ(Stat("z/y/..").st_ino, Stat("z").st_ino);
  CHECK_EQ(Errno(faccessat(fd, "f", R_OK, 0)), 0);
  CHECK_ERRNO(access("a/b/f", F_OK), ENOENT);
  struct stat up;
  CHECK_OK(fstatat(fd, "..", &up, 0));
  CHECK_EQ(up.st_ino, Stat("z").st_ino);
}

TEST_F(RenameTest, CurrentDirectoryCanBeMoved) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(chdir("a"));
  WriteFile("f", "x");
  CHECK_OK(rename("../a", "../b"));
  CHECK_EQ(ReadFile("f"), "x");
  char buffer[4096];
  CHECK_TRUE(getcwd(buffer, sizeof buffer) != nullptr);
  CHECK_EQ(std::string(buffer), Path("b"));
}

TEST_F(RenameTest, NoreplaceRefusesATakenName) {
  WriteFile("a", "a");
  WriteFile("b", "b");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("nowhere", "s"));
  CHECK_ERRNO(Rename2("a", "b", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(Rename2("a", "d", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(Rename2("a", "s", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(Rename2("a", "a", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(Rename2("missing", "c", RENAME_NOREPLACE), ENOENT);
  CHECK_EQ(ReadFile("b"), "b");
  CHECK_OK(Rename2("a", "c", RENAME_NOREPLACE));
  CHECK_EQ(ReadFile("c"), "a");
  CHECK_FALSE(Exists("a"));
}

TEST_F(RenameTest, ExchangeSwapsFiles) {
  WriteFile("a", "content of a");
  WriteFile("b", "b");
  ino_t a = Stat("a").st_ino, b = Stat("b").st_ino;
  CHECK_OK(Rename2("a", "b", RENAME_EXCHANGE));
  CHECK_EQ(ReadFile("a"), "b");
  CHECK_EQ(ReadFile("b"), "content of a");
  CHECK_EQ(Stat("a").st_ino, b);
  CHECK_EQ(Stat("b").st_ino, a);
  CHECK_EQ(Stat("a").st_nlink, 1);
}

TEST_F(RenameTest, ExchangeSwapsKinds) {
  CHECK_OK(mkdir("p", 0755));
  CHECK_OK(mkdir("p/d", 0755));
  WriteFile("p/d/inside", "x");
  CHECK_OK(mkdir("q", 0755));
  WriteFile("q/f", "y");
  CHECK_OK(Rename2("p/d", "q/f", RENAME_EXCHANGE));
  CHECK_EQ(ReadFile("p/d"), "y");
  CHECK_EQ(ReadFile("q/f/inside"), "x");
  CHECK_EQ(Stat("p").st_nlink, 2);
  CHECK_EQ(Stat("q").st_nlink, 3);
  CHECK_EQ(Stat("q/f/..").st_ino, Stat("q").st_ino);
  CHECK_OK(symlink("t", "s"));
  CHECK_OK(Rename2("s", "q/f", RENAME_EXCHANGE));
  CHECK_TRUE(S_ISDIR(Lstat("s").st_mode));
  CHECK_TRUE(S_ISLNK(Lstat("q/f").st_mode));
}

TEST_F(RenameTest, ExchangeNeedsBothNamesAndFlagsExcludeEachOther) {
  WriteFile("a", "a");
  WriteFile("b", "b");
  CHECK_ERRNO(Rename2("a", "missing", RENAME_EXCHANGE), ENOENT);
  CHECK_ERRNO(Rename2("missing", "a", RENAME_EXCHANGE), ENOENT);
  CHECK_ERRNO(Rename2("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
  CHECK_ERRNO(Rename2("a", "b", 1u << 20), EINVAL);
  CHECK_EQ(ReadFile("a"), "a");
  CHECK_EQ(ReadFile("b"), "b");
}

TEST_F(RenameTest, RemovedDirectoryTakesNoMoreNames) {
  CHECK_OK(mkdir("d", 0755));
  WriteFile("f", "x");
  Fd fd = OpenOk("d", O_RDONLY | O_DIRECTORY);
  CHECK_OK(rmdir("d"));
  CHECK_ERRNO(renameat(AT_FDCWD, "f", fd, "f"), ENOENT);
  CHECK_ERRNO(linkat(AT_FDCWD, "f", fd, "f", 0), ENOENT);
  CHECK_ERRNO(openat(fd, "f", O_WRONLY | O_CREAT, 0644), ENOENT);
  CHECK_ERRNO(mkdirat(fd, "f", 0755), ENOENT);
  CHECK_ERRNO(symlinkat("x", fd, "f"), ENOENT);
}

TEST_F(RenameTest, SpecialFilesMoveToo) {
  CHECK_OK(mkfifo("p", 0600));
  CHECK_OK(rename("p", "q"));
  CHECK_TRUE(S_ISFIFO(Lstat("q").st_mode));
  WriteFile("f", "x");
  CHECK_OK(rename("f", "q"));
  CHECK_TRUE(S_ISREG(Lstat("q").st_mode));
}

}  // namespace
}  // namespace kfs::posix_test
