#ifndef KFS_TESTS_FSX_OP_LOG_H_
#define KFS_TESTS_FSX_OP_LOG_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>

namespace kfs::fsx {

// The last operations of all processes, for the report of a difference. Lies in shared memory; every process
// appends. A slot that is overwritten while it is printed shows a mixed line: the log explains a failure, it
// does not decide one.
class OpLog {
 public:
  static constexpr uint64_t kEntries = 64;
  static constexpr uint64_t kPrinted = 50;
  static constexpr size_t kLineBytes = 160;

  __attribute__((format(printf, 2, 3))) void Append(const char* format, ...);
  void Print(FILE* out) const;
  uint64_t count() const { return next_.load(); }

 private:
  std::atomic<uint64_t> next_{0};
  std::array<std::array<char, kLineBytes>, kEntries> lines_{};
};

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_OP_LOG_H_
