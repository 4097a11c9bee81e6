// What is made of the system calls on files.
#include "common/file_ops.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

namespace fs = std::filesystem;

// Notes what is made durable.
class NotingOps : public FileOps {
 public:
  int FsyncDir(const std::string& path) override {
    synced.push_back(path);
    return FileOps::FsyncDir(path);
  }
  std::vector<std::string> synced;
};

TEST(FileOps, DirectoriesAreMadeWithThoseAboveThemAndTheirNamesAreDurable) {
  const TempDir dir;
  NotingOps files;
  const std::string a = dir.path() + "/a", b = a + "/b";
  EXPECT_EQ(files.MakeDirs(b), 0);
  EXPECT_TRUE(fs::is_directory(b));
  EXPECT_EQ(fs::status(a).permissions(), fs::perms::owner_all);
  EXPECT_EQ(files.synced, (std::vector<std::string>{dir.path(), a}));
  EXPECT_EQ(files.MakeDirs(b), 0) << "it is there";
  EXPECT_EQ(files.synced.size(), 2u);
  std::ofstream(b + "/file") << "text";
  EXPECT_EQ(files.MakeDirs(b + "/file"), -ENOTDIR);
  EXPECT_EQ(files.MakeDirs(b + "/file/c"), -ENOTDIR);
}

TEST(FileOps, AllOfADirectoryIsRemovedAndNoLinkIsFollowed) {
  const TempDir dir;
  FileOps files;
  const std::string tree = dir.path() + "/tree", other = dir.path() + "/other";
  ASSERT_EQ(files.MakeDirs(tree + "/a/b"), 0);
  ASSERT_EQ(files.MakeDirs(other), 0);
  for (const std::string& file : {tree + "/file", tree + "/a/b/file", other + "/kept"})
    std::ofstream(file) << "text";
  ASSERT_EQ(symlink("../other", (tree + "/link").c_str()), 0);
  EXPECT_EQ(files.RemoveAll(tree), 0);
  EXPECT_FALSE(files.Exists(tree));
  EXPECT_TRUE(files.Exists(other + "/kept"));
  EXPECT_EQ(files.RemoveAll(tree), 0) << "nothing is there";
  EXPECT_EQ(files.RemoveAll(other + "/kept"), 0);
  EXPECT_FALSE(files.Exists(other + "/kept"));
}

TEST(FileOps, ASmallFileIsReadWholeOrNotAtAll) {
  const TempDir dir;
  FileOps files;
  const std::string path = dir.path() + "/file", text(10000, 'x');
  std::ofstream(path) << text;
  std::string read = "before";
  EXPECT_EQ(files.ReadFile(path, text.size(), &read), 0);
  EXPECT_EQ(read, text);
  EXPECT_EQ(files.ReadFile(path, text.size() - 1, &read), -EFBIG);
  EXPECT_EQ(files.ReadFile(path + ".none", 1, &read), -ENOENT);
  EXPECT_EQ(read, "");
}

TEST(FileOps, TheMachineIsKnownByItsBootAndItsFileSystems) {
  const TempDir dir;
  FileOps files;
  const std::string boot = files.BootId();
  EXPECT_EQ(boot.size(), 36u) << boot;
  const Fd a(&files, files.Open(dir.path(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(files.Mkdir(dir.path() + "/below"), 0);
  const Fd b(&files, files.Open(dir.path() + "/below", O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(files.FileSystemId(a.get()).starts_with(boot));
  EXPECT_EQ(files.FileSystemId(a.get()), files.FileSystemId(b.get()));
}

TEST(FileOps, TheDirectoryThatAPathLiesIn) {
  EXPECT_EQ(ParentOf("/a/b"), "/a");
  EXPECT_EQ(ParentOf("/a"), "/");
  EXPECT_EQ(ParentOf("a"), ".");
}

}  // namespace
}  // namespace kfs
