// The public C++ API of KFS, usable without FUSE and from any thread.
//
//   kfs::KfsClient::Options options;
//   options.metaservers = {"127.0.0.1:7400"};
//   options.volume = "data";
//   options.secret_file = "/etc/kfs/secret";
//   kfs::Result<std::unique_ptr<kfs::KfsClient>> connected = kfs::KfsClient::Connect(options);
//   if (!connected.ok()) return connected.status();
//   kfs::KfsClient& client = **connected;
//   // By path, blocking.
//   kfs::Result<kfs::Attr> dir = client.Mkdir({}, "/hello", 0755);
//   if (!dir.ok()) return dir.status();
//   // By inode and handle; Wait makes a blocking call of one with a completion.
//   auto file = client.Wait<kfs::KfsClient::Opened>(
//       [&](auto done) { client.Create({}, dir->ino, "file", 0644, O_RDWR, done); });
//   if (!file.ok()) return file.status();
//   auto written = client.Wait<uint32_t>(
//       [&](auto done) { client.Write({}, file->handle, 0, kfs::Buffer::Copy("hello", 5), {}, done); });
//   if (!written.ok()) return written.status();
//   kfs::Status synced = client.WaitStatus([&](auto done) { client.Fsync(file->handle, false, done); });
//   if (!synced.ok()) return synced;
//   // A completion runs on the client's own thread, its worker's.
//   std::promise<uint64_t> size;
//   client.Lookup({}, dir->ino, "file", [&](const kfs::Result<kfs::Entry>& found) {
//     size.set_value(found.ok() ? found->attr.size : 0);
//   });
//   std::printf("hello has %d bytes\n", static_cast<int>(size.get_future().get()));
//   // Every handle is released once.
//   return client.WaitStatus([&](auto done) { client.Release(file->handle, false, 0, done); });
//
//   any thread:  Lookup, Read ... -> op -> queue ---> worker's thread: <-> metaserver, chunkservers
//                Wait, Mkdir(path)  <-- wakes --------+-> done(result)
//
// Inode-level calls mirror the kernel's operations; Path-level helpers at the end walk for the caller.
// Blocking forms must not be called on the worker's own thread (asserted). Every mutating call is executed
// exactly once, whatever connections are lost meanwhile. Errors are Status with an errno. While an
// administrator has the volume stopped, all calls end with ESHUTDOWN.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/file_handle.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/credentials.h"
#include "common/status.h"
#include "common/types.h"

namespace kfs {

class EventLoop;
class MetricsPage;

// Attributes of an inode; times in nanoseconds since the epoch, sizes in bytes. Access and modification times
// after 2262 are INT64_MAX and, in *_beyond, the nanoseconds from there on.
struct Attr {
  Ino ino;
  uint32_t mode = 0, nlink = 0, uid = 0, gid = 0;
  uint64_t rdev = 0, size = 0, allocated = 0;
  TimeNs atime = 0, mtime = 0, ctime = 0, btime = 0;
  uint64_t change = 0;
  uint64_t atime_beyond = 0, mtime_beyond = 0;
  uint32_t flags = 0;  // common/inode_flags.h
};

// What is told of an inode, and for how long after it was told it is sure to be true: whoever keeps it for
// longer asks again. 0: it may have changed by now.
struct Entry {
  Attr attr;
  Duration valid_for{};
};

// How reading moves access times: as relatime says, never, or with each read.
enum class AtimeRule : uint8_t { kRelative = 0, kNever = 1, kAlways = 2 };

// On whose behalf. `groups` are supplementary; when `groups_known` is false and the answer depends on them
// or on `caps` the call fails with EACCES/kNeedGroups (the FUSE layer then asks /proc and repeats it).
struct Caller {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> groups;
  bool groups_known = true;
  uint32_t umask = 0;
  uint32_t pid = 0;
  AtimeRule atime = AtimeRule::kRelative;
  // Effective capabilities by their numbers' bits. In a user namespace they count for inodes whose uid and
  // gid are in one of the ranges (pairs: first, count); without ranges for all.
  uint32_t caps = 0;
  std::vector<uint32_t> caps_uids, caps_gids;
  // Groups and capabilities cannot be known here, but the local kernel has checked them, on an inode (where
  // the call is about one) that belonged to seen_owner.
  bool kernel_checked = false;
  std::optional<uint32_t> seen_owner;
  // Lacks CAP_FSETID: truncating a file takes its setuid and setgid, also from root.
  bool kill_ids = false;
  // Fills in what is missing where a call cannot simply be made again, because its data is on its way
  // (Write). Empty: such a call fails with kNeedGroups as well.
  std::function<void(Caller*)> complete;
};

struct DirEntry {
  std::string name;
  Ino ino;
  uint32_t type = 0;    // d_type
  uint64_t cookie = 0;  // pass to Readdir to go on after this entry
  Entry entry;          // filled by plus
};
struct DirPage {
  std::vector<DirEntry> entries;
  bool eof = false;
  uint64_t last = 0;  // the highest cookie given out in the directory so far
};
// Entries after `cookie`, up to `last`: who reads to the end takes DirPage::last of its first page, as
// entries made meanwhile, by itself for instance, come behind it.
struct DirRange {
  uint64_t cookie = 0;
  uint64_t last = UINT64_MAX;
};

// Which fields of SetAttr count; values as in SetattrRequest.Valid.
struct SetAttr {
  uint32_t valid = 0;
  uint32_t mode = 0, uid = 0, gid = 0;
  uint64_t size = 0;
  TimeNs atime = 0, mtime = 0;
  uint64_t atime_beyond = 0, mtime_beyond = 0;  // as in Attr
  uint32_t flags = 0;
  // ftruncate: the size may be set through it whatever the mode says now. Else null.
  FileHandlePtr handle = nullptr;
};

struct FsStats {
  uint64_t capacity = 0, free = 0, available = 0, files = 0;
};

// A byte-range or whole-file lock; `end` inclusive, UINT64_MAX: to the end.
struct FileLock {
  enum Type : uint8_t { kUnlock = 0, kRead = 1, kWrite = 2 };
  uint64_t owner = 0;
  Type type = kUnlock;
  bool flock = false;
  uint64_t start = 0, end = UINT64_MAX;
  uint32_t pid = 0;
};

template <typename T>
using Done = std::function<void(Result<T>)>;
using DoneStatus = std::function<void(Status)>;
// Names a call that may be cancelled; 0: none.
using CallId = uint64_t;

class KfsClient {
 public:
  struct Options {
    std::vector<std::string> metaservers;  // host:port; any that answers leads to the others
    std::string volume;
    // Of the directory that is seen as the root, inode 1; symbolic links are not followed. Empty: the
    // volume's root, or the directory that the key is bound to.
    std::string path;
    Credentials credentials;  // the cluster's secret or a key, or
    std::string secret_file;  // where to read it
    std::string cluster_id;   // empty: any
    std::string mountpoint;   // told to the metaserver, for a person
    // Soft: a call that gets no answer for `timeout` ends with ETIMEDOUT. Hard (default): it waits, and can
    // be cancelled.
    bool soft = false;
    Duration timeout = std::chrono::seconds(60);
    Duration connect_timeout = std::chrono::seconds(10);  // of Connect() itself, hard or soft
    // Once, when the first attempt to connect has failed: why. Connect() goes on trying. May be empty.
    std::function<void(const Status&)> on_trying;
    bool trace = false;  // log each request's way through the stages with time stamps
    // Calls accepted and not yet done. Beyond it blocking forms wait for room, completion forms end with
    // EAGAIN.
    size_t ops_in_flight_max = 16384;
    // Runs the worker on this loop instead of a thread of its own (a mount shares one loop with the kernel's
    // requests). Connect() must then be the form with a completion, and the loop must outlive the client.
    EventLoop* loop = nullptr;
  };

  // Connects, greets, opens a session. Fails with words for a person: wrong host, volume, secret, version.
  static Result<std::unique_ptr<KfsClient>> Connect(Options options);
  // The same with a completion, on the loop. Who lets go of what is returned before `done` has run gives up: it
  // does not run then, and nothing is left. Null: `done` has run already. With a shared loop it is let go of on
  // that loop's thread, unless `done` has run or the loop does not run any more.
  class Connecting {
   public:
    virtual ~Connecting() = default;
  };
  [[nodiscard]] static std::unique_ptr<Connecting> Connect(
      Options options, std::function<void(Result<std::unique_ptr<KfsClient>>)> done);

  virtual ~KfsClient() = default;

  // Ends the session (locks and opens go) and the connections. Calls under way end with ECANCELED. Blocking;
  // the form with a completion is for a shared loop.
  virtual Status Shutdown() = 0;
  virtual void Shutdown(DoneStatus done) = 0;

  virtual uint64_t chunk_size() const = 0;
  virtual uint32_t volume_id() const = 0;

  // Called (on the worker's thread) when the metaserver asks that queued releases be sent: see Release.
  // `answered` must be called once they have been.
  virtual void OnDrainReleases(std::function<void(std::function<void()> answered)> fn) = 0;

  // ---- completion forms: `done` runs once, on the worker's thread. Any thread may call; on the worker's own
  // thread nothing is queued and no one is woken.
  //
  // A call made on the worker's own thread may run `done` before it returns, with CallId 0, when the answer
  // is known here. So whoever calls there must expect to be entered again from within the call: no lock is
  // held that `done` takes, what `done` looks for is in its place before, and a `done` that makes the next
  // call does not do so from ever deeper in the stack. (To another thread that is nothing new: `done` may
  // always run before its call has returned.) Answers that cost a server's, and refusals, never come that
  // way.
  virtual CallId Lookup(const Caller&, Ino parent, std::string_view name, Done<Entry> done) = 0;
  virtual CallId GetAttr(const Caller&, Ino, Done<Entry> done) = 0;
  virtual CallId SetAttr(const Caller&, Ino, const kfs::SetAttr&, Done<Entry> done) = 0;
  virtual CallId Access(const Caller&, Ino, uint32_t mask, DoneStatus done) = 0;
  virtual CallId ReadLink(const Caller&, Ino, Done<std::string> done) = 0;
  virtual CallId MkNod(const Caller&, Ino parent, std::string_view name, uint32_t mode, uint64_t rdev,
                       Done<Entry> done) = 0;
  virtual CallId Mkdir(const Caller&, Ino parent, std::string_view name, uint32_t mode, Done<Entry> done) = 0;
  virtual CallId Symlink(const Caller&, Ino parent, std::string_view name, std::string_view target,
                         Done<Entry> done) = 0;
  virtual CallId Link(const Caller&, Ino, Ino parent, std::string_view name, Done<Entry> done) = 0;
  struct Removed {
    Ino ino;  // 0: nothing was replaced (Rename)
    uint32_t nlink = 0;
  };
  virtual CallId Unlink(const Caller&, Ino parent, std::string_view name, Done<Removed> done) = 0;
  virtual CallId Rmdir(const Caller&, Ino parent, std::string_view name, Done<Removed> done) = 0;
  virtual CallId Rename(const Caller&, Ino parent, std::string_view name, Ino new_parent,
                        std::string_view new_name, uint32_t flags, Done<Removed> done) = 0;
  virtual CallId ReadDir(const Caller&, Ino, DirRange, uint32_t max_bytes, bool plus, Done<DirPage> done) = 0;
  virtual CallId StatFs(const Caller&, Done<FsStats> done) = 0;
  virtual CallId GetXattr(const Caller&, Ino, std::string_view name, Done<std::string> done) = 0;
  virtual CallId SetXattr(const Caller&, Ino, std::string_view name, std::string_view value, uint32_t flags,
                          DoneStatus done) = 0;
  virtual CallId ListXattr(const Caller&, Ino, Done<std::vector<std::string>> done) = 0;
  virtual CallId RemoveXattr(const Caller&, Ino, std::string_view name, DoneStatus done) = 0;
  // The caller is about to change a file's content or owner: its capabilities go, if it has any.
  virtual CallId KillCapabilities(const Caller&, Ino, DoneStatus done) = 0;

  // Open holds the inode until its handle is released (file_handle.h). flags as open(2).
  struct Opened {
    FileHandlePtr handle;
    Entry entry;
  };
  virtual CallId Open(const Caller&, Ino, uint32_t flags, Done<Opened> done) = 0;
  virtual CallId Create(const Caller&, Ino parent, std::string_view name, uint32_t mode, uint32_t flags,
                        Done<Opened> done) = 0;
  virtual CallId TmpFile(const Caller&, Ino parent, uint32_t mode, uint32_t flags, Done<Opened> done) = 0;
  // Checks that the caller may read the directory. Nothing holds it, so its handle need not be released.
  virtual CallId OpenDir(const Caller&, Ino, uint32_t flags, Done<FileHandlePtr> done) = 0;
  // Once for each handle, which is not used any more. Record locks taken through it by owners that have not
  // been flushed go with it; `unlock_flock`: the flock of that owner, too.
  virtual CallId Release(const FileHandlePtr&, bool unlock_flock, uint64_t flock_owner, DoneStatus done) = 0;

  // At most kIoSizeMax bytes a call. Read gives fewer bytes only at the end of the file.
  struct ReadFlags {
    bool noatime = false;  // O_NOATIME, or a mount that keeps no access times
  };
  virtual CallId Read(const Caller&, const FileHandlePtr&, uint64_t offset, uint32_t size, ReadFlags flags,
                      Done<Buffer> done) = 0;
  CallId Read(const Caller& caller, const FileHandlePtr& handle, uint64_t offset, uint32_t size,
              Done<Buffer> done) {
    return Read(caller, handle, offset, size, ReadFlags(), std::move(done));
  }
  // Gives the number of bytes written (all of them). With `append` the offset is ignored: the data goes to
  // the end, atomically. The data is copied nowhere: the call owns it. When done, every other client reads
  // it.
  struct WriteFlags {
    bool append = false;
    bool keep_priv = false;  // the caller may keep setuid and setgid bits (CAP_FSETID)
    bool sync = false;       // O_SYNC, O_DSYNC: as if followed by Fsync
  };
  virtual CallId Write(const Caller&, const FileHandlePtr&, uint64_t offset, Buffer data, WriteFlags flags,
                       Done<uint32_t> done) = 0;
  // Everything that was written to the file before, by whomever, survives loss of power once it is done; so
  // do its attributes, or a directory's names. EIO when changes that had been answered were lost with the
  // metaserver's power since the handle was opened, or data of this client's with a chunkserver's.
  virtual CallId Fsync(const FileHandlePtr&, bool data_only, DoneStatus done) = 0;
  // The same of an inode that is not open: a directory in which a name was just made.
  virtual CallId Fsync(Ino, DoneStatus done) = 0;
  virtual CallId Fallocate(const Caller&, const FileHandlePtr&, uint32_t mode, uint64_t offset,
                           uint64_t length, DoneStatus done) = 0;
  // whence SEEK_DATA or SEEK_HOLE; ENXIO as lseek(2).
  virtual CallId Seek(const FileHandlePtr&, uint64_t offset, int whence, Done<uint64_t> done) = 0;
  // Server-side where it can be; else read and written by the client. Gives the number of bytes copied.
  virtual CallId CopyRange(const Caller&, const FileHandlePtr& from, uint64_t from_offset,
                           const FileHandlePtr& to, uint64_t to_offset, uint64_t length,
                           Done<uint64_t> done) = 0;

  virtual CallId GetLock(const FileHandlePtr&, const FileLock&, Done<FileLock> done) = 0;
  virtual CallId SetLock(const FileHandlePtr&, const FileLock&, bool wait, DoneStatus done) = 0;
  // A descriptor is closed: all record locks of that owner on the file go, through whichever handle they
  // came.
  virtual CallId Flush(const FileHandlePtr&, uint64_t lock_owner, DoneStatus done) = 0;

  // Asks that the call end early: a waiting lock ends with EINTR, a call that waits for a server ends with
  // EINTR or with its result if that is under way. A mutation that was sent completes under its id whatever
  // is answered here.
  virtual void Cancel(CallId) = 0;

  // ---- blocking forms of all the above: client->Wait<Entry>([&](auto done) { client->Mkdir(..., done); })
  template <typename T, typename Fn>
  Result<T> Wait(Fn start);
  template <typename Fn>
  Status WaitStatus(Fn start);

  // ---- path level, blocking; paths are from the volume's root, "/a/b". Symlinks are followed as the kernel
  // would.
  virtual Result<kfs::Attr> Stat(const Caller&, std::string_view path) = 0;
  virtual Result<kfs::Attr> Mkdir(const Caller&, std::string_view path, uint32_t mode) = 0;
  virtual Status Remove(const Caller&, std::string_view path) = 0;  // file or empty directory
  virtual Status Rename(const Caller&, std::string_view from, std::string_view to) = 0;
  virtual Result<std::vector<DirEntry>> List(const Caller&, std::string_view path) = 0;
  virtual Result<std::string> ReadFile(const Caller&, std::string_view path) = 0;
  virtual Status WriteFile(const Caller&, std::string_view path, std::string_view data, uint32_t mode) = 0;

  // For status and metrics.
  struct Stats {
    uint64_t ops = 0, errors = 0, retries = 0, reconnects = 0, pending = 0;
  };
  virtual Stats stats() const = 0;
  // The same, and the times of calls, in the text that Prometheus reads (docs/metrics.md, kfs_client_...);
  // for programs with a registry of their own (rpc/metrics.h) the form with a page. Any thread.
  std::string MetricsText() const;
  virtual void ShowMetrics(MetricsPage& page) const = 0;
  // OK while calls go to the metaserver at once, else why they wait. Worker's thread.
  virtual Status Connection() const = 0;

 protected:
  // Before a blocking form begins: waits while too many calls are in flight. Not on the worker's own thread
  // (asserted).
  virtual void WaitForRoom() const = 0;
};

template <typename T, typename Fn>
Result<T> KfsClient::Wait(Fn start) {
  WaitForRoom();
  std::promise<Result<T>> promise;
  auto future = promise.get_future();
  start(Done<T>([&promise](Result<T> r) { promise.set_value(std::move(r)); }));
  return future.get();
}

template <typename Fn>
Status KfsClient::WaitStatus(Fn start) {
  WaitForRoom();
  std::promise<Status> promise;
  auto future = promise.get_future();
  start(DoneStatus([&promise](Status s) { promise.set_value(std::move(s)); }));
  return future.get();
}

}  // namespace kfs
