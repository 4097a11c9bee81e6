#ifndef KFS_TESTS_FSX_TESTER_H_
#define KFS_TESTS_FSX_TESTER_H_

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "features.h"
#include "shared_state.h"

namespace kfs::fsx {

// One process's random operations. Ends the process with status 1 and a report at the first difference.
class Tester {
 public:
  Tester(const Options& options, SharedState& shared, uint32_t process, uint32_t features);
  ~Tester();
  Tester(const Tester&) = delete;
  Tester& operator=(const Tester&) = delete;

  // All operations, then a last look at every file.
  void Run();

  // The report of a difference. Public for the SIGBUS handler.
  [[noreturn]] __attribute__((format(printf, 2, 3))) void Fail(const char* format, ...);

 private:
  struct OpKind {
    const char* name;
    uint32_t weight;
    uint32_t needs;
    void (Tester::*run)();
  };
  static const std::vector<OpKind>& Kinds();

  // This process's descriptors of one file.
  struct Handle {
    uint32_t generation = 0;
    int fd = -1;
    int append_fd = -1;
    int direct_fd = -1;          // -1: not opened yet
    uint8_t* mapping = nullptr;  // of the whole window, kept over many operations
    uint64_t mapping_bytes = 0;
  };
  struct Range {
    uint64_t offset;
    uint64_t length;
  };

  // Operations; all run with the mutex of file `current_` held.
  void Read();
  void Pread();
  void Write();
  void Pwrite();
  void Append();
  void MapRead();
  void MapWrite();
  void TruncateAny();
  void TruncateDown();
  void PunchHole();
  void ZeroRange();
  void Allocate();
  void AllocateKeepSize();
  void CopyRange();  // within the file
  void SeekDataHole();
  void DirectRead();
  void DirectWrite();
  void Sync();
  void Reopen();
  void Rename();
  void UnlinkWhileOpen();
  void Verify();
  // Takes two files' mutexes itself, the lower index first.
  void CopyBetween();

  void Step(const OpKind& kind);
  void CheckSize();
  void PreadAndCompare(uint64_t offset, uint64_t length, const char* what);
  void Compare(uint64_t offset, const uint8_t* got, uint64_t length, const char* what);
  void DoFallocate(const char* name, int mode, Range range);

  void OpenHandle(uint32_t index, int extra_flags);
  void CloseHandle(uint32_t index);
  void Refresh(uint32_t index);  // opens again if the name means another file now
  int DirectFd();
  uint8_t* Mapped(Range page_range, bool persistent);

  uint64_t Random(uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }
  uint64_t RandomOffset();
  Range RandomRange();            // inside the window
  Range RandomRangeWithinSize();  // inside window and file; length 0 if there is none
  void FillBuffer(uint64_t length);
  std::string Path(uint32_t index) const;
  Model model() { return shared_.model(current_); }
  Handle& handle() { return handles_[current_]; }

  const Options& options_;
  SharedState& shared_;
  const uint32_t process_;
  const uint32_t features_;
  const std::string dir_;
  std::mt19937_64 random_;
  std::vector<Handle> handles_;
  std::vector<uint64_t> counts_;  // by kind
  uint8_t* buffer_;               // window-sized, aligned for O_DIRECT
  uint32_t current_ = 0;
};

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_TESTER_H_
