#include "metaserver/executor/session_view.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/utf8.h"
#include "metaserver/executor/volume.h"

namespace kfs::meta {
namespace {

constexpr size_t kPathMax = 4095;  // bytes, as PATH_MAX less its NUL

}  // namespace

void Reach::Named(Ino ino) {
  if (ino == root_ || Knows(ino)) return;
  const size_t kept = *all_ < kKeptOfAll ? kKept : kKeptAlways;
  if (young_.size() >= kept / 2) {
    *all_ -= old_.size();
    old_ = std::exchange(young_, {});
  }
  young_.insert(ino);
  ++*all_;
}

bool Reach::Allows(VolumeStore& store, Ino ino) {
  if (ino == root_) return true;
  if (young_.contains(ino)) return true;
  if (old_.contains(ino)) {  // in use, so it stays
    old_.erase(ino);
    --*all_;
    Named(ino);
    return true;
  }
  Ino at = ino;
  for (int step = 0; step < kStepsMax; ++step) {
    InodePtr inode = store.GetInode(at);
    if (inode == nullptr || inode->parent() == 0 || Ino(inode->parent()) == at) return false;
    at = Ino(inode->parent());
    if (at == root_ || Knows(at)) {
      Named(ino);
      return true;
    }
  }
  return false;
}

Ino FromSession(const Session& session, uint64_t ino) { return ino == kRootIno.v ? session.root : Ino(ino); }

uint64_t ToSession(const Session& session, Ino ino) { return ino == session.root ? kRootIno.v : ino.v; }

bool InReach(Volume& volume, Session& session, Ino ino) {
  return session.reach == nullptr || session.opens.contains(ino) || session.reach->Allows(volume.store, ino);
}

Status CheckWritable(const Volume& volume, const Session& session) {
  if (session.rights.read_only())
    return Status(EROFS, "the key " + session.rights.key() + " is for reading only");
  return volume.CheckWritable();
}

Ino ParentFor(Volume& volume, Session& session, const rec::Inode& dir) {
  if (Ino(dir.ino()) == session.root) return session.root;
  const Ino parent(dir.parent());
  // One that was moved out of what is mounted has nothing above it that could be named: 1 is the session's
  // root.
  if (parent == kRootIno && session.root != kRootIno) return Ino();
  return InReach(volume, session, parent) ? parent : Ino();
}

void SquashCaller(const rec::Rights& rights, pb::Context* ctx) {
  const bool all = rights.squash() == pb::KeyConf::ALL;
  if (!all && rights.squash() != pb::KeyConf::ROOT) return;
  // The kernel of the mount decided by whom it knows, and capabilities are root's power by another name.
  ctx->clear_caps();
  ctx->clear_caps_uids();
  ctx->clear_caps_gids();
  if (ctx->kernel_checked()) {
    ctx->set_kernel_checked(false);
    ctx->set_groups_known(false);
  }
  ctx->clear_seen_owner();
  if (all || ctx->uid() == 0) {
    ctx->set_uid(rights.squash_uid());
    ctx->set_gid(rights.squash_gid());
    ctx->clear_groups();
    ctx->set_groups_known(true);
    return;
  }
  if (ctx->gid() == 0) ctx->set_gid(rights.squash_gid());
  for (uint32_t& group : *ctx->mutable_groups()) {
    if (group == 0) group = rights.squash_gid();
  }
}

bool LiesBelow(VolumeStore& store, Ino inode, Ino top, int steps) {
  for (Ino at = inode; steps-- > 0;) {
    if (at == top) return true;
    InodePtr record = store.GetInode(at);
    if (record == nullptr || record->parent() == 0 || Ino(record->parent()) == at) return false;
    at = Ino(record->parent());
  }
  return false;
}

Result<std::string> CleanPath(std::string_view path) {
  if (path.size() > kPathMax) return Status(EINVAL, fmt::format("a path has at most {} bytes", kPathMax));
  std::string out;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..") return Status(EINVAL, "a directory is named from the volume's root on, without \"..\"");
    if (name.size() > kNameMax) return Status(EINVAL, fmt::format("a name has at most {} bytes", kNameMax));
    if (name.find('\0') != std::string_view::npos) return Status(EINVAL, "a path has no NUL");
    if (!out.empty()) out += '/';
    out += name;
  }
  return out;
}

Result<Ino> ResolveDirectory(VolumeStore& store, Ino from, std::string_view path) {
  Ino at = from;
  std::string seen;
  while (true) {
    InodePtr inode = store.GetInode(at);
    KFS_RETURN_IF_ERROR(store.db().TakeReadError());
    if (inode == nullptr) return Status(EIO, fmt::format("\"/{}\" has no inode", Printable(seen, kPathMax)));
    if (!S_ISDIR(inode->mode())) {
      const char* what =
          S_ISLNK(inode->mode()) ? "a symbolic link, which is not followed here" : "no directory";
      return Status(ENOTDIR, fmt::format("\"/{}\" is {}", Printable(seen, kPathMax), what));
    }
    if (path.empty()) return at;
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    seen += (seen.empty() ? "" : "/") + std::string(name);
    const Dentry entry = store.GetDentry(at, name);
    KFS_RETURN_IF_ERROR(store.db().TakeReadError());
    if (!entry.ino)
      return Status(ENOENT, Code::kNoDirectory,
                    fmt::format("there is no \"/{}\" in the volume", Printable(seen, kPathMax)));
    at = entry.ino;
  }
}

}  // namespace kfs::meta
