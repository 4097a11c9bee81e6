// Readdir: a page of a directory, by cookie.
#include <algorithm>

#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

constexpr size_t kEntryOverhead = 32;  // ino, type, cookie and tags
constexpr size_t kAttrOverhead = 128;  // attributes at their longest

}  // namespace

Status Handle(OpEnv& env, const pb::ReaddirRequest& request, pb::ReaddirReply* reply) {
  Result<const rec::Inode*> found = GetDir(env, request.ino());
  if (!found.ok()) return found.status();
  const rec::Inode& dir = **found;
  Ino ino(request.ino());
  // Whoever holds it open was allowed to read it then.
  if (!env.session.opens.contains(ino)) KFS_RETURN_IF_ERROR(Permit(env, dir, kRead));
  reply->set_eof(true);
  reply->set_last(dir.next_cookie() - 1);
  const uint64_t last = request.last() == 0 ? UINT64_MAX : request.last();
  if (dir.nlink() == 0) return {};
  const size_t limit = std::clamp<size_t>(request.max_bytes(), 1, kReaddirBytesMax);
  size_t bytes = 0;
  auto add = [&](std::string_view name, Ino entry, uint32_t type, uint64_t cookie) {
    size_t cost = name.size() + kEntryOverhead + (request.plus() ? kAttrOverhead : 0);
    if (bytes > 0 && bytes + cost > limit) {
      reply->set_eof(false);
      return false;
    }
    pb::ReaddirReply::Entry* e = reply->add_entry();
    if (request.plus()) {
      InodePtr inode = env.volume.store.GetInode(entry);
      if (inode == nullptr) {  // cannot be; an entry without attributes would harm the kernel more than none
        reply->mutable_entry()->RemoveLast();
        return true;
      }
      FillAttr(*inode, e->mutable_attr());
    }
    bytes += cost;
    e->set_name(name.data(), name.size());
    e->set_ino(entry.v);
    e->set_type(type);
    e->set_cookie(cookie);
    return true;
  };
  bool more = true;
  if (request.cookie() < 1) more = add(".", ino, S_IFDIR >> 12, 1);
  if (more && request.cookie() < 2) {
    const Ino parent = ParentFor(env.volume, env.session, dir);
    more = add("..", parent ? parent : ino, S_IFDIR >> 12, 2);
  }
  if (more && request.cookie() < last && dir.entries() > 0) {
    Key from = CookieKey(ino, std::max<uint64_t>(request.cookie() + 1, 3));
    rec::Dentry record;
    env.volume.store.Scan(CookiePrefix(ino), from, [&](std::string_view, std::string_view value) {
      if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) return true;
      if (record.cookie() > last) return false;
      return add(record.name(), Ino(record.ino()), record.type(), record.cookie());
    });
  }
  if (request.cookie() == 0) Accessed(env, dir);
  return {};
}

}  // namespace kfs::meta
