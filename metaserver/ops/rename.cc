// Rename: plain, NOREPLACE, EXCHANGE.
#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"

namespace kfs::meta {
namespace {

constexpr uint32_t kNoReplace = 1, kExchange = 2;

struct End {
  Ino dir_ino;
  std::string_view name;
  Dentry dentry;
  const rec::Inode* dir = nullptr;
  const rec::Inode* inode = nullptr;  // null: the name is free
};

Status LoadEnd(OpEnv& env, uint64_t parent, std::string_view name, End* end) {
  Result<const rec::Inode*> dir = GetDir(env, parent);
  if (!dir.ok()) return dir.status();
  KFS_RETURN_IF_ERROR(CheckName(name));
  end->dir_ino = Ino(parent);
  end->name = name;
  end->dir = *dir;
  KFS_RETURN_IF_ERROR(Permit(env, **dir, kExec));
  if (IsDots(name)) return Status(EBUSY, "\".\" and \"..\" cannot be renamed");
  end->dentry = env.txn.Lookup(end->dir_ino, name);
  if (!end->dentry.ino) return {};
  end->inode = env.txn.Find(end->dentry.ino);
  return end->inode != nullptr ? Status() : Status(EIO, "the entry has no inode");
}

// Is `dir` the directory `above`, or below it?
bool IsWithin(OpEnv& env, Ino dir, Ino above) {
  while (true) {
    if (dir == above) return true;
    if (dir == kRootIno) return false;
    InodePtr inode = env.volume.store.GetInode(dir);
    if (inode == nullptr || Ino(inode->parent()) == dir) return false;
    dir = Ino(inode->parent());
  }
}

// The inode moves from one directory to the other.
Status CheckMove(OpEnv& env, const End& from, const End& to) {
  if (!S_ISDIR(from.inode->mode())) return {};
  if (IsWithin(env, to.dir_ino, from.dentry.ino))
    return Status(EINVAL, "a directory cannot be moved into itself");
  // Its ".." changes.
  if (from.dir_ino != to.dir_ino) return Permit(env, *from.inode, kWrite);
  return {};
}

void SetParent(OpEnv& env, const End& moved, const End& to) {
  rec::Inode* inode = env.txn.Edit(moved.dentry.ino);
  Touch(env, inode);
  inode->set_parent(to.dir_ino.v);
}

void AddNlink(OpEnv& env, Ino dir_ino, int delta) {
  rec::Inode* dir = env.txn.Edit(dir_ino);
  dir->set_nlink(dir->nlink() + static_cast<uint32_t>(delta));
}

Status Exchange(OpEnv& env, const End& a, const End& b) {
  KFS_RETURN_IF_ERROR(PermitDelete(env, *a.dir, *a.inode));
  KFS_RETURN_IF_ERROR(PermitDelete(env, *b.dir, *b.inode));
  KFS_RETURN_IF_ERROR(CheckMove(env, a, b));
  KFS_RETURN_IF_ERROR(CheckMove(env, b, a));
  if (a.dentry.ino == b.dentry.ino) return {};
  // Cookies belong to names, so both stay where a reader of the directory expects them.
  env.txn.PutDentry(a.dir_ino, a.name, {b.dentry.ino, b.dentry.type, a.dentry.cookie});
  env.txn.PutDentry(b.dir_ino, b.name, {a.dentry.ino, a.dentry.type, b.dentry.cookie});
  SetParent(env, a, b);
  SetParent(env, b, a);
  bool a_dir = S_ISDIR(a.inode->mode()), b_dir = S_ISDIR(b.inode->mode());
  if (a.dir_ino != b.dir_ino && a_dir != b_dir) {
    AddNlink(env, a.dir_ino, a_dir ? -1 : 1);
    AddNlink(env, b.dir_ino, a_dir ? 1 : -1);
  }
  TouchContent(env, env.txn.Edit(a.dir_ino));
  if (a.dir_ino != b.dir_ino) TouchContent(env, env.txn.Edit(b.dir_ino));
  return {};
}

Status CheckReplace(OpEnv& env, const End& from, const End& to) {
  KFS_RETURN_IF_ERROR(PermitDelete(env, *to.dir, *to.inode));
  bool from_dir = S_ISDIR(from.inode->mode()), to_dir = S_ISDIR(to.inode->mode());
  if (from_dir && !to_dir) return Status(ENOTDIR, "a directory cannot replace a file");
  if (!from_dir && to_dir) return Status(EISDIR, "a file cannot replace a directory");
  if (to_dir && to.inode->entries() > 0) return Status(ENOTEMPTY, "the directory to replace is not empty");
  return {};
}

}  // namespace

Status Handle(OpEnv& env, const pb::RenameRequest& request, pb::RenameReply* reply) {
  const uint32_t flags = request.flags();
  if (flags != 0 && flags != kNoReplace && flags != kExchange) return Status(EINVAL, "unknown rename flags");
  End from, to;
  KFS_RETURN_IF_ERROR(LoadEnd(env, request.parent(), request.name(), &from));
  KFS_RETURN_IF_ERROR(LoadEnd(env, request.new_parent(), request.new_name(), &to));
  if (from.inode == nullptr) return Status(ENOENT, "no such entry");
  if (flags == kNoReplace && to.inode != nullptr) return Status(EEXIST, "the new name exists");
  if (to.dir->nlink() == 0) return Status(ENOENT, "the directory has been removed");
  if (flags == kExchange) {
    if (to.inode == nullptr) return Status(ENOENT, "no such entry to exchange with");
    return Exchange(env, from, to);
  }
  const bool is_dir = S_ISDIR(from.inode->mode());
  if (is_dir && IsWithin(env, to.dir_ino, from.dentry.ino))
    return Status(EINVAL, "a directory cannot be moved into itself");
  // A directory that lies above what is to be moved is not empty, whatever else is wrong.
  if (to.inode != nullptr && S_ISDIR(to.inode->mode()) && IsWithin(env, from.dir_ino, to.dentry.ino)) {
    return Status(ENOTEMPTY, "the directory to replace is not empty");
  }
  if (to.inode != nullptr && to.dentry.ino == from.dentry.ino)
    return {};  // two names of one file: nothing happens
  KFS_RETURN_IF_ERROR(PermitDelete(env, *from.dir, *from.inode));
  if (to.inode != nullptr) {
    KFS_RETURN_IF_ERROR(CheckReplace(env, from, to));
  } else {
    KFS_RETURN_IF_ERROR(Permit(env, *to.dir, kWrite | kExec));
  }
  KFS_RETURN_IF_ERROR(CheckMove(env, from, to));
  if (is_dir && to.inode == nullptr && from.dir_ino != to.dir_ino && to.dir->nlink() >= kLinkMax) {
    return Status(EMLINK, "too many subdirectories");
  }
  RemoveEntry(env, from.dir_ino, from.name, from.dentry);
  if (to.inode != nullptr) {
    const bool replaced_dir = S_ISDIR(to.inode->mode());
    reply->set_replaced_ino(to.dentry.ino.v);
    reply->set_replaced_nlink(replaced_dir ? 0 : to.inode->nlink() - 1);
    // The name keeps its cookie: a reader of the directory sees it exactly once.
    env.txn.PutDentry(to.dir_ino, to.name, {from.dentry.ino, from.dentry.type, to.dentry.cookie});
    TouchContent(env, env.txn.Edit(to.dir_ino));  // its nlink: one directory went, one came, or neither
    Unlinked(env, to.dir_ino, to.dentry.ino);
    SetParent(env, from, to);
  } else {
    SetParent(env, from, to);
    AddEntry(env, to.dir_ino, to.name, *env.txn.Find(from.dentry.ino));
  }
  return {};
}

}  // namespace kfs::meta
