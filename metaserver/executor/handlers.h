// What the executor calls: the handlers of KFS_VOLUME_OPS (proto/ops.h), one function an op, found by the
// request's type. (Ops on the session itself are the executor's own methods.) ops/ has them. A handler reads and changes through env.txn; OK commits it
// together with the reply, an error drops it. One that is missing does not link.
#pragma once

#include "metaserver/executor/op_env.h"
#include "proto/op_types.h"

namespace kfs::meta {

#define KFS_DECLARE(number, name, ...) \
  Status Handle(OpEnv& env, const pb::name##Request& request, rpc::name::Reply* reply);
KFS_VOLUME_OPS(KFS_DECLARE)
#undef KFS_DECLARE

}  // namespace kfs::meta
