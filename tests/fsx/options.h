#ifndef KFS_TESTS_FSX_OPTIONS_H_
#define KFS_TESTS_FSX_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kfs::fsx {

struct Options {
  // Process i works in dirs[i % dirs.size()]. Several directories must show the same files (mounts of one
  // volume).
  std::vector<std::string> dirs;
  uint64_t ops = 10000;  // by each process
  uint64_t seconds = 0;  // stop earlier after this long; 0: no limit
  uint64_t seed = 0;     // chosen from the clock unless given
  uint32_t files = 2;
  uint32_t processes = 1;  // all work on the same files
  uint64_t max_size_bytes = 256 << 10;
  uint64_t base_bytes = 0;  // all data lies in [base, base + max_size); below base is a hole
  bool mmap = false;
  bool strict = false;  // an operation that the file system does not support is a failure, not a skipped kind
};

// Parses the command line; prints what is wrong (or the help) and ends the process where it cannot.
Options ParseOptions(int argc, char** argv);

// The arguments that repeat this run, for messages.
std::string Describe(const Options& options);

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_OPTIONS_H_
