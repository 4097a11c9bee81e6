// readdir(3) and its positions: every entry exactly once, whatever else happens in the directory.
#include <dirent.h>

#include <map>
#include <set>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr int kManyEntries = 5000;

class ReaddirTest : public PosixTest {
 protected:
  static void MakeFiles(const std::string& prefix, int count) {
    int made = 0;
    for (int i = 0; i < count; ++i) {
      int fd = open((prefix + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
      made += fd >= 0;
      close(fd);
    }
    CHECK_EQ(made, count);
  }
  static std::map<std::string, int> Count(DIR* handle) {
    std::map<std::string, int> seen;
    errno = 0;
    while (dirent* entry = readdir(handle)) {
      ++seen[entry->d_name];
      errno = 0;
    }
    CHECK_EQ(ErrnoName(errno), "success");
    return seen;
  }
};

TEST_F(ReaddirTest, TypesAndInodesAreThoseOfTheFiles) {
  WriteFile("file", "x");
  CHECK_OK(mkdir("dir", 0755));
  CHECK_OK(symlink("file", "link"));
  CHECK_OK(mkfifo("fifo", 0644));
  std::map<std::string, int> types = {{"file", DT_REG},  {"dir", DT_DIR}, {"link", DT_LNK},
                                      {"fifo", DT_FIFO}, {".", DT_DIR},   {"..", DT_DIR}};
  DIR* handle = opendir(".");
  CHECK_TRUE(handle != nullptr);
  int seen = 0;
  while (dirent* entry = handle != nullptr ? readdir(handle) : nullptr) {
    ++seen;
    CHECK_TRUE(types.count(entry->d_name) == 1);
    CHECK_TRUE(entry->d_type == types[entry->d_name] || entry->d_type == DT_UNKNOWN);
    if (std::string(entry->d_name) != "..") CHECK_EQ(entry->d_ino, Lstat(entry->d_name).st_ino);
  }
  CHECK_EQ(seen, 6);
  closedir(handle);
}

TEST_F(ReaddirTest, EmptyDirectoryHasDotAndDotDot) {
  CHECK_OK(mkdir("d", 0755));
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  auto seen = Count(handle);
  CHECK_EQ(seen.size(), 2);
  CHECK_EQ(seen["."], 1);
  CHECK_EQ(seen[".."], 1);
  CHECK_TRUE(readdir(handle) == nullptr);  // stays at the end
  closedir(handle);
}

TEST_F(ReaddirTest, FiveThousandEntriesEachOnce) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/entry-with-a-name-of-some-length-", kManyEntries);
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  auto seen = Count(handle);
  CHECK_EQ(seen.size(), kManyEntries + 2);
  int twice = 0;
  for (auto& [name, times] : seen) twice += times != 1;
  CHECK_EQ(twice, 0);
  rewinddir(handle);
  CHECK_TRUE(Count(handle) == seen);
  closedir(handle);
}

TEST_F(ReaddirTest, SeekdirReturnsToWhatTelldirSaid) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/f", 300);
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  std::vector<long> positions;
  std::vector<std::string> names;
  for (;;) {
    long position = telldir(handle);
    dirent* entry = readdir(handle);
    if (entry == nullptr) break;
    positions.push_back(position);
    names.push_back(entry->d_name);
  }
  CHECK_EQ(names.size(), 302);
  for (size_t i = 0; i < names.size(); i += 7) {
    size_t at = (i * 37) % names.size();
    seekdir(handle, positions[at]);
    dirent* entry = readdir(handle);
    CHECK_TRUE(entry != nullptr);
    if (entry != nullptr) CHECK_EQ(std::string(entry->d_name), names[at]);
  }
  CHECK_EQ(std::set<long>(positions.begin(), positions.end()).size(), positions.size());
  closedir(handle);
}

TEST_F(ReaddirTest, PositionStaysGoodWhenEntriesGo) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/f", 400);
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  std::set<std::string> before;
  for (int i = 0; i < 100; ++i) {
    if (dirent* entry = readdir(handle)) before.insert(entry->d_name);
  }
  long position = telldir(handle);
  for (const std::string& name : before) {
    if (name[0] == 'f') unlink(("d/" + name).c_str());
  }
  seekdir(handle, position);
  std::map<std::string, int> after = Count(handle);
  for (const std::string& name : before) after[name] += 1;
  CHECK_EQ(after.size(), 402);
  int wrong = 0;
  for (auto& [name, times] : after) wrong += times != 1;
  CHECK_EQ(wrong, 0);
  closedir(handle);
}

TEST_F(ReaddirTest, RemovingWhileReadingEmptiesTheDirectory) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/f", 1000);
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  int removed = 0;
  while (dirent* entry = readdir(handle)) {
    if (entry->d_name[0] == 'f') removed += unlinkat(dirfd(handle), entry->d_name, 0) == 0;
  }
  closedir(handle);
  CHECK_EQ(removed, 1000);
  CHECK_OK(rmdir("d"));
}

TEST_F(ReaddirTest, RewinddirSeesNewAndGoneEntries) {
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/old", "x");
  DIR* handle = opendir("d");
  CHECK_TRUE(handle != nullptr);
  CHECK_EQ(Count(handle).size(), 3);
  WriteFile("d/new", "x");
  CHECK_OK(unlink("d/old"));
  rewinddir(handle);
  auto seen = Count(handle);
  CHECK_EQ(seen.count("new"), 1);
  CHECK_EQ(seen.count("old"), 0);
  closedir(handle);
}

TEST_F(ReaddirTest, StableEntriesAppearOnceWhileOthersComeAndGo) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/stable-", 1000);
  Shared<std::atomic<bool>> stop;
  Shared<std::atomic<int>> rounds;
  Child changer([&] {
    for (int i = 0; !stop->load(); ++i) {
      std::string name = "d/passing-" + std::to_string(i);
      int fd = open(name.c_str(), O_WRONLY | O_CREAT, 0644);
      close(fd);
      if (i >= 50) unlink(("d/passing-" + std::to_string(i - 50)).c_str());
      rounds->store(i);
    }
    return 0;
  });
  int lost = 0, twice = 0;
  for (int scan = 0; scan < 20 || rounds->load() < 200; ++scan) {
    DIR* handle = opendir("d");
    if (handle == nullptr) break;
    auto seen = Count(handle);
    closedir(handle);
    for (int i = 0; i < 1000; ++i) {
      auto found = seen.find("stable-" + std::to_string(i));
      lost += found == seen.end();
      twice += found != seen.end() && found->second > 1;
    }
  }
  stop->store(true);
  CHECK_EQ(changer.Wait(), 0);
  CHECK_EQ(lost, 0);
  CHECK_EQ(twice, 0);
}

TEST_F(ReaddirTest, RenamedEntriesAreNotLost) {
  CHECK_OK(mkdir("d", 0755));
  MakeFiles("d/f", 200);
  for (int i = 0; i < 200; i += 2) {
    CHECK_OK(rename(("d/f" + std::to_string(i)).c_str(), ("d/renamed" + std::to_string(i)).c_str()));
  }
  CHECK_EQ(List("d").size(), 200);
}

TEST_F(ReaddirTest, NeedsReadPermission) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0711));
  WriteFile("d/f", "x");
  CHECK_ERRNO_AS(kNobody, (opendir("d") == nullptr ? -1 : 0), EACCES);
  CHECK_OK_AS(kNobody, open("d/f", O_RDONLY));
  CHECK_OK(chmod("d", 0744));
  AsUser(kNobody, [] { CHECK_EQ(List("d").size(), 1); });
  CHECK_ERRNO_AS(kNobody, open("d/f", O_RDONLY), EACCES);
  CHECK_ERRNO((opendir("d/f") == nullptr ? -1 : 0), ENOTDIR);
  CHECK_ERRNO((opendir("missing") == nullptr ? -1 : 0), ENOENT);
}

}  // namespace
}  // namespace kfs::posix_test
