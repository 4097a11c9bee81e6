// The whole table of who changes a file how, and what is left of setuid, setgid and file capabilities: one
// rule, setattr_should_drop_suidgid in the kernel, for every operation.
#include <linux/capability.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "acl_blob.h"
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr gid_t kFileGroup = 4242;

struct Actor {
  const char* name;
  User user;
  bool in_group;
  bool keeps_ids;  // has CAP_FSETID
};
const Actor kActors[] = {
    {"owner", kAlice, false, false},
    {"owner and member", {kAlice.uid, kAlice.gid, {kFileGroup}}, true, false},
    {"stranger", kBob, false, false},
    {"member", {kBob.uid, kBob.gid, {kFileGroup}}, true, false},
    {"primary member", {kBob.uid, kFileGroup, {}}, true, false},
    {"root", {0, 0, {}}, false, true},
    {"root without capabilities", {0, 0, {}}, false, false},
    {"member root without capabilities", {0, 0, {kFileGroup}}, true, false},
};

struct Change {
  const char* name;
  int (*run)();
};
int OnDescriptor(int flags, int (*run)(int fd)) {
  int fd = open("f", flags);
  if (fd < 0) return errno;
  int error = run(fd) < 0 ? errno : 0;
  close(fd);
  return error;
}
const Change kChanges[] = {
    {"write",
     [] { return OnDescriptor(O_WRONLY, [](int fd) { return static_cast<int>(write(fd, "y", 1)); }); }},
    {"pwrite",
     [] { return OnDescriptor(O_RDWR, [](int fd) { return static_cast<int>(pwrite(fd, "y", 1, 5000)); }); }},
    {"append",
     [] {
       return OnDescriptor(O_WRONLY | O_APPEND, [](int fd) { return static_cast<int>(write(fd, "y", 1)); });
     }},
    {"truncate", [] { return Errno(truncate("f", 10)); }},
    {"truncate to the same size", [] { return Errno(truncate("f", 8192)); }},
    {"ftruncate", [] { return OnDescriptor(O_WRONLY, [](int fd) { return ftruncate(fd, 9000); }); }},
    {"O_TRUNC", [] { return OnDescriptor(O_WRONLY | O_TRUNC, [](int) { return 0; }); }},
    {"fallocate", [] { return OnDescriptor(O_WRONLY, [](int fd) { return fallocate(fd, 0, 0, 20000); }); }},
    {"fallocate keep size",
     [] {
       return OnDescriptor(O_WRONLY, [](int fd) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20000); });
     }},
    {"punch hole",
     [] {
       return OnDescriptor(O_WRONLY, [](int fd) {
         return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
       });
     }},
    {"zero range",
     [] {
       return OnDescriptor(O_WRONLY, [](int fd) { return fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096); });
     }},
    {"copy_file_range",
     [] {
       return OnDescriptor(O_WRONLY, [](int fd) {
         Fd from(open("source", O_RDONLY));
         return static_cast<int>(copy_file_range(from, nullptr, fd, nullptr, 4096, 0));
       });
     }},
};

class PrivilegeMatrixTest : public PosixTest {
 protected:
  void SetUp() override {
    PosixTest::SetUp();
    CHECK_OK(chmod(".", 0777));
    WriteFile("source", std::string(8192, 's'));
  }

  static void MakeFile(mode_t mode, bool capabilities, bool acl) {
    unlink("f");
    WriteFile("f", std::string(8192, 'x'));
    CHECK_OK(chown("f", kAlice.uid, kFileGroup));
    if (acl) {
      CHECK_OK(SetAcl("f", kAccessAcl,
                      {{kUserObj, 6}, {kUser, 6, kBob.uid}, {kGroupObj, 6}, {kMask, 7}, {kOther, 6}}));
    }
    CHECK_OK(chmod("f", mode));
    if (!capabilities) return;
    // vfs_cap_data version 2: cap_net_raw, effective and permitted.
    const unsigned char data[20] = {1, 0, 0, 2, 0, 0x20};
    CHECK_OK(setxattr("f", "security.capability", data, sizeof data, 0));
  }

  static bool HasCapabilities() { return getxattr("f", "security.capability", nullptr, 0) > 0; }

  static void GiveUpCapabilities() {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    CHECK_OK(syscall(SYS_capset, &header, none));
  }

  static int RunAs(const Actor& actor, int (*run)()) {
    return AsUser(actor.user, [&] {
      if (actor.user.uid == 0 && !actor.keeps_ids) GiveUpCapabilities();
      return run();
    });
  }

  static mode_t Expected(mode_t mode, const Actor& actor) {
    if (actor.keeps_ids) return mode;
    mode &= ~mode_t{S_ISUID};
    if ((mode & S_IXGRP) != 0 || !actor.in_group) mode &= ~mode_t{S_ISGID};
    return mode;
  }

  static void CheckAll(std::initializer_list<mode_t> modes, bool capabilities, bool acl) {
    for (const Actor& actor : kActors) {
      for (const Change& change : kChanges) {
        for (mode_t mode : modes) {
          MakeFile(mode, capabilities, acl);
          const int error = RunAs(actor, change.run);
          char text[200];
          snprintf(text, sizeof text, "%s of a file %04o by %s", change.name, mode, actor.name);
          EXPECT_EQ(error, 0) << text << ": " << ErrnoName(error);
          EXPECT_EQ(Mode("f"), Expected(mode, actor)) << text;
          EXPECT_FALSE(capabilities && HasCapabilities()) << text;
          CountAssertion();
        }
      }
    }
  }
};

TEST_F(PrivilegeMatrixTest, EveryChangeByEverybody) {
  NEEDS_ROOT();
  CheckAll({06777, 06666}, false, false);
}

TEST_F(PrivilegeMatrixTest, EveryChangeByEverybodyOfOneBit) {
  NEEDS_ROOT();
  CheckAll({04666, 02666, 02777}, false, false);
}

TEST_F(PrivilegeMatrixTest, FileCapabilitiesGoWhoeverChangesTheFile) {
  NEEDS_ROOT();
  CheckAll({0777, 0666}, true, false);
}

TEST_F(PrivilegeMatrixTest, TheMaskOfAnAclIsTheGroupExecution) {
  NEEDS_ROOT();
  CheckAll({06676, 02666}, false, true);
  CHECK_EQ(GetAcl("f", kAccessAcl).size(), 5);
}

TEST_F(PrivilegeMatrixTest, ChangesByOwnersOfOwnerAndGroup) {
  NEEDS_ROOT();
  const Actor owner{"owner", {kAlice.uid, kAlice.gid, {kFileGroup, 7}}, true, false};
  const Actor outside{"owner outside", {kAlice.uid, kAlice.gid, {7}}, false, false};
  for (mode_t mode : {04777, 02777, 06777, 04666, 02666, 06666}) {
    MakeFile(mode, true, false);
    CHECK_EQ(RunAs(owner, [] { return Errno(chown("f", static_cast<uid_t>(-1), 7)); }), 0);
    CHECK_EQ(Mode("f"), Expected(mode, owner));
    CHECK_FALSE(HasCapabilities());
    MakeFile(mode, true, false);
    CHECK_EQ(RunAs(outside, [] { return Errno(chown("f", static_cast<uid_t>(-1), 7)); }), 0);
    CHECK_EQ(Mode("f"), Expected(mode, outside));
    CHECK_FALSE(HasCapabilities());
    // Root is as good as a member.
    MakeFile(mode, true, false);
    CHECK_OK(chown("f", kBob.uid, kBob.gid));
    CHECK_EQ(Mode("f"), Expected(mode, owner));
    CHECK_FALSE(HasCapabilities());
  }
}

TEST_F(PrivilegeMatrixTest, AWriteByAMemberDoesNotLoseItsData) {
  NEEDS_ROOT();
  MakeFile(02666, false, false);
  const User member{kBob.uid, kBob.gid, {kFileGroup}};
  CHECK_EQ(AsUser(member,
                  [] {
                    Fd fd(open("f", O_WRONLY | O_APPEND));
                    for (int i = 0; i < 10; ++i) CHECK_EQ(write(fd, "0123456789", 10), 10);
                  }),
           0);
  std::string expected(8192, 'x');
  for (int i = 0; i < 10; ++i) expected += "0123456789";
  CHECK_TRUE(ReadFile("f") == expected);
  CHECK_EQ(Mode("f"), 02666);
}

TEST_F(PrivilegeMatrixTest, CapabilitiesCannotBeTakenByHand) {
  NEEDS_ROOT();
  MakeFile(0777, true, false);
  CHECK_ERRNO_AS(kBob, removexattr("f", "security.capability"), EPERM);
  CHECK_ERRNO_AS(kAlice, removexattr("f", "security.capability"), EPERM);
  CHECK_TRUE(HasCapabilities());
}

}  // namespace
}  // namespace kfs::posix_test
