// A directory that its reader changes while it reads: the listing ends, what stays is seen exactly once.
#include <dirent.h>

#include <map>
#include <set>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr int kCount = 600;  // with such names more than one call of getdents64 gives

std::string Name(int i) {
  const std::string number = std::to_string(i);
  return std::string(80 - number.size(), '0') + number;
}

class ReaddirChangesTest : public PosixTest {
 protected:
  static void Make(const std::string& name) { close(open(name.c_str(), O_WRONLY | O_CREAT, 0644)); }

  // Lists "d" with `change` after each entry; the names with how often each was given.
  template <typename Fn>
  static std::map<std::string, int> ListWith(Fn change) {
    CHECK_OK(mkdir("d", 0755));
    for (int i = 0; i < kCount; ++i) Make("d/" + Name(i));
    std::map<std::string, int> seen;
    DIR* handle = opendir("d");
    CHECK_TRUE(handle != nullptr);
    int given = 0;
    while (dirent* entry = handle != nullptr ? readdir(handle) : nullptr) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      ++seen[name];
      change(name);
      if (++given > 3 * kCount) break;
    }
    CHECK_LE(given, 2 * kCount);
    if (handle != nullptr) closedir(handle);
    return seen;
  }
};

TEST_F(ReaddirChangesTest, EndsWhenEntriesAreRenamedAwayAndBack) {
  ListWith([](const std::string& name) {
    CHECK_OK(rename(("d/" + name).c_str(), "d/T"));
    CHECK_OK(rename("d/T", ("d/" + name).c_str()));
  });
  CHECK_EQ(List("d").size(), kCount);
}

TEST_F(ReaddirChangesTest, EndsWhenEntriesMoveOutAndIn) {
  ListWith([](const std::string& name) {
    CHECK_OK(rename(("d/" + name).c_str(), "T"));
    CHECK_OK(rename("T", ("d/" + name).c_str()));
  });
  CHECK_EQ(List("d").size(), kCount);
}

TEST_F(ReaddirChangesTest, EndsWhenEntriesAreMadeAnew) {
  ListWith([](const std::string& name) {
    CHECK_OK(unlink(("d/" + name).c_str()));
    Make("d/" + name);
  });
  CHECK_EQ(List("d").size(), kCount);
}

TEST_F(ReaddirChangesTest, EndsWhenEntriesAreReplaced) {
  ListWith([](const std::string& name) {
    Make("T");
    CHECK_OK(rename("T", ("d/" + name).c_str()));
  });
  CHECK_EQ(List("d").size(), kCount);
}

TEST_F(ReaddirChangesTest, EndsWhenEachEntryMakesAnother) {
  int made = 0;
  auto seen = ListWith([&made](const std::string&) { Make("d/more" + std::to_string(made++)); });
  for (int i = 0; i < kCount; ++i) CHECK_EQ(seen[Name(i)], 1);
}

TEST_F(ReaddirChangesTest, WhatStaysIsSeenOnce) {
  auto seen = ListWith([](const std::string& name) {
    const int i = std::stoi(name);
    if (i % 2 == 0) return;
    CHECK_OK(rename(("d/" + name).c_str(), "d/T"));
    CHECK_OK(rename("d/T", ("d/" + name).c_str()));
  });
  for (int i = 0; i < kCount; i += 2) CHECK_EQ(seen[Name(i)], 1);
}

TEST_F(ReaddirChangesTest, RewindSeesWhatHasCome) {
  for (int i = 0; i < kCount; ++i) Make("a" + std::to_string(i));
  DIR* handle = opendir(".");
  REQUIRE_TRUE(handle != nullptr);
  while (readdir(handle) != nullptr) {
  }
  Make("late");
  rewinddir(handle);
  bool seen = false;
  int count = 0;
  while (dirent* entry = readdir(handle)) {
    seen = seen || std::string(entry->d_name) == "late";
    ++count;
  }
  CHECK_TRUE(seen);
  CHECK_EQ(count, kCount + 3);
  closedir(handle);
}

TEST_F(ReaddirChangesTest, APositionStaysAcrossChangesAndStreams) {
  for (int i = 0; i < kCount; ++i) Make("a" + std::to_string(i));
  DIR* handle = opendir(".");
  REQUIRE_TRUE(handle != nullptr);
  std::vector<std::string> rest;
  long middle = 0;
  for (int i = 0; dirent* entry = readdir(handle); ++i) {
    if (i >= kCount / 2) rest.push_back(entry->d_name);
    if (i == kCount / 2 - 1) middle = telldir(handle);
  }
  // In the same stream, with something made behind its end.
  Make("late");
  seekdir(handle, middle);
  for (const std::string& name : rest) {
    dirent* entry = readdir(handle);
    REQUIRE_TRUE(entry != nullptr);
    if (std::string(entry->d_name) == "late") entry = readdir(handle);
    REQUIRE_TRUE(entry != nullptr);
    CHECK_EQ(std::string(entry->d_name), name);
  }
  closedir(handle);
}

}  // namespace
}  // namespace kfs::posix_test
