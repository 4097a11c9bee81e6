// What the executor calls: the handlers of all ops that clients send within a session, one function an op,
// found by the request's type. ops/ has them. A handler reads and changes through env.txn; OK commits it
// together with the reply, an error drops it.
#pragma once

#include "metaserver/executor/op_env.h"
#include "proto/op_table.h"

// Ops that the executor runs. A name here without a handler does not compile.
// clang-format off
#define KFS_META_OPS(X)                                                                        \
  X(Lookup) X(Mkdir) X(Mknod) X(Symlink) X(Link) X(Unlink) X(Rmdir) X(Rename) X(Readlink)      \
  X(Readdir) X(Getattr) X(Setattr) X(Access) X(Statfs) X(Getxattr) X(Setxattr) X(Listxattr)    \
  X(Removexattr) X(Open) X(Create) X(Tmpfile) X(Release) X(ReadLayout) X(PrepareWrite)         \
  X(CommitWrite) X(AbortAppend) X(GiveUpWrite) X(Fallocate) X(Fsync) X(GetLock) X(SetLock)     \
  X(Flush)
// clang-format on

namespace kfs::meta {

#define KFS_DECLARE(name) \
  Status Handle(OpEnv& env, const pb::name##Request& request, rpc::name::Reply* reply);
KFS_META_OPS(KFS_DECLARE)
#undef KFS_DECLARE

}  // namespace kfs::meta
