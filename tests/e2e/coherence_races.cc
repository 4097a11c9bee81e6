// Both mounts do the same thing at once: one wins, nothing is lost, nothing is doubled.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "coherence.h"

namespace kfs::coherence {
namespace {

constexpr int kRounds = 100;

// Runs attempt(dir, round) on both sides for every round; exactly one side may succeed in each, the other
// must fail with `loser`. Each side leaves its winning rounds in a string of '0' and '1', compared at the
// end.
std::string OneWinner(const Dirs& d, int loser,
                      const std::function<int(const std::string& dir, int round)>& attempt) {
  auto run = [&](const std::string& dir, const std::string& record) {
    std::string won;
    for (int round = 0; round < kRounds; ++round) {
      int result = attempt(dir, round);
      if (result < 0 && errno != loser) return 1;
      won += result < 0 ? '0' : '1';
    }
    return WriteFile(record, won) ? 0 : 1;
  };
  Peer peer([&](Peer& parent) {
    parent.Tell();
    return run(d.b, d.b + "/record-b");
  });
  EXPECT(peer.Wait());
  EXPECT(run(d.a, d.a + "/record-a") == 0);
  EXPECT(peer.EndsWell(30'000));
  std::string a, b;
  EXPECT(ReadFile(d.b + "/record-a", &a) && ReadFile(d.a + "/record-b", &b));
  for (int round = 0; round < kRounds; ++round)
    EXPECT(a[static_cast<size_t>(round)] != b[static_cast<size_t>(round)]);
  return "";
}
std::string Name(const std::string& dir, const char* stem, int round) {
  return dir + "/" + stem + std::to_string(round);
}

std::string MkdirRace(const Dirs& d) {
  return OneWinner(d, EEXIST,
                   [](const std::string& dir, int i) { return mkdir(Name(dir, "d", i).c_str(), 0755); });
}
std::string SymlinkRace(const Dirs& d) {
  return OneWinner(d, EEXIST,
                   [](const std::string& dir, int i) { return symlink("x", Name(dir, "l", i).c_str()); });
}
std::string ExclusiveCreateRace(const Dirs& d) {
  return OneWinner(d, EEXIST, [](const std::string& dir, int i) {
    int fd = open(Name(dir, "f", i).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return fd;
  });
}
std::string LinkRace(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/source", ""));
  std::string problem = OneWinner(d, EEXIST, [](const std::string& dir, int i) {
    return link((dir + "/source").c_str(), Name(dir, "l", i).c_str());
  });
  struct stat s;
  EXPECT(stat((d.b + "/source").c_str(), &s) == 0);
  if (problem.empty() && s.st_nlink != kRounds + 1)
    return "the source has " + std::to_string(s.st_nlink) + " links";
  return problem;
}
std::string UnlinkRace(const Dirs& d) {
  for (int i = 0; i < kRounds; ++i) EXPECT(WriteFile(Name(d.a, "f", i), ""));
  return OneWinner(d, ENOENT,
                   [](const std::string& dir, int i) { return unlink(Name(dir, "f", i).c_str()); });
}
std::string RenameRace(const Dirs& d) {
  for (int i = 0; i < kRounds; ++i) EXPECT(WriteFile(Name(d.a, "f", i), ""));
  // To a name of its own on each side: with one common target the kernel of the later side may look up the
  // old name before the other's rename and the new one after it, take the two for links to one inode, and
  // report success without asking the file system (docs/fuse.md).
  return OneWinner(d, ENOENT, [&d](const std::string& dir, int i) {
    return rename(Name(dir, "f", i).c_str(), Name(dir, dir == d.a ? "ga" : "gb", i).c_str());
  });
}

std::string ConcurrentCreatesAllThere(const Dirs& d) {
  constexpr int kFiles = 300;
  auto make = [](const std::string& dir, const char* stem) {
    for (int i = 0; i < kFiles; ++i) {
      if (!WriteFile(Name(dir, stem, i), "x")) return 1;
    }
    return 0;
  };
  Peer peer([&](Peer&) { return make(d.b, "b"); });
  EXPECT(make(d.a, "a") == 0);
  EXPECT(peer.EndsWell(30'000));
  EXPECT(List(d.a).size() == 2 * kFiles);
  EXPECT(List(d.a) == List(d.b));
  return "";
}

std::string ConcurrentAppendsAllThere(const Dirs& d) {
  constexpr int kRecords = 300;
  EXPECT(WriteFile(d.a + "/f", ""));
  auto append = [](const std::string& dir, char side) {
    Fd fd(dir + "/f", O_WRONLY | O_APPEND);
    for (int i = 0; i < kRecords; ++i) {
      char record[128];
      std::snprintf(record, sizeof record, "%c%04d%.*s\n", side, i, i % 97, std::string(97, side).c_str());
      if (!Write(fd, record)) return 1;
    }
    return 0;
  };
  Peer peer([&](Peer&) { return append(d.b, 'b'); });
  EXPECT(append(d.a, 'a') == 0);
  EXPECT(peer.EndsWell(30'000));
  std::string all;
  EXPECT(ReadFile(d.b + "/f", &all));
  std::map<char, int> next;
  size_t at = 0;
  while (at < all.size()) {
    size_t end = all.find('\n', at);
    EXPECT(end != std::string::npos);
    std::string line = all.substr(at, end - at);
    EXPECT(line.size() >= 5 && (line[0] == 'a' || line[0] == 'b'));
    int number = std::atoi(line.substr(1, 4).c_str());
    EXPECT(number == next[line[0]]++);  // each side's records whole and in order
    EXPECT(line.substr(5) == std::string(static_cast<size_t>(number % 97), line[0]));
    at = end + 1;
  }
  EXPECT(next['a'] == kRecords && next['b'] == kRecords);
  return "";
}

std::string ReplacedNameIsAlwaysThere(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "0"));
  Peer peer([&](Peer& parent) {
    for (int i = 0; i < 2 * kRounds; ++i) {
      if (!WriteFile(d.b + "/t", std::to_string(i)) ||
          rename((d.b + "/t").c_str(), (d.b + "/f").c_str()) != 0)
        return 1;
    }
    parent.Tell();
    return 0;
  });
  int last = 0;
  do {
    std::string content;
    EXPECT(ReadFile(d.a + "/f", &content));
    EXPECT(!content.empty() && std::atoi(content.c_str()) >= last);
    last = std::atoi(content.c_str());
  } while (!peer.Wait(0) && last < 2 * kRounds - 1);
  EXPECT(peer.EndsWell(30'000));
  EXPECT(HasContent(d.a + "/f", std::to_string(2 * kRounds - 1)));
  return "";
}

std::string ReaddirUnderChange(const Dirs& d) {
  constexpr int kStable = 400;
  for (int i = 0; i < kStable; ++i) EXPECT(WriteFile(Name(d.a, "stay", i), ""));
  Peer peer([&](Peer& parent) {
    for (int i = 0; !parent.Wait(0); i = (i + 1) % 500) {
      if (!WriteFile(Name(d.b, "go", i), "") || unlink(Name(d.b, "go", i).c_str()) != 0) return 1;
    }
    return 0;
  });
  for (int pass = 0; pass < 10; ++pass) {
    std::map<std::string, int> seen;
    for (const std::string& name : List(d.a)) ++seen[name];
    for (const auto& [name, count] : seen) EXPECT(count == 1);
    for (int i = 0; i < kStable; ++i) EXPECT(seen.count(Name("", "stay", i).substr(1)) == 1);
  }
  peer.Tell();
  EXPECT(peer.EndsWell());
  return "";
}

std::string CrossingRenamesMakeNoLoop(const Dirs& d) {
  EXPECT(mkdir((d.a + "/x").c_str(), 0755) == 0 && mkdir((d.a + "/y").c_str(), 0755) == 0);
  auto move = [](const std::string& dir, const char* what, const char* into) {
    for (int i = 0; i < kRounds; ++i) {
      std::string from = dir + "/" + what, to = dir + "/" + into + "/" + what;
      if (rename(from.c_str(), to.c_str()) == 0 && rename(to.c_str(), from.c_str()) != 0) return 1;
    }
    return 0;
  };
  Peer peer([&](Peer&) { return move(d.b, "y", "x"); });
  EXPECT(move(d.a, "x", "y") == 0);
  EXPECT(peer.EndsWell(30'000));
  EXPECT(List(d.a) == (std::vector<std::string>{"x", "y"}));
  return "";
}

}  // namespace

std::vector<Case> RaceCases() {
  return {
      {"mkdir has one winner", MkdirRace},
      {"symlink has one winner", SymlinkRace},
      {"O_EXCL has one winner", ExclusiveCreateRace},
      {"link has one winner", LinkRace},
      {"unlink has one winner", UnlinkRace},
      {"rename has one winner", RenameRace},
      {"creates of both are all there", ConcurrentCreatesAllThere},
      {"appends of both are whole and all there", ConcurrentAppendsAllThere},
      {"a name that is replaced is always there", ReplacedNameIsAlwaysThere},
      {"readdir under change shows what stays once", ReaddirUnderChange},
      {"crossing renames make no loop", CrossingRenamesMakeNoLoop},
  };
}

}  // namespace kfs::coherence
