// One test for each failure that other network file systems are known for, where other users are concerned.
#include <sys/xattr.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class RegressionUsersTest : public PosixTest {
 protected:
  void SetUp() override {
    PosixTest::SetUp();
    NEEDS_ROOT();
    ASSERT_EQ(mkdir("open", 0777), 0);
    ASSERT_EQ(chmod("open", 0777), 0);
  }
};

TEST_F(RegressionUsersTest, PermissionsOfOtherUsersAreEnforced) {
  WriteFile("open/secret", "x", 0600);
  CHECK_EQ(ReadFile("open/secret"), "x");  // root has it cached now
  CHECK_ERRNO_AS(kNobody, open("open/secret", O_RDONLY), EACCES);
  CHECK_ERRNO_AS(kNobody, open("open/secret", O_WRONLY), EACCES);
  CHECK_ERRNO_AS(kNobody, truncate("open/secret", 0), EACCES);
  CHECK_ERRNO_AS(kNobody, chmod("open/secret", 0666), EPERM);
  CHECK_ERRNO_AS(kNobody, chown("open/secret", kNobody.uid, kNobody.gid), EPERM);
  CHECK_ERRNO_AS(kNobody, setxattr("open/secret", "user.a", "v", 1, 0), EACCES);
  CHECK_OK(mkdir("open/closed", 0700));
  WriteFile("open/closed/f", "x", 0644);
  CHECK_ERRNO_AS(kNobody, open("open/closed/f", O_RDONLY), EACCES);
  CHECK_ERRNO_AS(kNobody, open("open/closed", O_RDONLY), EACCES);
}

TEST_F(RegressionUsersTest, NewFilesAreOwnedByTheirCreatorWhoeverCameFirst) {
  for (const User& user : {kAlice, kBob, kNobody, kAlice}) {
    std::string name = "open/" + std::to_string(user.uid);
    unlink(name.c_str());
    CHECK_OK_AS(user, open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
    CHECK_EQ(Stat(name).st_uid, user.uid);
    CHECK_EQ(Stat(name).st_gid, user.gid);
  }
}

TEST_F(RegressionUsersTest, SetgidOfADirectoryIsPassedOn) {
  CHECK_OK(mkdir("open/d", 0777));
  CHECK_OK(chown("open/d", 0, 4242));
  CHECK_OK(chmod("open/d", 02777));
  CHECK_OK_AS(kAlice, mkdir("open/d/sub", 0755));
  CHECK_EQ(Mode("open/d/sub"), 02755);
  CHECK_EQ(Stat("open/d/sub").st_gid, 4242);
  CHECK_OK_AS(kAlice, open("open/d/sub/f", O_WRONLY | O_CREAT, 0644));
  CHECK_EQ(Stat("open/d/sub/f").st_gid, 4242);
}

TEST_F(RegressionUsersTest, AppendByAnotherUserToASetuidFileIsNoIoError) {
  WriteFile("open/f", "start");
  CHECK_OK(chown("open/f", kAlice.uid, kAlice.gid));
  CHECK_OK(chmod("open/f", 06777));
  AsUser(kBob, [] {
    Fd fd = OpenOk("open/f", O_WRONLY | O_APPEND);
    for (int i = 0; i < 3; ++i) CHECK_EQ(write(fd, "+more", 5), 5);
    CHECK_OK(fsync(fd));
    CHECK_OK(fd.Close());
  });
  CHECK_EQ(ReadFile("open/f"), "start+more+more+more");
  CHECK_EQ(Mode("open/f"), 0777);
}

TEST_F(RegressionUsersTest, SetuidDoesNotSurviveTheWriteOfAnotherUser) {
  WriteFile("open/f", "content");
  CHECK_OK(chmod("open/f", 04777));
  AsUser(kBob, [] {
    Fd fd = OpenOk("open/f", O_WRONLY);
    CHECK_EQ(write(fd, "C", 1), 1);
    CHECK_EQ(Fstat(fd).st_mode & 07777, 0777);  // at once, before close
  });
  CHECK_EQ(Mode("open/f"), 0777);
  CHECK_EQ(Stat("open/f").st_uid, 0);
}

TEST_F(RegressionUsersTest, FifoIsNotOpenedWithoutPermission) {
  CHECK_OK(mkfifo("open/p", 0600));
  CHECK_ERRNO_AS(kNobody, open("open/p", O_RDONLY | O_NONBLOCK), EACCES);
  CHECK_ERRNO_AS(kNobody, open("open/p", O_RDWR), EACCES);
  CHECK_OK(chmod("open/p", 0604));
  CHECK_OK_AS(kNobody, open("open/p", O_RDONLY | O_NONBLOCK));
  CHECK_ERRNO_AS(kNobody, open("open/p", O_WRONLY | O_NONBLOCK), EACCES);
}

TEST_F(RegressionUsersTest, StickyBitProtectsAgainstEveryRemoval) {
  CHECK_OK(chmod("open", 01777));
  CHECK_OK_AS(kAlice, open("open/alice", O_WRONLY | O_CREAT, 0666));
  CHECK_OK_AS(kBob, open("open/bob", O_WRONLY | O_CREAT, 0666));
  CHECK_ERRNO_AS(kBob, unlink("open/alice"), EPERM);
  CHECK_ERRNO_AS(kBob, rename("open/bob", "open/alice"), EPERM);
  CHECK_ERRNO_AS(kBob, rename("open/alice", "open/stolen"), EPERM);
  CHECK_OK_AS(kAlice, unlink("open/alice"));
}

TEST_F(RegressionUsersTest, PermissionTakenAwayIsGoneAtOnce) {
  WriteFile("open/f", "x");
  for (int i = 0; i < 10; ++i) {
    CHECK_OK(chmod("open/f", 0644));
    CHECK_OK_AS(kNobody, open("open/f", O_RDONLY));
    CHECK_OK(chmod("open/f", 0640));
    CHECK_ERRNO_AS(kNobody, open("open/f", O_RDONLY), EACCES);
  }
}

TEST_F(RegressionUsersTest, SupplementaryGroupsCount) {
  WriteFile("open/f", "x", 0660);
  CHECK_OK(chown("open/f", 0, 4242));
  CHECK_OK(chmod("open/f", 0660));
  CHECK_ERRNO_AS(kAlice, open("open/f", O_RDWR), EACCES);
  const User member{12345, 12345, {1, 2, 4242}};
  CHECK_OK_AS(member, open("open/f", O_RDWR));
}

TEST_F(RegressionUsersTest, ReadOnlyModeDoesNotStopTheCreatorsDescriptor) {
  AsUser(kAlice, [] {
    Fd fd = OpenOk("open/f", O_RDWR | O_CREAT | O_EXCL, 0444);
    CHECK_EQ(write(fd, "content", 7), 7);
    CHECK_OK(ftruncate(fd, 3));
    CHECK_OK(fsync(fd));
    CHECK_OK(fd.Close());
    CHECK_ERRNO(open("open/f", O_WRONLY), EACCES);
  });
  CHECK_EQ(ReadFile("open/f"), "con");
  CHECK_EQ(Mode("open/f"), 0444);
}

}  // namespace
}  // namespace kfs::posix_test
