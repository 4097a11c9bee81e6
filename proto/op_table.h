// The one list of operations: number, name, whether it changes state, who may send it, who serves it.
// Dispatch, logging, metrics and tracing are driven by it. A name N has messages NRequest and the reply type
// given. Numbers are never used again.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/chunk.pb.h"
#include "proto/common.pb.h"
#include "proto/meta.pb.h"

// KFS_OP(number, Name, ReplyMessage, mutates, senders)
// mutates: the op has a Context with an op_id, and its answer is stored with its effects (exactly once).
#define KFS_OPS(KFS_OP)                                                              \
  KFS_OP(1, Hello, HelloReply, false, kAnyRole)                                      \
  KFS_OP(2, HelloProof, HelloProofReply, false, kAnyRole)                            \
  KFS_OP(3, Ping, PingReply, false, kAnyRole)                                        \
  KFS_OP(10, OpenSession, OpenSessionReply, false, kFromClient)                      \
  KFS_OP(11, Reclaim, ReclaimReply, false, kFromClient)                              \
  KFS_OP(12, KeepAlive, KeepAliveReply, false, kFromClient)                          \
  KFS_OP(13, CloseSession, CloseSessionReply, false, kFromClient)                    \
  KFS_OP(16, Lookup, EntryReply, false, kFromClient)                                 \
  KFS_OP(17, Mkdir, EntryReply, true, kFromClient)                                   \
  KFS_OP(18, Mknod, EntryReply, true, kFromClient)                                   \
  KFS_OP(19, Symlink, EntryReply, true, kFromClient)                                 \
  KFS_OP(20, Link, EntryReply, true, kFromClient)                                    \
  KFS_OP(21, Unlink, UnlinkReply, true, kFromClient)                                 \
  KFS_OP(22, Rmdir, UnlinkReply, true, kFromClient)                                  \
  KFS_OP(23, Rename, RenameReply, true, kFromClient)                                 \
  KFS_OP(24, Readlink, ReadlinkReply, false, kFromClient)                            \
  KFS_OP(25, Readdir, ReaddirReply, false, kFromClient)                              \
  KFS_OP(26, Getattr, AttrReply, false, kFromClient)                                 \
  KFS_OP(27, Setattr, AttrReply, true, kFromClient)                                  \
  KFS_OP(28, Access, Empty, false, kFromClient)                                      \
  KFS_OP(29, Statfs, StatfsReply, false, kFromClient)                                \
  KFS_OP(30, Getxattr, GetxattrReply, false, kFromClient)                            \
  KFS_OP(31, Setxattr, Empty, true, kFromClient)                                     \
  KFS_OP(32, Listxattr, ListxattrReply, false, kFromClient)                          \
  KFS_OP(33, Removexattr, Empty, true, kFromClient)                                  \
  KFS_OP(34, Open, AttrReply, true, kFromClient)                                     \
  KFS_OP(35, Create, CreateReply, true, kFromClient)                                 \
  KFS_OP(36, Tmpfile, CreateReply, true, kFromClient)                                \
  KFS_OP(37, Release, Empty, true, kFromClient)                                      \
  KFS_OP(40, ReadLayout, LayoutReply, false, kFromClient)                            \
  KFS_OP(41, PrepareWrite, LayoutReply, false, kFromClient)                          \
  KFS_OP(42, CommitWrite, CommitWriteReply, true, kFromClient)                       \
  KFS_OP(43, AbortAppend, Empty, false, kFromClient)                                 \
  KFS_OP(44, Fallocate, AttrReply, true, kFromClient)                                \
  KFS_OP(45, Fsync, Empty, false, kFromClient)                                       \
  KFS_OP(50, GetLock, GetLockReply, false, kFromClient)                              \
  KFS_OP(51, SetLock, Empty, true, kFromClient)                                      \
  KFS_OP(52, Flush, Empty, true, kFromClient)                                        \
  KFS_OP(53, CancelOp, Empty, false, kFromClient)                                    \
  KFS_OP(60, DrainReleases, DrainReleasesReply, false, kFromMetaserver)              \
  KFS_OP(70, VolumeCreate, VolumeReply, false, kFromAdmin)                           \
  KFS_OP(71, VolumeDelete, Empty, false, kFromAdmin)                                 \
  KFS_OP(72, VolumeList, VolumeListReply, false, kFromAdmin)                         \
  KFS_OP(73, VolumeInfo, VolumeReply, false, kFromAdmin)                             \
  KFS_OP(74, ClusterStatus, ClusterStatusReply, false, kFromAdmin)                   \
  KFS_OP(80, RegisterChunkserver, RegisterChunkserverReply, false, kFromChunkserver) \
  KFS_OP(81, Heartbeat, HeartbeatReply, false, kFromChunkserver)                     \
  KFS_OP(82, ReportChunks, ReportChunksReply, false, kFromChunkserver)               \
  KFS_OP(90, ChunkRead, ChunkReadReply, false, kFromClient)                          \
  KFS_OP(91, ChunkWrite, ChunkWriteReply, false, kFromClient)                        \
  KFS_OP(92, ChunkSync, ChunkSyncReply, false, kFromClient)                          \
  KFS_OP(93, ChunkSeek, ChunkSeekReply, false, kFromClient)                          \
  KFS_OP(94, MutateChunk, MutateChunkReply, false, kFromMetaserver)                  \
  KFS_OP(95, DeleteChunks, DeleteChunksReply, false, kFromMetaserver)

namespace kfs {

enum class Op : uint16_t {
#define KFS_OP(number, name, reply, mutates, senders) k##name = number,
  KFS_OPS(KFS_OP)
#undef KFS_OP
};

// Bits: one for each HelloRequest::Role.
enum Senders : uint32_t {
  kFromClient = 1u << pb::HelloRequest::CLIENT,
  kFromChunkserver = 1u << pb::HelloRequest::CHUNKSERVER,
  kFromMetaserver = 1u << pb::HelloRequest::METASERVER,
  kFromAdmin = 1u << pb::HelloRequest::ADMIN,
  kAnyRole = ~0u,
};

struct OpInfo {
  Op op;
  std::string_view name;
  bool mutates;
  uint32_t senders;  // bits of Senders
};

// Null when there is no such op.
const OpInfo* FindOp(uint16_t number);
std::string_view OpName(Op op);

// Types by op: rpc::Mkdir::Request, rpc::Mkdir::Reply, rpc::Mkdir::kOp.
namespace rpc {
#define KFS_OP(number, name, reply, mutates_, senders) \
  struct name {                                        \
    static constexpr Op kOp = Op::k##name;             \
    static constexpr bool kMutates = mutates_;         \
    using Request = pb::name##Request;                 \
    using Reply = pb::reply;                           \
  };
KFS_OPS(KFS_OP)
#undef KFS_OP
}  // namespace rpc

}  // namespace kfs
