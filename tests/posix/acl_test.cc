// POSIX ACLs as data: what is stored, how it and the mode bits follow each other, what is refused.
#include "acl_blob.h"

namespace kfs::posix_test {
namespace {

class AclTest : public PosixTest {
 protected:
  static int Remove(const char* path, const char* which) { return removexattr(path, which); }
};

TEST_F(AclTest, PlainFilesHaveNone) {
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO(getxattr("f", kAccessAcl, nullptr, 0), ENODATA);
  CHECK_ERRNO(getxattr("d", kAccessAcl, nullptr, 0), ENODATA);
  CHECK_ERRNO(getxattr("d", kDefaultAcl, nullptr, 0), ENODATA);
  char names[256];
  ssize_t size = listxattr("f", names, sizeof names);
  CHECK_TRUE(size >= 0 &&
             std::string(names, static_cast<size_t>(size)).find("posix_acl") == std::string::npos);
}

TEST_F(AclTest, ExtendedAclIsStoredAndListed) {
  NEEDS_ACLS();
  WriteFile("f", "x");
  std::vector<AclEntry> acl = {{kUserObj, 6},     {kUser, 4, 1001}, {kGroupObj, 4},
                               {kGroup, 6, 2002}, {kMask, 6},       {kOther, 0}};
  CHECK_OK(SetAcl("f", kAccessAcl, acl));
  CHECK_TRUE(GetAcl("f", kAccessAcl) == acl);
  char names[256];
  ssize_t size = listxattr("f", names, sizeof names);
  CHECK_TRUE(size > 0 && std::string(names, static_cast<size_t>(size)).find(kAccessAcl) != std::string::npos);
  CHECK_EQ(getxattr("f", kAccessAcl, nullptr, 0), 4 + 8 * 6);
  CHECK_ERRNO(getxattr("f", kAccessAcl, names, 10), ERANGE);
}

TEST_F(AclTest, GroupBitsOfTheModeAreTheMask) {
  NEEDS_ACLS();
  WriteFile("f", "x", 0600);
  CHECK_OK(
      SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUser, 7, 1001}, {kGroupObj, 4}, {kMask, 5}, {kOther, 1}}));
  CHECK_EQ(Mode("f"), 0651);
  CHECK_OK(
      SetAcl("f", kAccessAcl, {{kUserObj, 7}, {kUser, 7, 1001}, {kGroupObj, 4}, {kMask, 7}, {kOther, 0}}));
  CHECK_EQ(Mode("f"), 0770);
}

TEST_F(AclTest, ChmodChangesTheMaskAndNotTheGroupEntry) {
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(
      SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 7}, {kOther, 4}}));
  CHECK_OK(chmod("f", 0640));
  CHECK_EQ(Mode("f"), 0640);
  std::vector<AclEntry> wanted = {{kUserObj, 6}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 4}, {kOther, 0}};
  CHECK_TRUE(GetAcl("f", kAccessAcl) == wanted);
  CHECK_OK(chmod("f", 0777));
  wanted = {{kUserObj, 7}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 7}, {kOther, 7}};
  CHECK_TRUE(GetAcl("f", kAccessAcl) == wanted);
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_OK(fchmod(fd, 0700));
  CHECK_EQ(GetAcl("f", kAccessAcl)[3].permissions, 0);
}

TEST_F(AclTest, AclEquivalentToAModeIsStoredAsTheMode) {
  NEEDS_ACLS();
  WriteFile("f", "x", 0600);
  CHECK_OK(SetAcl("f", kAccessAcl, {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 1}}));
  CHECK_EQ(Mode("f"), 0751);
  CHECK_ERRNO(getxattr("f", kAccessAcl, nullptr, 0), ENODATA);
  CHECK_OK(
      SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUser, 6, 1001}, {kGroupObj, 4}, {kMask, 6}, {kOther, 0}}));
  CHECK_OK(SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}));
  CHECK_ERRNO(getxattr("f", kAccessAcl, nullptr, 0), ENODATA);
  CHECK_EQ(Mode("f"), 0640);
}

TEST_F(AclTest, RemovalLeavesTheMode) {
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(
      SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUser, 6, 1001}, {kGroupObj, 4}, {kMask, 6}, {kOther, 0}}));
  CHECK_OK(Remove("f", kAccessAcl));
  CHECK_ERRNO(getxattr("f", kAccessAcl, nullptr, 0), ENODATA);
  CHECK_EQ(Mode("f") & 0707, 0600);
  CHECK_ERRNO(getxattr("f", kDefaultAcl, nullptr, 0), ENODATA);
  CHECK_OK(Remove("f", kAccessAcl));  // there is none any more: that is what was asked for
  CHECK_OK(SetAcl("f", kAccessAcl, {}));
}

TEST_F(AclTest, MalformedAclsAreEinval) {
  NEEDS_ACLS();
  WriteFile("f", "x", 0644);
  auto Set = [](const std::string& bytes) {
    return setxattr("f", kAccessAcl, bytes.data(), bytes.size(), 0);
  };
  CHECK_ERRNO(SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kGroupObj, 4}}), EINVAL);
  CHECK_ERRNO(SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUser, 6, 1001}, {kGroupObj, 4}, {kOther, 0}}),
              EINVAL);
  CHECK_ERRNO(SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}), EINVAL);
  CHECK_ERRNO(SetAcl("f", kAccessAcl, {{kUserObj, 9}, {kGroupObj, 4}, {kOther, 0}}), EINVAL);
  CHECK_ERRNO(SetAcl("f", kAccessAcl, {{99, 6}, {kGroupObj, 4}, {kOther, 0}}), EINVAL);
  CHECK_ERRNO(Set(AclBytes({{kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}, 1)), EOPNOTSUPP, EINVAL);
  CHECK_ERRNO(Set(AclBytes({{kUserObj, 6}, {kGroupObj, 4}, {kOther, 0}}) + "x"), EINVAL);
  CHECK_ERRNO(Set("ab"), EINVAL);
  CHECK_EQ(Mode("f"), 0644);
  CHECK_ERRNO(getxattr("f", kAccessAcl, nullptr, 0), ENODATA);
}

TEST_F(AclTest, DefaultAclBelongsToDirectories) {
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  std::vector<AclEntry> acl = {{kUserObj, 7}, {kGroupObj, 5}, {kOther, 0}};
  CHECK_ERRNO(SetAcl("f", kDefaultAcl, acl), EACCES);
  CHECK_OK(SetAcl("d", kDefaultAcl, acl));
  CHECK_TRUE(GetAcl("d", kDefaultAcl) == acl);
  CHECK_EQ(Mode("d"), 0755);
  CHECK_OK(Remove("d", kDefaultAcl));
  CHECK_ERRNO(getxattr("d", kDefaultAcl, nullptr, 0), ENODATA);
}

TEST_F(AclTest, NewFileInheritsTheDefaultAclAndIgnoresTheUmask) {
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(
      SetAcl("d", kDefaultAcl, {{kUserObj, 7}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 7}, {kOther, 5}}));
  umask(077);
  WriteFile("d/f", "x", 0666);
  std::vector<AclEntry> wanted = {{kUserObj, 6}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 6}, {kOther, 4}};
  CHECK_TRUE(GetAcl("d/f", kAccessAcl) == wanted);
  CHECK_EQ(Mode("d/f"), 0664);
  CHECK_ERRNO(getxattr("d/f", kDefaultAcl, nullptr, 0), ENODATA, EACCES);
  CHECK_OK(mkfifo("d/p", 0666));
  CHECK_EQ(Mode("d/p"), 0664);
  WriteFile("d/private", "x", 0600);
  CHECK_EQ(Mode("d/private"), 0600);
  CHECK_EQ(GetAcl("d/private", kAccessAcl)[3].permissions, 0);
  Fd tmp = OpenOk("d", O_TMPFILE | O_RDWR, 0666);
  CHECK_EQ(Fstat(tmp).st_mode & 0777, 0664);
}

TEST_F(AclTest, NewDirectoryInheritsBothAcls) {
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0755));
  std::vector<AclEntry> acl = {{kUserObj, 7}, {kUser, 5, 1001}, {kGroupObj, 5}, {kMask, 7}, {kOther, 0}};
  CHECK_OK(SetAcl("d", kDefaultAcl, acl));
  umask(0);
  CHECK_OK(mkdir("d/sub", 0777));
  CHECK_TRUE(GetAcl("d/sub", kDefaultAcl) == acl);
  CHECK_TRUE(GetAcl("d/sub", kAccessAcl) == acl);
  CHECK_EQ(Mode("d/sub"), 0770);
  CHECK_OK(mkdir("d/sub/deeper", 0700));
  CHECK_TRUE(GetAcl("d/sub/deeper", kDefaultAcl) == acl);
  CHECK_EQ(Mode("d/sub/deeper"), 0700);
}

TEST_F(AclTest, MinimalDefaultAclGivesAModeOnly) {
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(SetAcl("d", kDefaultAcl, {{kUserObj, 7}, {kGroupObj, 6}, {kOther, 2}}));
  umask(077);
  WriteFile("d/f", "x", 0666);
  CHECK_EQ(Mode("d/f"), 0662);
  CHECK_ERRNO(getxattr("d/f", kAccessAcl, nullptr, 0), ENODATA);
}

TEST_F(AclTest, SymlinksIgnoreDefaultAcls) {
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(
      SetAcl("d", kDefaultAcl, {{kUserObj, 7}, {kUser, 7, 1001}, {kGroupObj, 5}, {kMask, 7}, {kOther, 5}}));
  CHECK_OK(symlink("x", "d/s"));
  CHECK_EQ(Mode("d/s"), 0777);
  CHECK_ERRNO(lgetxattr("d/s", kAccessAcl, nullptr, 0), ENODATA, EOPNOTSUPP);
  CHECK_OK(mkdir("plain", 0755));
  WriteFile("d/f", "x", 0666);
  CHECK_OK(rename("d/f", "plain/f"));  // a move keeps what the file has
  CHECK_EQ(GetAcl("plain/f", kAccessAcl).size(), 5);
}

}  // namespace
}  // namespace kfs::posix_test
