// A disk in memory, for simulations: files and directories as a process sees them, and beside them what a
// loss of power would leave. It fails, tears, fills up and rots as its faults say. Everything follows from
// the seed and the order of the calls.
//
// Any thread; but only calls that come in one order give one outcome. Results are as the kernel's: >= 0, or a
// negative errno. Paths are absolute and have no links and no "..". Descriptors are the disk's own, never
// used twice, and no descriptors of the process.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/disk/sim_file.h"
#include "tests/sim/disk/sim_names.h"

namespace kfs::sim {

enum class DiskOp : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kAllocate,
  kTruncate,
  kSync,
  kSyncDir,
  kSyncAll,
  kUnlink,
  kRename,
  kLink,
  kMkdir,
  kRmdir,
  kLook,  // stat, list, statvfs, lock: what neither changes anything nor reads what a file holds
};

// A call that is about to be made. Only calls that change or sync something have numbers, from 0 on; looks
// and reads have that of the next such call.
struct DiskCall {
  uint64_t number = 0;
  DiskOp op = DiskOp::kLook;
  std::string path;
  uint64_t offset = 0, size = 0;
  bool changes() const { return op != DiskOp::kRead && op != DiskOp::kLook; }
};

// What goes wrong. Rates are in 10,000 calls of the kind.
struct DiskFaults {
  std::map<uint64_t, int> fail;    // the call of that number: errno
  uint64_t off_from = UINT64_MAX;  // this call and all after it find the power off: EIO, and nothing is done
  uint32_t read_eio = 0, write_eio = 0, no_space = 0, short_write = 0, sync_eio = 0;
  int64_t latency_max_ns = 0;  // of one call
};

class SimDisk {
 public:
  struct Options {
    uint64_t seed = 1;
    uint64_t capacity_bytes = 1ull << 30;
    Tearing tearing = Tearing::kTails;
    // Whether a sync of a file makes its new names durable, too, as it does on ext4, XFS and btrfs: what
    // POSIX does not promise, and RocksDB needs.
    bool sync_covers_names = false;
    DiskFaults faults = {};
  };
  explicit SimDisk(Options options);
  // The disk as it is between two calls, all its past and future faults included; without the hook.
  std::unique_ptr<SimDisk> Clone() const;

  // O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY and the access mode count.
  int Open(const std::string& path, int flags);
  int Close(int fd);
  ssize_t Read(int fd, char* data, uint64_t size, uint64_t offset);
  ssize_t Write(int fd, std::string_view data, uint64_t offset);  // may be short
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length);
  int Truncate(int fd, uint64_t size);
  int Sync(int fd);  // of a directory: its names
  int SyncDir(const std::string& path);
  int SyncAll();
  int Unlink(const std::string& path);
  int Rename(const std::string& from, const std::string& to);
  int Link(const std::string& from, const std::string& to);
  int Mkdir(const std::string& path);
  int Rmdir(const std::string& path);
  int Fstat(int fd, struct stat* st);
  int Stat(const std::string& path, struct stat* st);
  int Statvfs(struct statvfs* st);
  int List(const std::string& path, std::vector<std::string>* names);  // sorted
  // -EWOULDBLOCK: another descriptor has it. Let go with the descriptor.
  int Lock(int fd);

  // The process dies: descriptors and locks go, what was written stays.
  void Crash();
  // The machine dies, too: what was synced stays, and what else has been drawn.
  void PowerLoss(uint64_t seed);
  // Flips a bit of a file at rest. False: no such file, or nothing in it.
  bool Rot(const std::string& path, uint64_t seed);

  void SetFaults(DiskFaults faults);
  // Called before each call that changes or syncs, on its thread, with nothing locked: it may clone the disk,
  // stop its process, or set faults. None: {}.
  void BeforeCall(std::function<void(const DiskCall&)> hook);

  uint64_t calls() const;         // that have numbers
  uint64_t power_losses() const;  // so far
  int64_t latency_ns() const;     // of all calls so far: whoever has the clock adds what is new
  // Of all calls, what they were asked and what they answered; not of what was read or written.
  uint64_t history_hash() const;
  // Of all paths and sizes, and of what is in the files whose path the function likes.
  uint64_t content_hash(const std::function<bool(const std::string& path)>& whole) const;
  std::vector<std::string> Paths() const;              // of all files, sorted
  std::string Content(const std::string& path) const;  // "": there is none

 private:
  struct Node {
    SimFile file;
    uint32_t links = 0, opens = 0;
    int locked_by = -1;
    uint64_t changed = 0;  // number of the call
  };
  struct Handle {
    FileId id = 0;
    bool writes = false;
    std::string path;
  };
  struct State {
    Options options;
    Lot faults_lot{0};
    SimNames names;
    std::map<FileId, Node> nodes;  // files only
    std::map<int, Handle> handles;
    FileId next_id = 2;
    int next_fd = 1 << 20;
    uint64_t calls = 0, power_losses = 0;
    int64_t latency_ns = 0;
    uint64_t pages = 0, hash = 0;
  };
  class Step;
  static constexpr FileId kRoot = 1;
  // The directory that holds the name, and what it stands for (0: nothing yet). The root has no name.
  struct Place {
    FileId dir = 0, id = 0;
    std::string name;
  };

  std::string PathOf(int fd) const;  // locks

  // All with mutex_ held.
  Node* NodeOf(int fd, bool to_write);
  int Fault(const DiskCall& call, uint64_t* size);
  int Lookup(const std::string& path, Place* place) const;
  int Find(const std::string& path, Place* place) const;  // -ENOENT: it stands for nothing
  void Unlinked(FileId id);
  void Collect(FileId id);
  void CollectUnused();
  void CloseAll();
  void StatOf(FileId id, struct stat* st) const;
  void Walk(FileId dir, const std::string& path,
            const std::function<void(const std::string& path, FileId id)>& fn) const;

  mutable std::mutex mutex_;
  State state_;                                // guarded by mutex_
  std::function<void(const DiskCall&)> hook_;  // set while no call is under way
};

}  // namespace kfs::sim
