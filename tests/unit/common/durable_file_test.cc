#include "common/durable_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

TEST(DurableFile, IsReplacedWholeAndIsNobodyElses) {
  const TempDir dir;
  const std::string path = dir.path() + "/seen";
  const mode_t before = umask(0);
  for (const std::string text : {"first", "2"}) {
    ASSERT_TRUE(ReplaceDurably(SystemFiles(), path, text).ok());
    std::stringstream is;
    is << std::ifstream(path).rdbuf();
    EXPECT_EQ(is.str(), text);
  }
  umask(before);
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(DurableFile, WhatIsInItsWayIsNotFollowed) {
  const TempDir dir;
  const std::string path = dir.path() + "/seen", other = dir.path() + "/other";
  std::ofstream(other) << "kept";
  ASSERT_EQ(symlink("other", (path + ".new").c_str()), 0);
  EXPECT_EQ(ReplaceDurably(SystemFiles(), path, "text").err(), ELOOP);
  EXPECT_EQ(std::filesystem::file_size(other), 4u);
  EXPECT_EQ(ReplaceDurably(SystemFiles(), dir.path() + "/none/seen", "text").err(), ENOENT);
  EXPECT_EQ(SyncPath(SystemFiles(), dir.path() + "/none").err(), ENOENT);
  EXPECT_TRUE(SyncPath(SystemFiles(), dir.path()).ok());
}

}  // namespace
}  // namespace kfs
