#include "fuse/callers.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace kfs::fuse {
namespace {

std::string StatusText(const std::string& uids, const std::string& gids, const std::string& rest) {
  return "Name:\tx\nUid:\t" + uids + "\nGid:\t" + gids + "\nGroups:\t7 8 \nNSpid:\t12\nVmSize:\t 99 kB\n" +
         rest;
}

TEST(CallersTest, GroupsAndTheCapabilitiesThatMatterAreTaken) {
  Caller caller{.uid = 5, .gid = 6};
  ASSERT_TRUE(TakeFromStatus(StatusText("1\t2\t3\t5", "1\t2\t3\t6", "CapEff:\t000001ffffffffff\n"), &caller));
  EXPECT_EQ(caller.groups, (std::vector<uint32_t>{7, 8}));
  EXPECT_NE(caller.caps & 1u << CAP_FOWNER, 0u);
  EXPECT_NE(caller.caps & 1u << CAP_SETFCAP, 0u);
  EXPECT_EQ(caller.caps & 1u << CAP_NET_ADMIN, 0u);
}

TEST(CallersTest, OtherCredentialsThanTheRequestsAreNotTaken) {
  const std::string caps = "CapEff:\t0000000000000000\n";
  Caller caller{.uid = 5, .gid = 6};
  EXPECT_FALSE(
      TakeFromStatus(StatusText("5\t5\t5\t0", "6\t6\t6\t6", caps), &caller));  // an override in the kernel
  EXPECT_FALSE(TakeFromStatus(StatusText("5\t5\t5\t5", "6\t6\t6\t0", caps), &caller));
  EXPECT_FALSE(TakeFromStatus("", &caller));  // gone
  std::string thread = StatusText("5\t5\t5\t5", "6\t6\t6\t6", caps);
  thread.erase(thread.find("VmSize"), 8);
  EXPECT_FALSE(TakeFromStatus(thread, &caller));
  EXPECT_TRUE(caller.groups.empty());
  EXPECT_TRUE(TakeFromStatus(StatusText("5\t5\t5\t5", "6\t6\t6\t6", caps), &caller));
}

TEST(CallersTest, ProcOfAnotherPidNamespaceIsRecognised) {
  EXPECT_TRUE(ShowsOwnPids("Name:\tx\nNSpid:\t12\n", 12));
  EXPECT_FALSE(ShowsOwnPids("Name:\tx\nNSpid:\t4711\t12\n", 12));
  EXPECT_FALSE(ShowsOwnPids("Name:\tx\nNSpid:\t12\t12\n", 12));
  EXPECT_FALSE(ShowsOwnPids("", 12));
}

TEST(CallersTest, IdMapsBecomeOuterRanges) {
  EXPECT_EQ(MappedRanges("         0     100000      65536\n     65536          7          1\n"),
            (std::vector<uint32_t>{100000, 65536, 7, 1}));
  EXPECT_TRUE(MappedRanges("").empty());
}

TEST(CallersTest, OneselfIsKnown) {
  Caller caller{.uid = geteuid(), .gid = getegid(), .pid = static_cast<uint32_t>(getpid())};
  Callers callers;
  if (!callers.Sees(caller.pid)) GTEST_SKIP() << "/proc is of another PID namespace here";
  callers.Complete(&caller, 1);
  EXPECT_TRUE(caller.groups_known);
  EXPECT_FALSE(caller.kernel_checked);
  EXPECT_FALSE(caller.seen_owner);
  EXPECT_TRUE(caller.caps_uids.empty());
}

TEST(CallersTest, WhoCannotBeSeenIsTheKernelsToJudge) {
  Callers callers;
  for (uint32_t pid : {0u, 0x7ffffff0u}) {
    Caller caller{.uid = 5, .gid = 6, .groups_known = false, .pid = pid};
    callers.Complete(&caller, 17);
    EXPECT_TRUE(caller.groups_known);
    EXPECT_TRUE(caller.kernel_checked);
    EXPECT_EQ(caller.seen_owner, 17u);
  }
  Callers elsewhere("/nonexistent");
  EXPECT_FALSE(elsewhere.Sees(1));
}

}  // namespace
}  // namespace kfs::fuse
