// A KfsClient that is a small file system in memory: enough to mount it and try what lies between the kernel
// and the client. Answers come at once, unless a call is held (Hold). One thread.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <type_traits>

#include "client/kfs_client.h"

namespace kfs::fuse {

class MemoryClient : public KfsClient {
 public:
  MemoryClient() { Make(S_IFDIR | 0777, kRootIno); }

  Status Shutdown() override { return {}; }
  void Shutdown(DoneStatus done) override { done({}); }
  uint64_t chunk_size() const override { return 1 << 20; }
  uint32_t volume_id() const override { return 1; }
  void OnDrainReleases(std::function<void(std::function<void()>)>) override {}

  CallId Lookup(const Caller&, Ino parent, std::string_view name, Done<Entry> done) override {
    Node* dir = Find(parent);
    if (dir == nullptr) return Answer(done, Status(ESTALE, "gone"));
    ++lookups_[std::string(name)];
    auto it = dir->names.find(std::string(name));
    if (it == dir->names.end()) return Answer(done, Status(ENOENT, "no such name"));
    return Answer<Entry>(done, EntryOf(*Find(it->second)));
  }
  CallId GetAttr(const Caller&, Ino ino, Done<Entry> done) override { return AnswerAttr(done, ino); }
  CallId SetAttr(const Caller&, Ino ino, const kfs::SetAttr& set, Done<Entry> done) override {
    Node* n = Find(ino);
    if (n == nullptr) return Answer(done, Status(ESTALE, "gone"));
    if ((set.valid & 1) != 0) n->attr.mode = (n->attr.mode & S_IFMT) | (set.mode & 07777);
    if ((set.valid & 8) != 0) Resize(*n, set.size);
    return Answer<Entry>(done, EntryOf(*n));
  }
  CallId Access(const Caller& caller, Ino ino, uint32_t, DoneStatus done) override {
    Node* n = Find(ino);
    if (n == nullptr) done(Status(ESTALE, "gone"));
    // A directory of mode 0705 stands for one that only members of group 4242 may read (the kernel lets
    // everybody).
    else if ((n->attr.mode & 0777) == 0705 && caller.uid != 0 && !caller.groups_known)
      done(Status(EACCES, Code::kNeedGroups, "groups?"));
    else if ((n->attr.mode & 0777) == 0705 && caller.uid != 0)
      done(std::ranges::count(caller.groups, 4242u) != 0 ? Status() : Status(EACCES, "no"));
    else
      done({});
    return 0;
  }
  CallId ReadLink(const Caller&, Ino ino, Done<std::string> done) override {
    return Answer<std::string>(done, Find(ino)->data);
  }
  CallId MkNod(const Caller&, Ino parent, std::string_view name, uint32_t mode, uint64_t,
               Done<Entry> done) override {
    return MakeIn(parent, name, mode, done);
  }
  CallId Mkdir(const Caller& c, Ino parent, std::string_view name, uint32_t mode, Done<Entry> done) override {
    return MakeIn(parent, name, S_IFDIR | (mode & ~c.umask & 07777), done);
  }
  CallId Symlink(const Caller&, Ino parent, std::string_view name, std::string_view target,
                 Done<Entry> done) override {
    return MakeIn(parent, name, S_IFLNK | 0777, done, target);
  }
  CallId Link(const Caller&, Ino ino, Ino parent, std::string_view name, Done<Entry> done) override {
    Find(parent)->names[std::string(name)] = ino;
    ++Find(ino)->attr.nlink;
    return AnswerAttr(done, ino);
  }
  CallId Unlink(const Caller&, Ino parent, std::string_view name, Done<Removed> done) override {
    return Remove(parent, name, done);
  }
  CallId Rmdir(const Caller&, Ino parent, std::string_view name, Done<Removed> done) override {
    return Remove(parent, name, done);
  }
  CallId Rename(const Caller&, Ino, std::string_view, Ino, std::string_view, uint32_t,
                Done<Removed> done) override {
    return Answer(done, Status(ENOSYS, "a server without this op"));
  }
  CallId ReadDir(const Caller&, Ino ino, DirRange range, uint32_t, bool, Done<DirPage> done) override {
    Node* dir = Find(ino);
    if (dir == nullptr) return Answer(done, Status(ESTALE, "gone"));
    DirPage page;
    uint64_t at = 2;
    for (const auto& [name, child] : dir->names) {
      ++at;
      const Attr& attr = Find(child)->attr;
      if (at > range.cookie && at <= range.last)
        page.entries.push_back({name, child, attr.mode >> 12, at, {attr}});
    }
    page.eof = true;
    page.last = at;
    return Answer<DirPage>(done, std::move(page));
  }
  CallId StatFs(const Caller&, Done<FsStats> done) override {
    return Answer<FsStats>(done, FsStats{1 << 30, 1 << 29, 1 << 28, 5});
  }
  CallId GetXattr(const Caller&, Ino, std::string_view name, Done<std::string> done) override {
    if (name == "user.size5") return Answer<std::string>(done, std::string("12345"));
    if (name.starts_with("user.lookups."))
      return Answer<std::string>(done, std::to_string(lookups_[std::string(name.substr(13))]));
    return Answer(done, Status(ENODATA, "none"));
  }
  CallId SetXattr(const Caller&, Ino, std::string_view, std::string_view, uint32_t, DoneStatus d) override {
    return Nothing(d);
  }
  CallId ListXattr(const Caller&, Ino, Done<std::vector<std::string>> done) override {
    return Answer(done, std::vector<std::string>{"user.a", "user.b"});
  }
  CallId RemoveXattr(const Caller&, Ino, std::string_view, DoneStatus d) override { return Nothing(d); }
  CallId KillCapabilities(const Caller&, Ino, DoneStatus d) override { return Nothing(d); }

  CallId Open(const Caller&, Ino ino, uint32_t flags, Done<Opened> done) override {
    Node* n = Find(ino);
    if (n == nullptr) return Answer(done, Status(ESTALE, "gone"));
    if ((flags & 01000) != 0) Resize(*n, 0);
    return AnswerOpened(done, *n, flags);
  }
  CallId Create(const Caller& c, Ino parent, std::string_view name, uint32_t mode, uint32_t flags,
                Done<Opened> done) override {
    MakeIn(parent, name, S_IFREG | (mode & ~c.umask & 07777), [](const Result<Entry>&) {});
    return AnswerOpened(done, *Find(Find(parent)->names.at(std::string(name))), flags);
  }
  CallId TmpFile(const Caller&, Ino, uint32_t mode, uint32_t flags, Done<Opened> done) override {
    Node& n = Make(S_IFREG | (mode & 07777));
    n.attr.nlink = 0;
    return AnswerOpened(done, n, flags);
  }
  CallId OpenDir(const Caller& caller, Ino ino, uint32_t flags, Done<FileHandlePtr> done) override {
    return Access(caller, ino, 4, [=](Status s) {
      if (!s.ok()) return done(std::move(s));
      done(std::make_shared<FileHandle>(ino, flags));
    });
  }
  CallId Release(const FileHandlePtr& handle, bool, uint64_t, DoneStatus done) override {
    if (Node* n = Find(handle->ino())) {
      --n->opens;
      Collect(handle->ino());
    }
    return Nothing(done);
  }
  CallId Read(const Caller&, const FileHandlePtr& handle, uint64_t offset, uint32_t size, ReadFlags,
              Done<Buffer> done) override {
    Node* n = Find(handle->ino());
    if (n->data == "hang") return Hold([done] { done(Status(EINTR, "cancelled")); });
    const std::string part = offset < n->data.size() ? n->data.substr(offset, size) : "";
    return Answer<Buffer>(done, Buffer::Copy(part.data(), part.size()));
  }
  CallId Write(const Caller&, const FileHandlePtr& handle, uint64_t offset, Buffer data, WriteFlags flags,
               Done<uint32_t> done) override {
    Node* n = Find(handle->ino());
    if (flags.append) offset = n->data.size();
    if (n->data.size() < offset + data.size()) Resize(*n, offset + data.size());
    n->data.replace(offset, data.size(), data.view());
    ++n->attr.mtime;
    if (!flags.keep_priv) n->attr.mode &= ~06000u;
    return Answer<uint32_t>(done, static_cast<uint32_t>(data.size()));
  }
  CallId Fsync(const FileHandlePtr&, bool, DoneStatus d) override { return Nothing(d); }
  CallId Fsync(Ino, DoneStatus d) override { return Nothing(d); }
  CallId Fallocate(const Caller&, const FileHandlePtr&, uint32_t, uint64_t, uint64_t, DoneStatus d) override {
    return Nothing(d);
  }
  // First byte that is not zero.
  CallId Seek(const FileHandlePtr& handle, uint64_t offset, int, Done<uint64_t> done) override {
    const size_t at = Find(handle->ino())->data.find_first_not_of('\0', offset);
    if (at == std::string::npos) return Answer(done, Status(ENXIO, "nothing but holes"));
    return Answer<uint64_t>(done, at);
  }
  CallId CopyRange(const Caller&, const FileHandlePtr& from, uint64_t at, const FileHandlePtr& to,
                   uint64_t to_at, uint64_t length, Done<uint64_t> done) override {
    const std::string part = Find(from->ino())->data.substr(at, length);
    Resize(*Find(to->ino()), to_at + part.size());
    Find(to->ino())->data.replace(to_at, part.size(), part);
    return Answer<uint64_t>(done, part.size());
  }
  CallId GetLock(const FileHandlePtr&, const FileLock& lock, Done<FileLock> done) override {
    return Answer<FileLock>(done, lock);
  }
  CallId SetLock(const FileHandlePtr&, const FileLock&, bool wait, DoneStatus done) override {
    if (wait) return Hold([done] { done(Status(EINTR, "cancelled")); });
    return Nothing(done);
  }
  CallId Flush(const FileHandlePtr&, uint64_t, DoneStatus d) override { return Nothing(d); }
  void Cancel(CallId id) override {
    if (auto held = held_.extract(id)) held.mapped()();
  }

  Result<kfs::Attr> Stat(const Caller&, std::string_view) override { return NoPaths(); }
  Result<kfs::Attr> Mkdir(const Caller&, std::string_view, uint32_t) override { return NoPaths(); }
  Status Remove(const Caller&, std::string_view) override { return NoPaths(); }
  Status Rename(const Caller&, std::string_view, std::string_view) override { return NoPaths(); }
  Result<std::vector<DirEntry>> List(const Caller&, std::string_view) override { return NoPaths(); }
  Result<std::string> ReadFile(const Caller&, std::string_view) override { return NoPaths(); }
  Status WriteFile(const Caller&, std::string_view, std::string_view, uint32_t) override { return NoPaths(); }
  Stats stats() const override { return {}; }
  void ShowMetrics(MetricsPage&) const override {}
  Status Connection() const override { return {}; }

 protected:
  void WaitForRoom() const override {}

 private:
  struct Node {
    Attr attr;
    std::string data;
    std::map<std::string, Ino> names;
    int opens = 0;
    Duration valid_for{};
  };

  static Entry EntryOf(const Node& n) { return {.attr = n.attr, .valid_for = n.valid_for}; }

  static Status NoPaths() { return Status(EOPNOTSUPP, "no path calls"); }
  template <typename T>
  static CallId Answer(const Done<T>& done, std::type_identity_t<Result<T>> result) {
    done(std::move(result));
    return 0;
  }
  CallId AnswerAttr(const Done<Entry>& done, Ino ino) {
    Node* n = Find(ino);
    if (n == nullptr) return Answer(done, Result<Entry>(Status(ESTALE, "gone")));
    return Answer<Entry>(done, EntryOf(*n));
  }
  static CallId AnswerOpened(const Done<Opened>& done, Node& n, uint32_t flags) {
    ++n.opens;
    return Answer<Opened>(done, Opened{std::make_shared<FileHandle>(n.attr.ino, flags), EntryOf(n)});
  }
  static CallId Nothing(const DoneStatus& done) {
    done({});
    return 0;
  }
  CallId Hold(std::function<void()> cancelled) {
    held_[++last_call_] = std::move(cancelled);
    return last_call_;
  }
  Node* Find(Ino ino) {
    auto it = nodes_.find(ino);
    return it == nodes_.end() ? nullptr : &it->second;
  }
  Node& Make(uint32_t mode, Ino ino = Ino()) {
    if (!ino) ino = Ino(++last_ino_);
    Node& n = nodes_[ino];
    n.attr.ino = ino;
    n.attr.mode = mode;
    n.attr.nlink = S_ISDIR(mode) ? 2 : 1;
    return n;
  }
  CallId MakeIn(Ino parent, std::string_view name, uint32_t mode, const Done<Entry>& done,
                std::string_view data = "") {
    Node& n = Make(mode);
    Resize(n, data.size());
    n.data = data;
    if (name.starts_with("kept")) n.valid_for = std::chrono::hours(1);
    Find(parent)->names[std::string(name)] = n.attr.ino;
    return Answer<Entry>(done, EntryOf(n));
  }
  CallId Remove(Ino parent, std::string_view name, const Done<Removed>& done) {
    auto& names = Find(parent)->names;
    const Ino ino = names.at(std::string(name));
    names.erase(std::string(name));
    Attr& attr = Find(ino)->attr;
    attr.nlink = S_ISDIR(attr.mode) ? 0 : attr.nlink - 1;
    const Removed removed{ino, attr.nlink};
    Collect(ino);
    return Answer<Removed>(done, removed);
  }
  void Collect(Ino ino) {
    Node* n = Find(ino);
    if (n->attr.nlink == 0 && n->opens == 0) nodes_.erase(ino);
  }
  static void Resize(Node& n, uint64_t size) {
    n.data.resize(size);
    n.attr.size = size;
  }

  std::map<Ino, Node> nodes_;
  std::map<std::string, int> lookups_;
  std::map<CallId, std::function<void()>> held_;
  uint64_t last_ino_ = 1;
  CallId last_call_ = 0;
};

}  // namespace kfs::fuse
