// mkdir(2), rmdir(2), chdir(2), getcwd(3), and directories that were removed while in use.
#include <dirent.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class DirectoryTest : public PosixTest {};

TEST_F(DirectoryTest, MkdirMakesAnEmptyDirectoryWithTheMaskedMode) {
  umask(027);
  CHECK_OK(mkdir("d", 0777));
  struct stat st = Stat("d");
  CHECK_TRUE(S_ISDIR(st.st_mode));
  CHECK_EQ(st.st_mode & 07777, 0750);
  CHECK_EQ(st.st_nlink, 2);
  CHECK_EQ(List("d").size(), 0);
  CHECK_OK(mkdir("trailing/", 0700));
  CHECK_TRUE(Exists("trailing"));
  umask(0);
  CHECK_OK(mkdir("sticky", 01777));
  CHECK_EQ(Mode("sticky"), 01777);
}

TEST_F(DirectoryTest, MkdirRefusals) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("nowhere", "s"));
  CHECK_ERRNO(mkdir("f", 0755), EEXIST);
  CHECK_ERRNO(mkdir("d", 0755), EEXIST);
  CHECK_ERRNO(mkdir("s", 0755), EEXIST);
  CHECK_ERRNO(mkdir(".", 0755), EEXIST);
  CHECK_ERRNO(mkdir("..", 0755), EEXIST);
  CHECK_ERRNO(mkdir("d/.", 0755), EEXIST);
  CHECK_ERRNO(mkdir("/", 0755), EEXIST);
  CHECK_ERRNO(mkdir("missing/d", 0755), ENOENT);
  CHECK_ERRNO(mkdir("", 0755), ENOENT);
  CHECK_ERRNO(mkdir("f/d", 0755), ENOTDIR);
}

TEST_F(DirectoryTest, RmdirRefusals) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "x");
  CHECK_OK(mkdir("e", 0755));
  CHECK_OK(mkdir("e/sub", 0755));
  CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
  CHECK_ERRNO(rmdir("e"), ENOTEMPTY);
  CHECK_ERRNO(rmdir("f"), ENOTDIR);
  CHECK_ERRNO(rmdir("f/x"), ENOTDIR);
  CHECK_ERRNO(rmdir("missing"), ENOENT);
  CHECK_ERRNO(rmdir(""), ENOENT);
  CHECK_ERRNO(rmdir("e/."), EINVAL);
  CHECK_ERRNO(rmdir("e/sub/.."), ENOTEMPTY);
  CHECK_OK(unlink("d/f"));
  CHECK_OK(rmdir("d"));
  CHECK_OK(rmdir("e/sub/"));
  CHECK_OK(rmdir("e"));
}

TEST_F(DirectoryTest, DirectoryWithAnOpenDeletedFileIsEmpty) {
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "x");
  Fd fd = OpenOk("d/f", O_RDWR);
  CHECK_OK(unlink("d/f"));
  CHECK_EQ(List("d").size(), 0);
  CHECK_OK(rmdir("d"));
}

TEST_F(DirectoryTest, RemovedDirectoryIsStillThereForItsUsers) {
  CHECK_OK(mkdir("d", 0755));
  Fd fd = OpenOk("d", O_RDONLY | O_DIRECTORY);
  CHECK_OK(chdir("d"));
  CHECK_OK(rmdir("../d"));
  struct stat st = Stat(".");
  CHECK_TRUE(S_ISDIR(st.st_mode));
  CHECK_EQ(st.st_nlink, 0);
  CHECK_EQ(Fstat(fd).st_ino, st.st_ino);
  char buffer[4096];
  CHECK_ERRNO((getcwd(buffer, sizeof buffer) == nullptr ? -1 : 0), ENOENT);
  CHECK_ERRNO(open("f", O_WRONLY | O_CREAT, 0644), ENOENT);
  CHECK_ERRNO(mkdir("x", 0755), ENOENT);
  CHECK_ERRNO(mkfifo("p", 0644), ENOENT);
  CHECK_ERRNO(access("f", F_OK), ENOENT);
  DIR* handle = opendir(".");
  CHECK_TRUE(handle != nullptr);
  int entries = 0;
  while (handle != nullptr && readdir(handle) != nullptr) ++entries;
  CHECK_LE(entries, 2);
  if (handle != nullptr) closedir(handle);
  CHECK_OK(chdir(".."));  // ".." of a removed directory still leads back
  CHECK_EQ(Stat(".").st_ino, Stat(dir()).st_ino);
}

TEST_F(DirectoryTest, OpenHandleOfARemovedDirectoryListsNothing) {
  CHECK_OK(mkdir("d", 0755));
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  if (handle == nullptr) return;
  CHECK_OK(rmdir("d"));
  errno = 0;
  while (dirent* entry = readdir(handle)) {
    std::string name = entry->d_name;
    CHECK_TRUE(name == "." || name == "..");
  }
  CHECK_TRUE(errno == 0 || errno == ENOENT);
  closedir(handle);
}

TEST_F(DirectoryTest, NameOfARemovedDirectoryIsFreeAgain) {
  CHECK_OK(mkdir("d", 0755));
  ino_t old = Stat("d").st_ino;
  Fd fd = OpenOk("d", O_RDONLY | O_DIRECTORY);
  CHECK_OK(rmdir("d"));
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "x");
  CHECK_NE(Stat("d").st_ino, old);
  CHECK_ERRNO(faccessat(fd, "f", F_OK, 0), ENOENT);
  WriteFile("plain", "x");
  CHECK_OK(unlink("d/f"));
  CHECK_OK(rmdir("d"));
  CHECK_OK(rename("plain", "d"));
  CHECK_EQ(ReadFile("d"), "x");
}

TEST_F(DirectoryTest, GetcwdFollowsRenamesOfParents) {
  CHECK_OK(mkdir("a", 0755));
  CHECK_OK(mkdir("a/b", 0755));
  CHECK_OK(chdir("a/b"));
  CHECK_OK(rename(Path("a").c_str(), Path("z").c_str()));
  char buffer[4096];
  CHECK_TRUE(getcwd(buffer, sizeof buffer) != nullptr);
  CHECK_EQ(std::string(buffer), Path("z/b"));
  CHECK_ERRNO((getcwd(buffer, 3) == nullptr ? -1 : 0), ERANGE);
}

TEST_F(DirectoryTest, ChdirRefusals) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0700));
  CHECK_ERRNO(chdir("f"), ENOTDIR);
  CHECK_ERRNO(chdir("missing"), ENOENT);
  CHECK_ERRNO(chdir(""), ENOENT);
  CHECK_ERRNO_AS(kNobody, chdir("d"), EACCES);
  CHECK_OK(chmod("d", 0711));
  CHECK_OK_AS(kNobody, chdir("d"));
  CHECK_ERRNO_AS(kNobody, open("d", O_RDONLY), EACCES);
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_ERRNO(fchdir(fd), ENOTDIR);
}

TEST_F(DirectoryTest, DotAndDotDotResolve) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(mkdir("d/e", 0755));
  CHECK_EQ(Stat("d/.").st_ino, Stat("d").st_ino);
  CHECK_EQ(Stat("d/e/..").st_ino, Stat("d").st_ino);
  CHECK_EQ(Stat("d/e/../../d/./e").st_ino, Stat("d/e").st_ino);
  CHECK_EQ(Stat("d//e///").st_ino, Stat("d/e").st_ino);
  CHECK_ERRNO(access("d/missing/..", F_OK), ENOENT);
}

TEST_F(DirectoryTest, DeepTreeWorks) {
  for (int depth = 0; depth < 60; ++depth) {
    CHECK_OK(mkdir("level", 0755));
    CHECK_OK(chdir("level"));
  }
  WriteFile("bottom", "x");
  std::string path = dir();
  for (int depth = 0; depth < 60; ++depth) path += "/level";
  CHECK_EQ(ReadFile(path + "/bottom"), "x");
  for (int depth = 0; depth < 60; ++depth) CHECK_OK(chdir(".."));
  CHECK_EQ(Stat(".").st_ino, Stat(dir()).st_ino);
}

}  // namespace
}  // namespace kfs::posix_test
