// What programs asked of a file system, and what came of it: input of the oracle (checker.h).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace kfs::sim {

enum class Call : uint8_t {
  // Of names.
  kLookup,
  kMkdir,
  kCreate,  // exclusive
  kUnlink,
  kRmdir,
  kRename,
  kLink,
  kList,
  kSyncDir,
  // Of a file's content, in blocks that are written whole; 0: a hole, or never written.
  kRead,
  kWrite,
  kAppend,
  kTruncate,
  kSize,
  kSyncFile,
  // Of a file's locks.
  kLock,  // without waiting: EAGAIN when it is held
  kUnlock,
};
constexpr Call kLastCall = Call::kUnlock;
const char* NameOf(Call call);
// The errnos that a call may end with (0: well): others are wrong, whatever has been before. Simulated
// programs have to come by each.
std::vector<int> EndsOf(Call call);

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// One call. Times are the world's. `ended` kNever: nobody knows what came of it, it may have been done at any
// time after it began, or not at all.
struct Step {
  Call call{};
  int program = 0;  // who asked; one call at a time
  int client = 0;   // the mount it asked through
  int64_t began = 0, ended = kNever;
  uint64_t dir = 0, ino = 0, new_dir = 0;
  std::string name, new_name;
  uint64_t block = 0, value = 0;  // kTruncate, kSize: `block` is the size, in blocks
  uint64_t owner = 0;             // of a lock
  bool anew = false;  // kSyncFile: through a handle that may not tell of what was lost before it was opened
  // What came of it.
  int err = 0;       // an errno, or 0
  uint64_t got = 0;  // an inode, a value, a size
  // Of a block that was read and is not one write's: the values that its sectors have, and `got` stands for
  // just this mixture.
  std::set<uint64_t> mixed;
  std::map<std::string, uint64_t> names;  // kList

  std::string ToString() const;
};

// A server lost its power: what was not durable may be gone. A metaserver's takes the latest calls; a
// chunkserver's takes data, each sector by itself.
struct PowerLoss {
  int64_t at = 0;
  bool of_data = false;  // a chunkserver's
  bool perhaps = false;  // perhaps that server had nothing of this volume, or of this file
};

// A mount was killed.
struct Death {
  int client = 0;
  int64_t heard = 0;  // by then the metaserver that serves it has heard of it, or has begun later
};

// A link of a mount to a chunkserver broke: what was under way over it is sent again.
struct Break {
  int client = 0;
  int64_t at = 0;
};

struct History {
  std::vector<Step> steps;
  std::vector<PowerLoss> losses;
  std::vector<Death> deaths;
  std::vector<Break> breaks;
  std::vector<int64_t> crashes;  // of metaservers
  // Sessions that have expired are not known any more: nobody can tell such a mount that nothing of its was lost.
  bool forgets_sessions = false;
};

}  // namespace kfs::sim
