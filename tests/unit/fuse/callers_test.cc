#include "fuse/callers.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace kfs::fuse {
namespace {

TEST(CallersTest, ProcOfAnotherPidNamespaceIsRecognised) {
  EXPECT_TRUE(ShowsOwnPids("Name:\tx\nNSpid:\t12\nNSpgid:\t7\n", 12));
  EXPECT_FALSE(ShowsOwnPids("Name:\tx\nNSpid:\t4711\t12\n", 12));
  EXPECT_FALSE(ShowsOwnPids("Name:\tx\nNSpid:\t12\t12\n", 12));
  EXPECT_FALSE(ShowsOwnPids("", 12));
}

TEST(CallersTest, NobodyIsSeenWithoutProcOrByNumberZero) {
  EXPECT_FALSE(Callers("/nonexistent").Sees(static_cast<uint32_t>(getpid())));
  EXPECT_FALSE(Callers().Sees(0));
}

}  // namespace
}  // namespace kfs::fuse
