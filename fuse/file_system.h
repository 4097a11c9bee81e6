// The mounted file system: what libfuse's dispatch calls, with all the state that the operations share. One
// file a group of operations (ops_*.cc); each takes a request, starts a client call, and replies from its
// completion on the same thread. The loop's thread only. It outlives the client's calls: destroy it after the
// client.
#pragma once

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/kfs_client.h"
#include "fuse/call_table.h"
#include "fuse/callers.h"
#include "fuse/groups.h"
#include "fuse/mount_flags.h"
#include "fuse/node_table.h"
#include "fuse/transport.h"
#include "fuse/wire.h"

namespace kfs::fuse {

class FileSystem {
 public:
  struct Options {
    bool readdirplus = false;
    // The mount's options as they are now; empty: none.
    std::function<const MountFlags&()> mount_flags = {};
    std::string served_options = {};  // what kMountXattr says
  };
  FileSystem(EventLoop& loop, KfsClient& client, Options options);

  static FileSystem& Of(fuse_req_t req) { return *static_cast<FileSystem*>(fuse_req_userdata(req)); }
  static const fuse_lowlevel_ops& Ops();

  KfsClient& client() { return client_; }
  NodeTable& nodes() { return nodes_; }
  CallTable& calls() { return calls_; }
  const Callers& callers() const { return callers_; }
  const Options& options() const { return options_; }
  // Fills in what a request about `ino` does not carry of its caller.
  void Complete(Ino ino, Caller* caller) const;
  // The mount's options at this moment.
  MountFlags mount_flags() const { return options_.mount_flags ? options_.mount_flags() : MountFlags(); }

  // The message being dispatched: what libfuse does not hand on (unique, write flags, the data itself).
  Message& message() { return *message_; }
  void set_message(Message* m) { message_ = m; }
  // Where libfuse's replies go: the session, which alone knows the transport.
  void OnReply(std::function<ssize_t(iovec*, int)> fn) { on_reply_ = std::move(fn); }
  ssize_t Reply(iovec* iov, int count) { return on_reply_(iov, count); }

  // Has the kernel write back what mappings have changed of an inode, then runs `done`.
  void OnWriteBack(std::function<void(Ino, std::function<void()>)> fn) { on_write_back_ = std::move(fn); }
  void WriteBack(Ino ino, std::function<void()> done) { on_write_back_(ino, std::move(done)); }

  // What to say when the directory `dir` itself no longer exists on the server: ENOENT, as a local file
  // system says of names in a removed working directory. Not for anything else: ESTALE lets the kernel walk
  // the path again, which is what a name that was replaced between lookup and open needs.
  Status InRemovedDir(Ino dir, Status status);

 private:
  KfsClient& client_;
  const Options options_;
  NodeTable nodes_;
  Callers callers_;
  CallTable calls_;
  Message* message_ = nullptr;
  std::function<ssize_t(iovec*, int)> on_reply_;
  std::function<void(Ino, std::function<void()>)> on_write_back_;
};

// The handle of an open file, behind fi->fh; null: the request has none.
inline FileHandlePtr HandleOf(const fuse_file_info* fi) {
  return fi == nullptr ? nullptr : *reinterpret_cast<const FileHandlePtr*>(fi->fh);
}

// ---- replies (reply.cc); the kernel keeps what they tell for as long as it is valid ----
void ReplyStatus(fuse_req_t req, const Status& status);
int ReplyEntry(fuse_req_t req, FileSystem& fs, const Entry& entry);  // counts the lookup
int ReplyAttr(fuse_req_t req, const Entry& entry);
int ReplyStatx(fuse_req_t req, const Entry& entry);
// Negative errno when nobody took the descriptor: the caller must let go of what it holds.
int ReplyOpen(fuse_req_t req, uint64_t fh, uint32_t open_flags);
int ReplyCreate(fuse_req_t req, FileSystem& fs, const Entry& entry, uint64_t fh, uint32_t open_flags);
void FillStat(const Attr& attr, struct stat* st);
// Part of a file handle, 32 bits: an inode number is never used again, except by a volume that was restored
// from a backup or made anew under the old name. The root's is always 0, as the kernel has it.
uint64_t GenerationOf(const Attr& attr);

Caller CallerOf(fuse_req_t req);
// The same for a call that reads: with the rule by which the mount keeps access times. `open_flags` of
// open(2).
Caller ReaderOf(fuse_req_t req, bool directory, int open_flags = 0);

// ---- the one way in which an operation calls the client ----
// What else a call does. kNames: changes a directory, so that it must be durable on a mount with dirsync or
// sync, which the kernel leaves to us. kOpens: that, and opens what it made.
enum class Effect { kNone, kNames, kOpens };

// The second half of a call with an effect: its result once it is as durable as the mount wants it.
template <typename R, typename DoneFn>
void MakeDurable(FileSystem& fs, uint64_t unique, Ino ino, Effect effect, R result, DoneFn done) {
  const MountFlags flags = effect == Effect::kNone ? MountFlags() : fs.mount_flags();
  if (!StatusOf(result).ok() || !(flags.sync || flags.dirsync)) return done(std::move(result));
  auto kept = std::make_shared<R>(std::move(result));
  const CallId id = fs.client().Fsync(ino, [&fs, effect, kept, done = std::move(done)](Status s) mutable {
    if (s.ok()) return done(std::move(*kept));
    if constexpr (std::is_same_v<R, Result<KfsClient::Opened>>) {
      if (effect == Effect::kOpens) fs.client().Release((*kept)->handle, false, 0, [](Status) {});
    }
    done(R(std::move(s)));
  });
  fs.calls().SetId(unique, id);
}

// start(KfsClient&, const Caller&, std::function<void(R)>) -> CallId; invoked again with groups when the
// server asks, so it owns its arguments. finish(fuse_req_t, FileSystem&, R) replies. `any_signal`: see
// CallTable.
template <typename R, typename Start, typename Finish>
void RunAs(fuse_req_t req, Caller caller, Start start, Finish finish, bool any_signal = false,
           Effect effect = Effect::kNone) {
  FileSystem& fs = FileSystem::Of(req);
  const uint64_t unique = fs.message().header().unique;
  const Ino ino(fs.message().header().nodeid);
  fs.calls().Begin(unique, caller.pid, any_signal);
  CallWithGroups<R>(
      std::move(caller),
      [&fs, unique, start = std::move(start)](const Caller& c, std::function<void(R)> done) {
        // Unknown to the table once it has ended: a call that ended at once stays forgotten.
        const CallId id = start(fs.client(), c, std::move(done));
        fs.calls().SetId(unique, id);
      },
      [&fs, ino](Caller* c) { fs.Complete(ino, c); },
      [&fs, req, unique, ino, effect, finish = std::move(finish)](R result) mutable {
        MakeDurable<R>(fs, unique, ino, effect, std::move(result),
                       [&fs, req, unique, finish = std::move(finish)](R durable) mutable {
                         fs.calls().End(unique);
                         finish(req, fs, std::move(durable));
                       });
      });
}
template <typename R, typename Start, typename Finish>
void Run(fuse_req_t req, Start start, Finish finish, bool any_signal = false, Effect effect = Effect::kNone) {
  RunAs<R>(req, CallerOf(req), std::move(start), std::move(finish), any_signal, effect);
}

// Answers with nothing but a status.
template <typename Start>
void RunStatus(fuse_req_t req, Start start, bool any_signal = false) {
  Run<Status>(
      req, std::move(start), [](fuse_req_t r, FileSystem&, Status status) { ReplyStatus(r, status); },
      any_signal);
}

// Answers with the attributes of an entry in `parent`.
inline auto ReplyEntryIn(Ino parent) {
  return [parent](fuse_req_t r, FileSystem& fs, Result<Entry> result) {
    if (!result.ok()) return ReplyStatus(r, fs.InRemovedDir(parent, result.status()));
    ReplyEntry(r, fs, *result);
  };
}
template <typename Start>
void RunEntry(fuse_req_t req, Ino parent, Start start) {
  Run<Result<Entry>>(req, std::move(start), ReplyEntryIn(parent), false, Effect::kNames);
}

// ---- the groups of operations ----
void AddNameOps(fuse_lowlevel_ops& ops);
void AddInodeOps(fuse_lowlevel_ops& ops);
void AddFlagOps(fuse_lowlevel_ops& ops);
void AddFileOps(fuse_lowlevel_ops& ops);
void AddDataOps(fuse_lowlevel_ops& ops);
void AddDirOps(fuse_lowlevel_ops& ops);
void AddXattrOps(fuse_lowlevel_ops& ops);
void AddLockOps(fuse_lowlevel_ops& ops);

}  // namespace kfs::fuse
