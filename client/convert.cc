#include "client/convert.h"

namespace kfs {

Attr AttrFromPb(const pb::Attr& a) {
  Attr out;
  out.ino = Ino(a.ino());
  out.mode = a.mode();
  out.nlink = a.nlink();
  out.uid = a.uid();
  out.gid = a.gid();
  out.rdev = a.rdev();
  out.size = a.size();
  out.allocated = a.allocated();
  out.atime = a.atime();
  out.mtime = a.mtime();
  out.ctime = a.ctime();
  out.btime = a.btime();
  out.change = a.change();
  out.atime_beyond = a.atime_beyond();
  out.mtime_beyond = a.mtime_beyond();
  out.flags = a.flags();
  return out;
}

Entry EntryFromPb(const pb::Attr& a) { return {.attr = AttrFromPb(a), .valid_for = Duration::zero()}; }

FileLock LockFromPb(const pb::LockRange& l) {
  FileLock out;
  out.owner = l.owner();
  out.type = static_cast<FileLock::Type>(l.type());
  out.flock = l.flock();
  out.start = l.start();
  out.end = l.end();
  out.pid = l.pid();
  return out;
}

void LockToPb(Ino ino, const FileLock& lock, pb::LockRange* out) {
  out->set_ino(ino.v);
  out->set_owner(lock.owner);
  out->set_type(static_cast<pb::LockRange::Type>(lock.type));
  out->set_flock(lock.flock);
  out->set_start(lock.start);
  out->set_end(lock.end);
  out->set_pid(lock.pid);
}

void CallerToPb(const Caller& caller, pb::Context* ctx) {
  ctx->set_uid(caller.uid);
  ctx->set_gid(caller.gid);
  for (uint32_t g : caller.groups) ctx->add_groups(g);
  ctx->set_groups_known(caller.groups_known);
  ctx->set_umask(caller.umask);
  ctx->set_pid(caller.pid);
  ctx->set_atime(static_cast<pb::Context::AtimeRule>(caller.atime));
  ctx->set_caps(caller.caps);
  for (uint32_t id : caller.caps_uids) ctx->add_caps_uids(id);
  for (uint32_t id : caller.caps_gids) ctx->add_caps_gids(id);
  ctx->set_kernel_checked(caller.kernel_checked);
  if (caller.seen_owner) ctx->set_seen_owner(*caller.seen_owner);
}

DirPage DirPageFromPb(pb::ReaddirReply& reply) {
  DirPage page;
  page.eof = reply.eof();
  page.last = reply.last();
  page.entries.resize(static_cast<size_t>(reply.entry_size()));
  for (int i = 0; i < reply.entry_size(); ++i) {
    auto* from = reply.mutable_entry(i);
    DirEntry& to = page.entries[static_cast<size_t>(i)];
    to.name = std::move(*from->mutable_name());
    to.ino = Ino(from->ino());
    to.type = from->type();
    to.cookie = from->cookie();
    if (from->has_attr()) to.entry = EntryFromPb(from->attr());
  }
  return page;
}

}  // namespace kfs
