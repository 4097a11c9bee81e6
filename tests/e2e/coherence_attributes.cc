// Modes, owners, times and extended attributes set on A are so on B at once.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "coherence.h"

namespace kfs::coherence {
namespace {

constexpr uid_t kOtherUser = 65534;

mode_t Mode(const std::string& path) {
  struct stat s;
  return stat(path.c_str(), &s) == 0 ? s.st_mode & 07777 : 0;
}
std::string GetXattr(const std::string& path, const char* name) {
  char buffer[1024];
  ssize_t n = getxattr(path.c_str(), name, buffer, sizeof buffer);
  return n < 0 ? "" : std::string(buffer, static_cast<size_t>(n));
}
int SetXattr(const std::string& path, const char* name, const std::string& value, int flags = 0) {
  return setxattr(path.c_str(), name, value.data(), value.size(), flags);
}
// True if an unprivileged process can open it.
bool OtherUserOpens(const std::string& path) {
  Peer other([&](Peer&) {
    if (setgid(kOtherUser) != 0 || setuid(kOtherUser) != 0) return 2;
    return open(path.c_str(), O_RDONLY) >= 0 ? 0 : 1;
  });
  return other.EndsWell();
}

std::string ChmodSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  for (mode_t mode : {0600, 0755, 0, 04711, 0644}) {
    EXPECT(chmod((d.a + "/f").c_str(), mode) == 0);
    EXPECT(Mode(d.b + "/f") == mode);
  }
  return "";
}
std::string ChmodEnforced(const Dirs& d) {
  if (geteuid() != 0) return "";
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT(OtherUserOpens(d.b + "/f"));
  EXPECT(chmod((d.a + "/f").c_str(), 0600) == 0);
  EXPECT(!OtherUserOpens(d.b + "/f"));
  return "";
}
std::string DirectoryChmodEnforced(const Dirs& d) {
  if (geteuid() != 0) return "";
  EXPECT(mkdir((d.a + "/d").c_str(), 0755) == 0 && WriteFile(d.a + "/d/f", ""));
  EXPECT(OtherUserOpens(d.b + "/d/f"));
  EXPECT(chmod((d.a + "/d").c_str(), 0700) == 0);
  EXPECT(!OtherUserOpens(d.b + "/d/f"));
  return "";
}
std::string ChownSeen(const Dirs& d) {
  if (geteuid() != 0) return "";
  EXPECT(WriteFile(d.a + "/f", ""));
  struct stat s;
  EXPECT(stat((d.b + "/f").c_str(), &s) == 0);
  EXPECT(chown((d.a + "/f").c_str(), 1234, 5678) == 0);
  EXPECT(stat((d.b + "/f").c_str(), &s) == 0 && s.st_uid == 1234 && s.st_gid == 5678);
  return "";
}
std::string TimesSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  timespec times[2] = {{1000000001, 123456789}, {1500000002, 987654321}};
  EXPECT(utimensat(AT_FDCWD, (d.a + "/f").c_str(), times, 0) == 0);
  struct stat s;
  EXPECT(stat((d.b + "/f").c_str(), &s) == 0);
  EXPECT(s.st_atim.tv_sec == 1000000001 && s.st_atim.tv_nsec == 123456789);
  EXPECT(s.st_mtim.tv_sec == 1500000002 && s.st_mtim.tv_nsec == 987654321);
  return "";
}
std::string ChangeTimeSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  struct stat own, other;
  EXPECT(stat((d.b + "/f").c_str(), &other) == 0);
  EXPECT(chmod((d.a + "/f").c_str(), 0600) == 0);
  EXPECT(stat((d.a + "/f").c_str(), &own) == 0 && stat((d.b + "/f").c_str(), &other) == 0);
  EXPECT(own.st_ctim.tv_sec == other.st_ctim.tv_sec && own.st_ctim.tv_nsec == other.st_ctim.tv_nsec);
  return "";
}
std::string SetuidClearedByOthersWrite(const Dirs& d) {
  if (geteuid() != 0) return "";
  EXPECT(WriteFile(d.a + "/f", "x") && chmod((d.a + "/f").c_str(), 06777) == 0);
  EXPECT(Mode(d.b + "/f") == 06777);
  Peer other([&](Peer&) {
    if (setgid(kOtherUser) != 0 || setuid(kOtherUser) != 0) return 2;
    Fd fd(d.b + "/f", O_WRONLY);
    return fd.ok() && Write(fd, "y") ? 0 : 1;
  });
  EXPECT(other.EndsWell());
  EXPECT(Mode(d.a + "/f") == 0777 && Mode(d.b + "/f") == 0777);
  return "";
}
std::string XattrSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT_ERRNO(ENODATA, getxattr((d.b + "/f").c_str(), "user.k", nullptr, 0));
  EXPECT(SetXattr(d.a + "/f", "user.k", "one") == 0);
  EXPECT(GetXattr(d.b + "/f", "user.k") == "one");
  EXPECT(SetXattr(d.a + "/f", "user.k", "another") == 0);
  EXPECT(GetXattr(d.b + "/f", "user.k") == "another");
  return "";
}
std::string XattrRemovalSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "") && SetXattr(d.a + "/f", "user.k", "v") == 0);
  EXPECT(GetXattr(d.b + "/f", "user.k") == "v");
  EXPECT(removexattr((d.a + "/f").c_str(), "user.k") == 0);
  EXPECT_ERRNO(ENODATA, getxattr((d.b + "/f").c_str(), "user.k", nullptr, 0));
  return "";
}
std::string XattrListSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  char buffer[1024];
  ssize_t before = listxattr((d.b + "/f").c_str(), buffer, sizeof buffer);
  EXPECT(before >= 0 && SetXattr(d.a + "/f", "user.k", "v") == 0);
  EXPECT(listxattr((d.b + "/f").c_str(), buffer, sizeof buffer) == before + 7);
  return "";
}
std::string XattrCreateAndReplaceSeeOthers(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", ""));
  EXPECT_ERRNO(ENODATA, SetXattr(d.b + "/f", "user.k", "v", XATTR_REPLACE));
  EXPECT(SetXattr(d.a + "/f", "user.k", "v", XATTR_CREATE) == 0);
  EXPECT_ERRNO(EEXIST, SetXattr(d.b + "/f", "user.k", "v", XATTR_CREATE));
  EXPECT(SetXattr(d.b + "/f", "user.k", "w", XATTR_REPLACE) == 0);
  EXPECT(GetXattr(d.a + "/f", "user.k") == "w");
  return "";
}

}  // namespace

std::vector<Case> AttributeCases() {
  return {
      {"chmod is seen", ChmodSeen},
      {"chmod is enforced elsewhere", ChmodEnforced},
      {"chmod of a directory is enforced elsewhere", DirectoryChmodEnforced},
      {"chown is seen", ChownSeen},
      {"times are seen to the nanosecond", TimesSeen},
      {"ctime of chmod is seen", ChangeTimeSeen},
      {"setuid is cleared by another user's write", SetuidClearedByOthersWrite},
      {"setxattr is seen", XattrSeen},
      {"removexattr is seen", XattrRemovalSeen},
      {"a new xattr is listed", XattrListSeen},
      {"XATTR_CREATE and XATTR_REPLACE see the other's", XattrCreateAndReplaceSeeOthers},
  };
}

}  // namespace kfs::coherence
