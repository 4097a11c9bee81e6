// Directories: opendir, readdir, readdirplus, releasedir, fsyncdir.
//
// Offsets are the server's cookies: they belong to the entry for as long as its name exists, so seekdir works
// and no entry that stays is lost or shown twice. What the kernel's buffer has no room for is kept for its
// next request.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>

#include "common/limits.h"
#include "fuse/file_system.h"

namespace kfs::fuse {
namespace {

struct OpenDir {
  explicit OpenDir(FileHandlePtr handle) : handle(std::move(handle)) {}
  const FileHandlePtr handle;
  // Entries fetched and not yet given out; they follow the cookie `at`.
  std::deque<DirEntry> ahead;
  uint64_t at = 0;
  bool plus = false;  // whether `ahead` has attributes
  bool eof = false;   // nothing follows `ahead`
  // The highest cookie of the time when reading began; 0: it has not, or begins anew. Entries that a reader
  // renames away and back, or makes anew, come behind it: a listing ends.
  uint64_t last = 0;
};
using OpenDirPtr = std::shared_ptr<OpenDir>;  // a fetch may outlive the descriptor when the connection is cut

const OpenDirPtr& DirOf(const fuse_file_info* fi) { return *reinterpret_cast<OpenDirPtr*>(fi->fh); }

void OpenDirectory(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  const auto flags = static_cast<uint32_t>(fi->flags);
  Run<Result<FileHandlePtr>>(
      req,
      [ino, flags](KfsClient& c, const Caller& caller, auto done) {
        return c.OpenDir(caller, Ino(ino), flags, std::move(done));
      },
      [ino, flags](fuse_req_t r, FileSystem& fs, Result<FileHandlePtr> opened) {
        // open(".") in a removed directory succeeds on a local disk; reading it gives ENOENT.
        if (opened.status().err() == ESTALE && fs.nodes().Holds(Ino(ino)))
          opened = std::make_shared<FileHandle>(Ino(ino), flags);
        if (!opened.ok()) return ReplyStatus(r, opened.status());
        auto* dir = new OpenDirPtr(std::make_shared<OpenDir>(std::move(*opened)));
        if (ReplyOpen(r, reinterpret_cast<uint64_t>(dir), 0) != 0) delete dir;
      });
}

// The size that the entry takes in the buffer; more than `room` when it was not added.
size_t AddEntry(fuse_req_t req, char* out, size_t room, const DirEntry& entry, bool plus) {
  if (plus) {
    fuse_entry_param param = {};
    // "." and ".." carry no reference.
    const bool self = entry.name == "." || entry.name == "..";
    if (!self) {
      param.ino = entry.entry.attr.ino.v;
      param.generation = GenerationOf(entry.entry.attr);
    }
    param.attr_timeout = param.entry_timeout = std::chrono::duration<double>(entry.entry.valid_for).count();
    FillStat(entry.entry.attr, &param.attr);
    param.attr.st_ino = entry.ino.v;
    if (self) param.attr.st_mode = S_IFDIR;
    return fuse_add_direntry_plus(req, out, room, entry.name.c_str(), &param,
                                  static_cast<off_t>(entry.cookie));
  }
  struct stat st = {};
  st.st_ino = entry.ino.v;
  st.st_mode = entry.type << 12;
  return fuse_add_direntry(req, out, room, entry.name.c_str(), &st, static_cast<off_t>(entry.cookie));
}

void ReplyEntries(fuse_req_t req, FileSystem& fs, OpenDir& dir, size_t size) {
  std::string out(size, '\0');
  size_t used = 0;
  std::vector<Attr> given;
  while (!dir.ahead.empty()) {
    const DirEntry& entry = dir.ahead.front();
    const size_t need = AddEntry(req, out.data() + used, size - used, entry, dir.plus);
    if (need > size - used) break;
    used += need;
    if (dir.plus && entry.entry.attr.ino && entry.name != "." && entry.name != "..")
      given.push_back(entry.entry.attr);
    dir.at = entry.cookie;
    dir.ahead.pop_front();
  }
  // Entries with attributes count as lookups.
  for (const Attr& attr : given) fs.nodes().Looked(attr);
  if (fuse_reply_buf(req, out.data(), used) != 0) {
    for (const Attr& attr : given) fs.nodes().Unlooked(attr.ino);
  }
}

void ReadDirectory(fuse_req_t req, size_t size, off_t off, const fuse_file_info* fi, bool plus) {
  const OpenDirPtr dir = DirOf(fi);
  FileSystem& fs = FileSystem::Of(req);
  const auto cookie = static_cast<uint64_t>(off);
  size = std::min(size, kReaddirBytesMax);
  const bool continues = cookie != 0 && cookie == dir->at && plus == dir->plus;
  if (continues && (!dir->ahead.empty() || dir->eof)) {
    // The end is told from what was fetched once; who asks again wants to know what has come since.
    if (dir->ahead.empty()) dir->eof = false;
    ReplyEntries(req, fs, *dir, size);
    return;
  }
  // No stream gives out cookies behind its end, so this position is another's (an NFS server's client goes
  // on).
  if (cookie == 0 || cookie > dir->last) dir->last = 0;
  const DirRange range{cookie, dir->last == 0 ? UINT64_MAX : dir->last};
  RunAs<Result<DirPage>>(
      req, ReaderOf(req, true, static_cast<int>(dir->handle->flags())),
      [ino = dir->handle->ino(), range, size, plus](KfsClient& c, const Caller& caller, auto done) {
        return c.ReadDir(caller, ino, range, static_cast<uint32_t>(size), plus, std::move(done));
      },
      [dir, cookie, size, plus](fuse_req_t r, FileSystem& f, Result<DirPage> page) {
        if (!page.ok()) return ReplyStatus(r, f.InRemovedDir(dir->handle->ino(), page.status()));
        dir->at = cookie;
        dir->plus = plus;
        if (dir->last == 0) dir->last = page->last;
        dir->eof = page->eof && !page->entries.empty();
        dir->ahead.assign(std::make_move_iterator(page->entries.begin()),
                          std::make_move_iterator(page->entries.end()));
        ReplyEntries(r, f, *dir, size);
      });
}

void ReadDir(fuse_req_t req, fuse_ino_t, size_t size, off_t off, fuse_file_info* fi) {
  ReadDirectory(req, size, off, fi, false);
}

void ReadDirPlus(fuse_req_t req, fuse_ino_t, size_t size, off_t off, fuse_file_info* fi) {
  ReadDirectory(req, size, off, fi, true);
}

void ReleaseDir(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  delete reinterpret_cast<OpenDirPtr*>(fi->fh);
  fuse_reply_err(req, 0);
}

void FsyncDir(fuse_req_t req, fuse_ino_t ino, int data_only, fuse_file_info* fi) {
  Run<Status>(
      req,
      [handle = DirOf(fi)->handle, data_only](KfsClient& c, const Caller&, auto done) {
        return c.Fsync(handle, data_only != 0, std::move(done));
      },
      [ino](fuse_req_t r, FileSystem& fs, Status status) {
        // A removed directory that is still open has nothing left to sync.
        if (status.err() == ESTALE && fs.nodes().Holds(Ino(ino))) status = Status();
        ReplyStatus(r, status);
      });
}

}  // namespace

void AddDirOps(fuse_lowlevel_ops& ops) {
  ops.opendir = OpenDirectory;
  ops.readdir = ReadDir;
  ops.readdirplus = ReadDirPlus;
  ops.releasedir = ReleaseDir;
  ops.fsyncdir = FsyncDir;
}

}  // namespace kfs::fuse
