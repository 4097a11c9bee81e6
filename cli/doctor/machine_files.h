// What is read of this machine's /proc, /sys, /etc and /dev, through one reader. Whatever is there, or is not,
// gives a value or an error in words: files that are missing, empty, huge or of another form, and what would
// block (a FIFO). Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/status.h"

namespace kfs::cli::doctor {

class MachineFiles {
 public:
  // Much more than the kernel tells in any of these files, but for mountinfo on a machine of many containers.
  static constexpr size_t kSizeMax = 4u << 20;

  // `root`: put before each path; tests have files of their own below it. Paths are absolute.
  explicit MachineFiles(std::string root = "") : root_(std::move(root)) {}

  // EFBIG: it is larger than kSizeMax; EINVAL: it is no regular file. The words begin with the path.
  Result<std::string> Text(const std::string& path) const;
  // Its only line that is not empty, without blanks around it. EINVAL: there is none, or more than one.
  Result<std::string> Line(const std::string& path) const;
  // A line that is one number. EINVAL: it is something else.
  Result<uint64_t> Number(const std::string& path) const;

  bool Exists(const std::string& path) const;
  bool MayRun(const std::string& path) const;    // a file that this process may execute
  bool IsSetuid(const std::string& path) const;  // runs as its owner
  Status Opens(const std::string& path) const;   // for reading and writing
  std::string Root(const std::string& path) const { return root_ + path; }

 private:
  const std::string root_;
};

// Digits only. EINVAL: not a number, or too large.
Result<uint64_t> ParseNumber(const std::string& text);

}  // namespace kfs::cli::doctor
