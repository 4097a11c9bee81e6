// Symbolic links: targets are opaque bytes, followed or not as each call says.
#include <climits>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class SymlinkTest : public PosixTest {
 protected:
  static std::string ReadLink(const char* path) {
    std::string target(5000, '\0');
    ssize_t n = readlink(path, target.data(), target.size());
    return n < 0 ? "readlink: " + ErrnoName(errno) : target.substr(0, static_cast<size_t>(n));
  }
};

TEST_F(SymlinkTest, TargetIsKeptByteForByte) {
  for (std::string target :
       {"f", "../x/./y//z/", "/absolute/none", " blank ", "new\nline", "\xff\xfe bytes", "übung"}) {
    CHECK_OK(symlink(target.c_str(), "s"));
    CHECK_EQ(ReadLink("s"), target);
    CHECK_EQ(Lstat("s").st_size, target.size());
    CHECK_TRUE(S_ISLNK(Lstat("s").st_mode));
    CHECK_EQ(Mode("s"), 0777);
    CHECK_OK(unlink("s"));
  }
}

TEST_F(SymlinkTest, TargetsOfEveryLengthUpTo4095) {
  for (size_t length : {1u, 59u, 60u, 61u, 255u, 256u, 1023u, 1024u, 2048u, 4094u, 4095u}) {
    std::string target = std::string(length, 'a');
    for (size_t i = 200; i < length; i += 200) target[i] = '/';
    CHECK_OK(symlink(target.c_str(), "s"));
    CHECK_TRUE(ReadLink("s") == target);
    CHECK_EQ(Lstat("s").st_size, length);
    CHECK_OK(unlink("s"));
  }
}

TEST_F(SymlinkTest, TooLongOrEmptyTargetIsRefused) {
  CHECK_ERRNO(symlink(std::string(4096, 'a').c_str(), "s"), ENAMETOOLONG);
  CHECK_ERRNO(symlink("", "s"), ENOENT);
  CHECK_FALSE(Exists("s"));
}

TEST_F(SymlinkTest, RefusesATakenNameAndMisplacedOnes) {
  WriteFile("f", "x");
  CHECK_OK(symlink("nowhere", "s"));
  CHECK_ERRNO(symlink("f", "f"), EEXIST);
  CHECK_ERRNO(symlink("f", "s"), EEXIST);
  CHECK_ERRNO(symlink("f", "."), EEXIST);
  CHECK_ERRNO(symlink("f", "missing/s"), ENOENT);
  CHECK_ERRNO(symlink("f", "f/s"), ENOTDIR);
  CHECK_ERRNO(symlink("f", ""), ENOENT);
  CHECK_EQ(ReadLink("s"), "nowhere");
}

TEST_F(SymlinkTest, ReadlinkTruncatesToTheBufferWithoutATerminator) {
  CHECK_OK(symlink("0123456789", "s"));
  char buffer[6] = "#####";
  CHECK_EQ(readlink("s", buffer, 4), 4);
  CHECK_EQ(std::string(buffer, 5), "0123#");
  CHECK_ERRNO(readlink("s", buffer, 0), EINVAL);
}

TEST_F(SymlinkTest, ReadlinkOfOtherThingsIsRefused) {
  char buffer[16];
  WriteFile("f", "x");
  CHECK_ERRNO(readlink("f", buffer, sizeof buffer), EINVAL);
  CHECK_ERRNO(readlink(".", buffer, sizeof buffer), EINVAL);
  CHECK_ERRNO(readlink("missing", buffer, sizeof buffer), ENOENT);
  CHECK_ERRNO(readlink("f/s", buffer, sizeof buffer), ENOTDIR);
}

TEST_F(SymlinkTest, LoopsAreEloopEverywhere) {
  CHECK_OK(symlink("b", "a"));
  CHECK_OK(symlink("a", "b"));
  CHECK_OK(symlink("self", "self"));
  struct stat st;
  CHECK_ERRNO(stat("a", &st), ELOOP);
  CHECK_ERRNO(open("a", O_RDONLY), ELOOP);
  CHECK_ERRNO(open("self", O_WRONLY | O_CREAT, 0644), ELOOP);
  CHECK_ERRNO(open("self/below", O_RDONLY), ELOOP);
  CHECK_ERRNO(chmod("a", 0644), ELOOP);
  CHECK_ERRNO(truncate("a", 0), ELOOP);
  CHECK_ERRNO(access("a", F_OK), ELOOP);
  CHECK_ERRNO(chdir("a"), ELOOP);
  CHECK_ERRNO(mkdir("a/d", 0755), ELOOP);
  CHECK_ERRNO(rename("a/x", "y"), ELOOP);
  CHECK_OK(lstat("a", &st));
}

TEST_F(SymlinkTest, FortyLinksAreFollowedAndFortyOneAreNot) {
  WriteFile("s0", "end");
  for (int i = 1; i <= 41; ++i) {
    CHECK_OK(symlink(("s" + std::to_string(i - 1)).c_str(), ("s" + std::to_string(i)).c_str()));
  }
  CHECK_EQ(ReadFile("s40"), "end");
  CHECK_ERRNO(open("s41", O_RDONLY), ELOOP);
}

TEST_F(SymlinkTest, DanglingLinkIsEnoentWhenFollowed) {
  CHECK_OK(symlink("nowhere", "s"));
  struct stat st;
  CHECK_ERRNO(stat("s", &st), ENOENT);
  CHECK_ERRNO(open("s", O_RDONLY), ENOENT);
  CHECK_ERRNO(chmod("s", 0600), ENOENT);
  CHECK_ERRNO(truncate("s", 1), ENOENT);
  CHECK_ERRNO(mkdir("s", 0755), EEXIST);
  CHECK_ERRNO(rmdir("s"), ENOTDIR);
  CHECK_OK(unlink("s"));
}

TEST_F(SymlinkTest, UnlinkAndRenameActOnTheLink) {
  WriteFile("f", "x");
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(rename("s", "t"));
  CHECK_EQ(ReadLink("t"), "f");
  CHECK_OK(unlink("t"));
  CHECK_EQ(ReadFile("f"), "x");
}

TEST_F(SymlinkTest, PathsGoThroughLinkedDirectories) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("d", "s"));
  WriteFile("s/f", "x");
  CHECK_EQ(ReadFile("d/f"), "x");
  CHECK_OK(mkdir("s/e", 0755));
  CHECK_EQ(Stat("s/e/..").st_ino, Stat("d").st_ino);
  CHECK_ERRNO(rmdir("s"), ENOTDIR);
  CHECK_EQ(Lstat("s/").st_ino, Stat("d").st_ino);
  CHECK_OK(symlink(dir().c_str(), "absolute"));
  CHECK_EQ(ReadFile("absolute/s/f"), "x");
}

TEST_F(SymlinkTest, LchownChangesTheLinkAndChownItsTarget) {
  NEEDS_ROOT();
  WriteFile("f", "x");
  CHECK_OK(symlink("f", "s"));
  CHECK_OK(lchown("s", 11, 22));
  CHECK_EQ(Lstat("s").st_uid, 11);
  CHECK_EQ(Lstat("s").st_gid, 22);
  CHECK_EQ(Lstat("f").st_uid, 0);
  CHECK_OK(chown("s", 33, 44));
  CHECK_EQ(Lstat("f").st_uid, 33);
  CHECK_EQ(Lstat("s").st_uid, 11);
}

TEST_F(SymlinkTest, BelongsToItsCreator) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chmod("d", 0777));
  CHECK_OK_AS(kAlice, symlink("x", "d/s"));
  CHECK_EQ(Lstat("d/s").st_uid, kAlice.uid);
  CHECK_EQ(Lstat("d/s").st_gid, kAlice.gid);
  CHECK_OK(chmod("d", 0755));
  CHECK_ERRNO_AS(kAlice, symlink("x", "d/t"), EACCES);
}

}  // namespace
}  // namespace kfs::posix_test
