// POSIX ACLs as permissions: the algorithm of acl(5), entry by entry, for other users.
#include "acl_blob.h"

namespace kfs::posix_test {
namespace {

const User kCarol{3001, 3001, {}};
const User kCarolInTeam{3001, 3001, {4001}};
const User kDaveInTeam{3002, 3002, {4001}};
const User kDaveInBoth{3002, 3002, {4001, 4002}};

class AclEnforcementTest : public PosixTest {
 protected:
  static void MakeFile(const std::vector<AclEntry>& acl) {
    WriteFile("f", "content", 0600);
    CHECK_OK(SetAcl("f", kAccessAcl, acl));
  }
};

#define CAN_READ(user) CHECK_OK_AS(user, open("f", O_RDONLY))
#define CAN_WRITE(user) CHECK_OK_AS(user, open("f", O_WRONLY))
#define NO_READ(user) CHECK_ERRNO_AS(user, open("f", O_RDONLY), EACCES)
#define NO_WRITE(user) CHECK_ERRNO_AS(user, open("f", O_WRONLY), EACCES)

TEST_F(AclEnforcementTest, NamedUserGetsItsOwnPermissions) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kUser, 4, 3001}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}});
  CAN_READ(kCarol);
  NO_WRITE(kCarol);
  NO_READ(kDaveInTeam);
  CHECK_OK_AS(kCarol, access("f", R_OK));
  CHECK_ERRNO_AS(kCarol, access("f", W_OK), EACCES);
}

TEST_F(AclEnforcementTest, MaskLimitsNamedEntries) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kUser, 6, 3001}, {kGroupObj, 6}, {kGroup, 6, 4001}, {kMask, 4}, {kOther, 0}});
  CAN_READ(kCarol);
  NO_WRITE(kCarol);
  CAN_READ(kDaveInTeam);
  NO_WRITE(kDaveInTeam);
  CHECK_OK(chmod("f", 0660));
  CAN_WRITE(kCarol);
  CAN_WRITE(kDaveInTeam);
  CHECK_OK(chmod("f", 0600));
  NO_READ(kCarol);
  NO_READ(kDaveInTeam);
}

TEST_F(AclEnforcementTest, NamedUserIsNotHelpedByGroupOrOther) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kUser, 0, 3001}, {kGroupObj, 6}, {kGroup, 6, 4001}, {kMask, 7}, {kOther, 6}});
  NO_READ(kCarolInTeam);
  NO_WRITE(kCarolInTeam);
  CAN_READ(kDaveInTeam);
  CAN_WRITE(kNobody);
}

TEST_F(AclEnforcementTest, NamedGroupsCountThroughSupplementaryGroups) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kGroupObj, 0}, {kGroup, 4, 4001}, {kGroup, 2, 4002}, {kMask, 7}, {kOther, 0}});
  CAN_READ(kDaveInTeam);
  NO_WRITE(kDaveInTeam);
  CAN_READ(kDaveInBoth);
  CAN_WRITE(kDaveInBoth);
  CHECK_ERRNO_AS(kDaveInBoth, open("f", O_RDWR), EACCES);  // no single entry grants both
  NO_READ(kCarol);
  const User primary{3003, 4001, {}};
  CAN_READ(primary);
}

TEST_F(AclEnforcementTest, MatchingGroupIsNotHelpedByOther) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kGroupObj, 0}, {kGroup, 0, 4001}, {kMask, 7}, {kOther, 6}});
  NO_READ(kDaveInTeam);
  CAN_READ(kCarol);
}

TEST_F(AclEnforcementTest, OwnerHasTheOwnerEntryWhateverElseIsSaid) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 4}, {kUser, 6, 3001}, {kGroupObj, 6}, {kMask, 6}, {kOther, 6}});
  CHECK_OK(chown("f", 3001, 3001));
  CAN_READ(kCarol);
  NO_WRITE(kCarol);
}

TEST_F(AclEnforcementTest, DirectoriesAreSearchedByAcl) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0700));
  WriteFile("d/f", "x");
  CHECK_ERRNO_AS(kCarol, open("d/f", O_RDONLY), EACCES);
  CHECK_OK(
      SetAcl("d", kAccessAcl, {{kUserObj, 7}, {kUser, 1, 3001}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}}));
  CHECK_OK_AS(kCarol, open("d/f", O_RDONLY));
  CHECK_ERRNO_AS(kCarol, open("d", O_RDONLY), EACCES);
  CHECK_ERRNO_AS(kCarol, unlink("d/f"), EACCES);
  CHECK_ERRNO_AS(kDaveInTeam, open("d/f", O_RDONLY), EACCES);
  CHECK_OK(
      SetAcl("d", kAccessAcl, {{kUserObj, 7}, {kUser, 3, 3001}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}}));
  CHECK_OK_AS(kCarol, unlink("d/f"));
}

TEST_F(AclEnforcementTest, InheritedAclIsEnforced) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(
      SetAcl("d", kDefaultAcl, {{kUserObj, 7}, {kUser, 6, 3001}, {kGroupObj, 0}, {kMask, 7}, {kOther, 0}}));
  umask(077);
  WriteFile("d/f", "x", 0660);
  CHECK_OK_AS(kCarol, open("d/f", O_RDWR));
  CHECK_ERRNO_AS(kDaveInTeam, open("d/f", O_RDONLY), EACCES);
}

TEST_F(AclEnforcementTest, RemovalTakesThePermissionAtOnce) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  MakeFile({{kUserObj, 6}, {kUser, 6, 3001}, {kGroupObj, 0}, {kMask, 6}, {kOther, 0}});
  CAN_READ(kCarol);
  CHECK_OK(SetAcl("f", kAccessAcl, {{kUserObj, 6}, {kGroupObj, 0}, {kOther, 0}}));
  NO_READ(kCarol);
}

TEST_F(AclEnforcementTest, OnlyTheOwnerSetsAcls) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(chmod("f", 0666));
  std::vector<AclEntry> acl = {{kUserObj, 6}, {kUser, 6, 3001}, {kGroupObj, 0}, {kMask, 6}, {kOther, 0}};
  CHECK_ERRNO_AS(kCarol, SetAcl("f", kAccessAcl, acl), EPERM);
  CHECK_ERRNO_AS(kCarol, removexattr("f", kAccessAcl), EPERM);
  CHECK_OK(chown("f", 3001, 3001));
  CHECK_OK_AS(kCarol, SetAcl("f", kAccessAcl, acl));
  CHECK_OK_AS(kDaveInTeam, getxattr("f", kAccessAcl, nullptr, 0));
}

TEST_F(AclEnforcementTest, SettingAnAclAsNonMemberDropsSetgid) {
  NEEDS_ROOT();
  NEEDS_ACLS();
  WriteFile("f", "x");
  CHECK_OK(chown("f", 3001, 4242));  // Carol is not in 4242
  CHECK_OK(chmod("f", 02755));
  CHECK_OK_AS(kCarol, SetAcl("f", kAccessAcl,
                             {{kUserObj, 7}, {kUser, 5, 3002}, {kGroupObj, 5}, {kMask, 7}, {kOther, 0}}));
  CHECK_EQ(Mode("f") & 02000, 0);
}

}  // namespace
}  // namespace kfs::posix_test
