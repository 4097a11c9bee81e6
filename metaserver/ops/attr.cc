// Getattr, Access, Statfs.
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"

namespace kfs::meta {

Status Handle(OpEnv& env, const pb::GetattrRequest& request, pb::AttrReply* reply) {
  Result<const rec::Inode*> inode = GetInode(env, request.ino());
  if (!inode.ok()) return inode.status();
  FillAttr(**inode, reply->mutable_attr());
  return {};
}

Status Handle(OpEnv& env, const pb::AccessRequest& request, pb::Empty*) {
  if ((request.mask() & ~7u) != 0) return Status(EINVAL, "unknown access mask");
  Result<const rec::Inode*> inode = GetInode(env, request.ino());
  if (!inode.ok()) return inode.status();
  KFS_RETURN_IF_ERROR(Permit(env, **inode, request.mask()));
  const bool has_content =
      S_ISREG((*inode)->mode()) || S_ISDIR((*inode)->mode()) || S_ISLNK((*inode)->mode());
  if ((request.mask() & kWrite) != 0 && has_content) return CheckWritable(env.volume, env.session);
  return {};
}

Status Handle(OpEnv& env, const pb::StatfsRequest&, pb::StatfsReply* reply) {
  const SpaceSum space = env.volume.servers.Space();
  uint32_t replicas = env.volume.info.replicas();
  reply->set_capacity(space.capacity() / replicas);
  reply->set_free(space.available() / replicas);
  reply->set_available(space.available() / replicas);
  reply->set_files(env.volume.store.counters().inodes());
  return {};
}

}  // namespace kfs::meta
