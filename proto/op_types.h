// The messages of each op: rpc::Mkdir::Request, rpc::Mkdir::Reply, rpc::Mkdir::kOp. For whoever serves or
// sends them; what only looks at frames needs no more than ops.h.
#pragma once

#include "proto/admin.pb.h"
#include "proto/chunk.pb.h"
#include "proto/common.pb.h"
#include "proto/data.pb.h"
#include "proto/image.pb.h"
#include "proto/meta.pb.h"
#include "proto/ops.h"

namespace kfs::rpc {

#define KFS_OP(number, name, reply, mutates, ...) \
  struct name {                                   \
    static constexpr Op kOp = Op::k##name;        \
    static constexpr bool kMutates = mutates;     \
    using Request = pb::name##Request;            \
    using Reply = pb::reply;                      \
  };
KFS_OPS(KFS_OP)
#undef KFS_OP

}  // namespace kfs::rpc
