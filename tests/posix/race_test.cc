// Several processes ask for what only one can have: there is exactly one winner, every time.
#include <linux/fs.h>

#include <algorithm>
#include <cstdio>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr int kRacers = 4;
constexpr int kRounds = 60;

class RaceTest : public PosixTest {
 protected:
  // In each round all racers call attempt(racer, round), which gives 0 or an errno. Exactly one may win.
  static void OneWinnerPerRound(const std::function<int(int, int)>& attempt, int loser_errno) {
    struct Counts {
      std::atomic<int> winners[kRounds];
      std::atomic<int> unexpected;
      std::atomic<int> arrived[kRounds];
    };
    Shared<Counts> counts;
    auto codes = RunTogether(kRacers, [&](int racer) {
      for (int round = 0; round < kRounds; ++round) {
        counts->arrived[round].fetch_add(1);
        WaitUntil([&] { return counts->arrived[round].load() == kRacers; });
        int error = attempt(racer, round);
        if (error == 0) counts->winners[round].fetch_add(1);
        if (error != 0 && error != loser_errno) counts->unexpected.store(error);
      }
      return 0;
    });
    for (int code : codes) CHECK_EQ(code, 0);
    for (auto& winners : counts->winners) CHECK_EQ(winners.load(), 1);
    CHECK_EQ(ErrnoName(counts->unexpected.load()), "success");
  }
  static std::string Name(const char* prefix, int number) { return prefix + std::to_string(number); }
};

TEST_F(RaceTest, ExclusiveCreateHasOneWinner) {
  OneWinnerPerRound(
      [](int, int round) {
        Fd fd(open(Name("f", round).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
        return fd < 0 ? errno : 0;
      },
      EEXIST);
  CHECK_EQ(List(".").size(), kRounds);
}

TEST_F(RaceTest, MkdirHasOneWinner) {
  OneWinnerPerRound([](int, int round) { return Errno(mkdir(Name("d", round).c_str(), 0755)); }, EEXIST);
  CHECK_EQ(Stat(".").st_nlink, 2 + kRounds);
}

TEST_F(RaceTest, SymlinkHasOneWinner) {
  OneWinnerPerRound(
      [](int racer, int round) { return Errno(symlink(Name("", racer).c_str(), Name("s", round).c_str())); },
      EEXIST);
}

TEST_F(RaceTest, LinkHasOneWinner) {
  for (int racer = 0; racer < kRacers; ++racer) WriteFile(Name("mine", racer), "x");
  OneWinnerPerRound(
      [](int racer, int round) {
        return Errno(link(Name("mine", racer).c_str(), Name("lock", round).c_str()));
      },
      EEXIST);
  nlink_t links = 0;
  for (int racer = 0; racer < kRacers; ++racer) links += Stat(Name("mine", racer)).st_nlink;
  CHECK_EQ(links, kRacers + kRounds);
}

TEST_F(RaceTest, UnlinkHasOneWinner) {
  for (int round = 0; round < kRounds; ++round) WriteFile(Name("f", round), "x");
  OneWinnerPerRound([](int, int round) { return Errno(unlink(Name("f", round).c_str())); }, ENOENT);
  CHECK_EQ(List(".").size(), 0);
}

TEST_F(RaceTest, RmdirHasOneWinner) {
  for (int round = 0; round < kRounds; ++round) CHECK_OK(mkdir(Name("d", round).c_str(), 0755));
  OneWinnerPerRound([](int, int round) { return Errno(rmdir(Name("d", round).c_str())); }, ENOENT);
  CHECK_EQ(Stat(".").st_nlink, 2);
}

TEST_F(RaceTest, RenameOfOneSourceHasOneWinner) {
  for (int round = 0; round < kRounds; ++round) WriteFile(Name("f", round), "x");
  OneWinnerPerRound(
      [](int racer, int round) {
        return Errno(rename(Name("f", round).c_str(), (Name("g", round) + Name("-", racer)).c_str()));
      },
      ENOENT);
  CHECK_EQ(List(".").size(), kRounds);
}

TEST_F(RaceTest, RenameNoreplaceHasOneWinner) {
  for (int racer = 0; racer < kRacers; ++racer) {
    for (int round = 0; round < kRounds; ++round)
      WriteFile(Name("m", racer) + Name("-", round), Name("", racer));
  }
  OneWinnerPerRound(
      [](int racer, int round) {
        std::string mine = Name("m", racer) + Name("-", round);
        return Errno(renameat2(AT_FDCWD, mine.c_str(), AT_FDCWD, Name("t", round).c_str(), RENAME_NOREPLACE));
      },
      EEXIST);
}

TEST_F(RaceTest, CreateWithoutExclusiveOpensOneFileForAll) {
  struct Inodes {
    std::atomic<ino_t> of[kRacers];
  };
  Shared<Inodes> inodes;
  for (int round = 0; round < 20; ++round) {
    auto codes = RunTogether(kRacers, [&](int racer) {
      Fd fd(open(Name("f", round).c_str(), O_WRONLY | O_CREAT, 0644));
      if (fd < 0) return errno;
      inodes->of[racer] = Fstat(fd).st_ino;
      return 0;
    });
    for (int code : codes) CHECK_EQ(code, 0);
    for (auto& inode : inodes->of) CHECK_EQ(inode.load(), inodes->of[0].load());
  }
}

TEST_F(RaceTest, RmdirAndCreateInsideNeverBothSucceed) {
  int both = 0;
  for (int round = 0; round < 40; ++round) {
    CHECK_OK(mkdir("d", 0755));
    auto codes = RunTogether(2, [](int racer) {
      if (racer == 0) return Errno(rmdir("d"));
      return Errno(mknod("d/f", S_IFREG | 0644, 0));
    });
    both += codes[0] == 0 && codes[1] == 0;
    CHECK_TRUE(codes[0] == 0 || codes[0] == ENOTEMPTY);
    CHECK_TRUE(codes[1] == 0 || codes[1] == ENOENT);
    unlink("d/f");
    rmdir("d");
  }
  CHECK_EQ(both, 0);
}

TEST_F(RaceTest, CrossingDirectoryRenamesMakeNoLoop) {
  for (int round = 0; round < 40; ++round) {
    CHECK_OK(mkdir("a", 0755));
    CHECK_OK(mkdir("b", 0755));
    auto codes =
        RunTogether(2, [](int racer) { return Errno(racer == 0 ? rename("a", "b/a") : rename("b", "a/b")); });
    CHECK_EQ((codes[0] == 0) + (codes[1] == 0),
             1);  // the second finds its target in its own subtree, or gone
    if (codes[0] == 0) CHECK_OK(rmdir("b/a") | rmdir("b"));
    if (codes[1] == 0) CHECK_OK(rmdir("a/b") | rmdir("a"));
  }
}

TEST_F(RaceTest, CreatorsInOneDirectoryLoseNothing) {
  CHECK_OK(mkdir("d", 0755));
  auto codes = RunTogether(kRacers, [](int racer) {
    for (int i = 0; i < 200; ++i) {
      std::string name = Name("d/", racer) + Name("-", i);
      Fd fd(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644));
      if (fd < 0) return errno;
      if (i % 3 == 0 && unlink(name.c_str()) != 0) return errno;
    }
    return 0;
  });
  for (int code : codes) CHECK_EQ(code, 0);
  CHECK_EQ(List("d").size(), kRacers * (200 - 67));
}

}  // namespace
}  // namespace kfs::posix_test
