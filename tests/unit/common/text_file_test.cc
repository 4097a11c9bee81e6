#include "common/text_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

std::string TextOf(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(TextFile, ARegularFileIsReplacedAndRemoved) {
  const TempDir dir;
  const std::string path = dir.path() + "/pid";
  ASSERT_TRUE(WriteTextFile(path, "1\n").ok());
  ASSERT_TRUE(WriteTextFile(path, "22\n").ok());
  EXPECT_EQ(TextOf(path), "22\n");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  RemoveRegularFile(path);
  EXPECT_FALSE(std::filesystem::exists(path));
  RemoveRegularFile(path);
}

TEST(TextFile, ALinkStaysAndWhatItLeadsToIsWritten) {
  const TempDir dir;
  const std::string target = dir.path() + "/target", link = dir.path() + "/link";
  ASSERT_EQ(symlink("target", link.c_str()), 0);
  for (const char* text : {"made\n", "replaced\n"}) {
    ASSERT_TRUE(WriteTextFile(link, text).ok());
    EXPECT_EQ(TextOf(target), text);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
  }
  RemoveRegularFile(link);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(TextFile, WhatIsNoRegularFileIsWrittenToAndStays) {
  const TempDir dir;
  const std::string fifo = dir.path() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(WriteTextFile(fifo, "nobody reads\n").err(), ENXIO);
  const int reader = open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  EXPECT_TRUE(WriteTextFile(fifo, "read\n").ok());
  char text[16] = "";
  EXPECT_EQ(read(reader, text, sizeof(text) - 1), 5);
  EXPECT_STREQ(text, "read\n");
  close(reader);
  const std::string link = dir.path() + "/null";
  ASSERT_EQ(symlink("/dev/null", link.c_str()), 0);
  EXPECT_TRUE(WriteTextFile(link, "gone\n").ok());
  for (const std::string& path : {fifo, link, dir.path()}) RemoveRegularFile(path);
  EXPECT_TRUE(std::filesystem::is_fifo(fifo));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_EQ(WriteTextFile(dir.path(), "x").err(), EISDIR);
}

}  // namespace
}  // namespace kfs
