// Who may rename, unlink and rmdir: write permission on directories, and the sticky bit.
#include <linux/fs.h>

#include <cstdio>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class RenamePermissionTest : public PosixTest {
 protected:
  static void MakeDir(const char* name, mode_t mode, uid_t owner = 0) {
    CHECK_OK(mkdir(name, 0700));
    CHECK_OK(chown(name, owner, owner));
    CHECK_OK(chmod(name, mode));
  }
  static void MakeFile(const char* name, uid_t owner) {
    WriteFile(name, name, 0666);
    CHECK_OK(chown(name, owner, owner));
  }
};

TEST_F(RenamePermissionTest, BothDirectoriesMustBeWritable) {
  NEEDS_ROOT();
  MakeDir("open", 0777);
  MakeDir("closed", 0755);
  MakeFile("open/f", kAlice.uid);
  MakeFile("closed/g", kAlice.uid);
  CHECK_ERRNO_AS(kAlice, rename("open/f", "closed/f"), EACCES);
  CHECK_ERRNO_AS(kAlice, rename("closed/g", "open/g"), EACCES);
  CHECK_ERRNO_AS(kAlice, rename("closed/g", "closed/h"), EACCES);
  CHECK_ERRNO_AS(kAlice, unlink("closed/g"), EACCES);
  CHECK_OK_AS(kAlice, rename("open/f", "open/g"));
  CHECK_OK_AS(kNobody, unlink("open/g"));  // no sticky bit: the directory's permission is enough
}

TEST_F(RenamePermissionTest, DirectoryWithoutSearchPermissionIsClosed) {
  NEEDS_ROOT();
  MakeDir("d", 0766);
  MakeFile("d/f", kAlice.uid);
  struct stat st;
  CHECK_ERRNO_AS(kAlice, rename("d/f", "d/g"), EACCES);
  CHECK_ERRNO_AS(kAlice, unlink("d/f"), EACCES);
  CHECK_ERRNO_AS(kAlice, stat("d/f", &st), EACCES);
  CHECK_ERRNO_AS(kAlice, mkdir("d/sub", 0755), EACCES);
  CHECK_OK_AS(kAlice, open("d", O_RDONLY | O_DIRECTORY));
}

TEST_F(RenamePermissionTest, StickyDirectoryProtectsFilesOfOthers) {
  NEEDS_ROOT();
  MakeDir("t", 01777);
  MakeFile("t/alice", kAlice.uid);
  MakeFile("t/bob", kBob.uid);
  CHECK_ERRNO_AS(kBob, unlink("t/alice"), EPERM);
  CHECK_ERRNO_AS(kBob, rename("t/alice", "t/x"), EPERM);
  CHECK_ERRNO_AS(kBob, rename("t/bob", "t/alice"), EPERM);
  CHECK_ERRNO_AS(kBob, renameat2(AT_FDCWD, "t/bob", AT_FDCWD, "t/alice", RENAME_EXCHANGE), EPERM);
  CHECK_EQ(ReadFile("t/alice"), "t/alice");
  CHECK_OK_AS(kAlice, rename("t/alice", "t/mine"));
  CHECK_OK_AS(kAlice, unlink("t/mine"));
  CHECK_OK(unlink("t/bob"));  // root may
}

TEST_F(RenamePermissionTest, OwnerOfAStickyDirectoryMayRemoveAnything) {
  NEEDS_ROOT();
  MakeDir("t", 01777, kAlice.uid);
  MakeFile("t/bob", kBob.uid);
  MakeFile("t/bob2", kBob.uid);
  CHECK_OK_AS(kAlice, rename("t/bob", "t/taken"));
  CHECK_OK_AS(kAlice, unlink("t/taken"));
  CHECK_ERRNO_AS(kNobody, unlink("t/bob2"), EPERM);
}

TEST_F(RenamePermissionTest, StickyDirectoryProtectsDirectoriesOfOthers) {
  NEEDS_ROOT();
  MakeDir("t", 01777);
  MakeDir("t/alice", 0777, kAlice.uid);
  CHECK_ERRNO_AS(kBob, rmdir("t/alice"), EPERM);
  CHECK_ERRNO_AS(kBob, rename("t/alice", "t/x"), EPERM);
  CHECK_OK_AS(kAlice, rename("t/alice", "t/y"));
  CHECK_OK_AS(kAlice, rmdir("t/y"));
}

TEST_F(RenamePermissionTest, StickyOfTheTargetDirectoryCountsToo) {
  NEEDS_ROOT();
  MakeDir("from", 0777);
  MakeDir("t", 01777);
  MakeFile("from/bob", kBob.uid);
  MakeFile("t/alice", kAlice.uid);
  CHECK_ERRNO_AS(kBob, rename("from/bob", "t/alice"), EPERM);
  CHECK_OK_AS(kBob, rename("from/bob", "t/bob"));
  CHECK_EQ(ReadFile("t/bob"), "from/bob");
}

TEST_F(RenamePermissionTest, MovingADirectoryOfOthersNeedsToWriteItsDotDot) {
  NEEDS_ROOT();
  MakeDir("a", 0777);
  MakeDir("b", 0777);
  MakeDir("a/alice", 0755, kAlice.uid);
  CHECK_ERRNO_AS(kBob, rename("a/alice", "b/alice"), EACCES);
  CHECK_OK_AS(kBob, rename("a/alice", "a/renamed"));  // same parent: ".." stays
  CHECK_OK_AS(kAlice, rename("a/renamed", "b/alice"));
}

TEST_F(RenamePermissionTest, RmdirAndMkdirNeedAWritableParent) {
  NEEDS_ROOT();
  MakeDir("d", 0755);
  MakeDir("d/alice", 0777, kAlice.uid);
  CHECK_ERRNO_AS(kAlice, rmdir("d/alice"), EACCES);
  CHECK_ERRNO_AS(kAlice, mkdir("d/new", 0755), EACCES);
  CHECK_ERRNO_AS(kAlice, mkdir("d/alice", 0755), EEXIST);
  CHECK_ERRNO_AS(kAlice, mkfifo("d/p", 0644), EACCES);
  CHECK_OK_AS(kAlice, mkdir("d/alice/sub", 0755));
  CHECK_EQ(Stat("d/alice/sub").st_uid, kAlice.uid);
  CHECK_EQ(Stat("d/alice/sub").st_gid, kAlice.gid);
}

}  // namespace
}  // namespace kfs::posix_test
