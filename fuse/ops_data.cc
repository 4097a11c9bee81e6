// Data: read, write, fsync, fallocate, lseek, copy_file_range.
#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/limits.h"
#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

void Read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, fuse_file_info* fi) {
  // Reads for the page cache, that is for a mapping, have no lock owner.
  fuse_read_in in;
  std::memcpy(&in, FileSystem::Of(req).message().body(), sizeof in);
  if ((in.read_flags & FUSE_READ_LOCKOWNER) == 0) FileSystem::Of(req).nodes().SetMapped(Ino(ino));
  RunAs<Result<Buffer>>(
      req, ReaderOf(req, false, fi->flags),
      [handle = HandleOf(fi), size, off](KfsClient& c, const Caller& caller, auto done) {
        return c.Read(caller, handle, static_cast<uint64_t>(off), static_cast<uint32_t>(size),
                      {.noatime = caller.atime == AtimeRule::kNever}, std::move(done));
      },
      [](fuse_req_t r, FileSystem&, Result<Buffer> data) {
        if (!data.ok()) return ReplyStatus(r, data.status());
        fuse_reply_buf(r, data->data(), data->size());
      });
}

// Smaller writes are copied to a buffer of their size, larger ones take the transport's own.
constexpr size_t kCopyMax = 64u << 10;

Buffer TakePayload(Message& message, size_t size) {
  if (size <= kCopyMax) return Buffer::Copy(message.payload->data(), size);
  Buffer data = std::move(*message.payload);
  data.Shrink(size);
  return data;
}

KfsClient::WriteFlags FlagsOf(const fuse_write_in& in) {
  KfsClient::WriteFlags flags;
  const bool from_page_cache = (in.write_flags & FUSE_WRITE_CACHE) != 0;
  // fcntl(F_SETFL) changes O_APPEND without telling us: each write carries the flags of its moment. Pages
  // written back from a shared mapping have their own offsets and a guessed descriptor.
  flags.append = !from_page_cache && (in.flags & O_APPEND) != 0;
  flags.sync = !from_page_cache && (in.flags & O_DSYNC) != 0;  // O_SYNC contains O_DSYNC
  // The kernel knows whether the writer has CAP_FSETID; mapped writes keep privileges on a local disk too.
  flags.keep_priv = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) == 0;
  return flags;
}

void Write(fuse_req_t req, fuse_ino_t ino, const char*, size_t size, off_t off, fuse_file_info* fi) {
  // Not libfuse's pointer: the data is not behind the arguments (Message::payload).
  Message& message = FileSystem::Of(req).message();
  if (message.payload == nullptr || message.payload_size != size || size > kIoSizeMax) {
    fuse_reply_err(req, EIO);
    return;
  }
  fuse_write_in in;
  std::memcpy(&in, message.body(), sizeof in);
  auto flags = FlagsOf(in);
  // The kernel leaves it to us that a mount is "sync". Pages are written back by whoever syncs them.
  flags.sync |= (in.write_flags & FUSE_WRITE_CACHE) == 0 && FileSystem::Of(req).mount_flags().sync;
  // Shared, because std::function copies; given away at the first call. Where the write depends on groups
  // (setgid without group execution, and the kernel says that the writer may not keep it) the call itself
  // looks for them.
  auto data = std::make_shared<Buffer>(TakePayload(message, size));
  Run<Result<uint32_t>>(
      req,
      [&fs = FileSystem::Of(req), ino, handle = HandleOf(fi), off, flags, data](KfsClient& c, Caller caller,
                                                                                auto done) {
        if (!flags.keep_priv) caller.complete = [&fs, ino](Caller* who) { fs.Complete(Ino(ino), who); };
        return c.Write(caller, handle, static_cast<uint64_t>(off), std::move(*data), flags, std::move(done));
      },
      [](fuse_req_t r, FileSystem&, Result<uint32_t> written) {
        if (!written.ok()) return ReplyStatus(r, written.status());
        fuse_reply_write(r, *written);
      });
}

void Fsync(fuse_req_t req, fuse_ino_t, int data_only, fuse_file_info* fi) {
  RunStatus(req, [handle = HandleOf(fi), data_only](KfsClient& c, const Caller&, auto done) {
    return c.Fsync(handle, data_only != 0, std::move(done));
  });
}

void Fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t off, off_t length, fuse_file_info* fi) {
  RunStatus(req, [handle = HandleOf(fi), mode, off, length](KfsClient& c, const Caller& caller, auto done) {
    return c.Fallocate(caller, handle, static_cast<uint32_t>(mode), static_cast<uint64_t>(off),
                       static_cast<uint64_t>(length), std::move(done));
  });
}

void Lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, fuse_file_info* fi) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  FileSystem& fs = FileSystem::Of(req);
  Run<Result<uint64_t>>(
      req,
      [&fs, unique = fs.message().header().unique, ino, handle = HandleOf(fi), off, whence](
          KfsClient& c, const Caller&, auto done) -> CallId {
        const auto seek = [&c, handle, off, whence](auto then) {
          return c.Seek(handle, static_cast<uint64_t>(off), whence, std::move(then));
        };
        if (!fs.nodes().Mapped(Ino(ino))) return seek(std::move(done));
        // Data that only the kernel's page cache has yet would be taken for a hole.
        fs.WriteBack(Ino(ino),
                     [&fs, unique, seek, done = std::move(done)] { fs.calls().SetId(unique, seek(done)); });
        return 0;
      },
      [](fuse_req_t r, FileSystem&, Result<uint64_t> at) {
        if (!at.ok()) return ReplyStatus(r, at.status());
        fuse_reply_lseek(r, static_cast<off_t>(*at));
      });
}

// One request copies at most so much: short copies are allowed, and the caller can be killed between two.
constexpr size_t kCopyRangeMax = 64u << 20;

void CopyFileRange(fuse_req_t req, fuse_ino_t, off_t from_off, fuse_file_info* from_fi, fuse_ino_t,
                   off_t to_off, fuse_file_info* to_fi, size_t length, int flags) {
  if (flags != 0) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  Run<Result<uint64_t>>(
      req,
      [&fs = FileSystem::Of(req), from = HandleOf(from_fi), from_off, to = HandleOf(to_fi), to_off,
       length = std::min(length, kCopyRangeMax)](KfsClient& c, Caller caller, auto done) {
        // Whether setuid and setgid stay depends on a capability, and nothing is refused that would ask for
        // it.
        if (!caller.groups_known) fs.Complete(to->ino(), &caller);
        return c.CopyRange(caller, from, static_cast<uint64_t>(from_off), to, static_cast<uint64_t>(to_off),
                           length, std::move(done));
      },
      [](fuse_req_t r, FileSystem&, Result<uint64_t> copied) {
        if (!copied.ok()) return ReplyStatus(r, copied.status());
        fuse_reply_write(r, *copied);
      });
}

}  // namespace

void AddDataOps(fuse_lowlevel_ops& ops) {
  ops.read = Read;
  ops.write = Write;
  ops.fsync = Fsync;
  ops.fallocate = Fallocate;
  ops.lseek = Lseek;
  ops.copy_file_range = CopyFileRange;
}

}  // namespace kfs::fuse
