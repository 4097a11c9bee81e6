#ifndef KFS_TESTS_FSX_SHARED_STATE_H_
#define KFS_TESTS_FSX_SHARED_STATE_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <new>

#include "model.h"
#include "op_log.h"
#include "options.h"

namespace kfs::fsx {

// One file as all processes see it.
struct FileState {
  pthread_mutex_t mutex;    // guards the rest and the file's window
  uint64_t size = 0;        // as the model has it
  uint32_t generation = 0;  // rises when the name is given to a new file: descriptors must be opened again
};

// Everything that the processes share: the models, their mutexes, the log. Made before fork, never freed.
class SharedState {
 public:
  explicit SharedState(const Options& options);
  SharedState(const SharedState&) = delete;
  SharedState& operator=(const SharedState&) = delete;

  FileState& file(uint32_t index) { return files_[index]; }
  Model model(uint32_t index);
  OpLog& log() { return *log_; }

 private:
  const uint64_t base_;
  const uint64_t window_size_;
  OpLog* log_;
  FileState* files_;
  uint8_t* windows_;
};

// Holds one file's mutex.
class FileLock {
 public:
  explicit FileLock(FileState& file) : file_(file) { pthread_mutex_lock(&file_.mutex); }
  ~FileLock() { pthread_mutex_unlock(&file_.mutex); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  FileState& file_;
};

}  // namespace kfs::fsx

#endif  // KFS_TESTS_FSX_SHARED_STATE_H_
