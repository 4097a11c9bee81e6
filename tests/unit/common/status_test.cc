#include "common/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace kfs {
namespace {

TEST(Status, OkIsTheDefault) {
  Status s;
  EXPECT_TRUE(s.ok());
  EXPECT_EQ(s.err(), 0);
  EXPECT_EQ(s.code(), Code::kNone);
  EXPECT_TRUE(Status::Ok().ok());
}

TEST(Status, SaysWhatHappenedInWordsAndErrno) {
  EXPECT_EQ(ErrnoText(ENOENT), "No such file or directory (ENOENT)");
  const Status s = ErrnoStatus(EEXIST, "mkdir a");
  EXPECT_EQ(s.err(), EEXIST);
  EXPECT_NE(s.ToString().find("mkdir a"), std::string::npos);
  EXPECT_NE(s.ToString().find("EEXIST"), std::string::npos);
  // Whoever shows the message alone says why, too; with the errno's words it says them once.
  EXPECT_EQ(s.message(), "mkdir a: File exists (EEXIST)");
  EXPECT_EQ(s.ToString(), s.message());
  const Status coded(EACCES, Code::kNeedGroups, "open");
  EXPECT_EQ(coded.code(), Code::kNeedGroups);
  EXPECT_EQ(coded.message(), "open");
}

TEST(Status, AnUnknownErrnoStillPrints) { EXPECT_NE(ErrnoText(4095).find("4095"), std::string::npos); }

TEST(Result, HoldsAValueOrAnError) {
  Result<std::string> good(std::string("x"));
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, "x");
  EXPECT_EQ(good->size(), 1u);
  EXPECT_TRUE(good.status().ok());
  EXPECT_EQ(std::move(good).value(), "x");
  Result<std::string> bad(Status(EIO, "disk"));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().err(), EIO);
}

Status Twice(const Status& first, int* reached) {
  KFS_RETURN_IF_ERROR(first);
  ++*reached;
  return {};
}

TEST(ReturnIfError, LeavesWithTheErrorOnly) {
  int reached = 0;
  EXPECT_EQ(Twice(Status(EIO, "x"), &reached).err(), EIO);
  EXPECT_EQ(reached, 0);
  EXPECT_TRUE(Twice({}, &reached).ok());
  EXPECT_EQ(reached, 1);
}

}  // namespace
}  // namespace kfs
