// The one list of operations: number, name, whether it changes state, who may send it, who serves it.
// Dispatch, logging, metrics and tracing are driven by it. A name N has messages NRequest and the reply type
// given. Numbers are never used again.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/admin.pb.h"
#include "proto/chunk.pb.h"
#include "proto/common.pb.h"
#include "proto/image.pb.h"
#include "proto/meta.pb.h"

// KFS_OP(number, Name, ReplyMessage, mutates, answered, senders)
// mutates: the op has a Context with an op_id, and its answer is kept where its effects are (exactly once).
// answered: when, see Answered.
#define KFS_OPS(KFS_OP)                                                                       \
  KFS_OP(1, Hello, HelloReply, false, kAtOnce, kAnyRole)                                      \
  KFS_OP(2, HelloProof, HelloProofReply, false, kAtOnce, kAnyRole)                            \
  KFS_OP(3, Ping, PingReply, false, kAtOnce, kAnyRole)                                        \
  KFS_OP(10, OpenSession, OpenSessionReply, false, kAtOnce, kFromClient)                      \
  KFS_OP(11, Reclaim, ReclaimReply, false, kAtOnce, kFromClient)                              \
  KFS_OP(12, KeepAlive, KeepAliveReply, false, kAtOnce, kFromClient)                          \
  KFS_OP(13, CloseSession, CloseSessionReply, false, kAtOnce, kFromClient)                    \
  KFS_OP(14, LocateVolume, LocateVolumeReply, false, kAtOnce, kFromClient | kFromAdmin)       \
  KFS_OP(16, Lookup, EntryReply, false, kAtOnce, kFromClient)                                 \
  KFS_OP(17, Mkdir, EntryReply, true, kAtOnce, kFromClient)                                   \
  KFS_OP(18, Mknod, EntryReply, true, kAtOnce, kFromClient)                                   \
  KFS_OP(19, Symlink, EntryReply, true, kAtOnce, kFromClient)                                 \
  KFS_OP(20, Link, EntryReply, true, kAtOnce, kFromClient)                                    \
  KFS_OP(21, Unlink, UnlinkReply, true, kAtOnce, kFromClient)                                 \
  KFS_OP(22, Rmdir, UnlinkReply, true, kAtOnce, kFromClient)                                  \
  KFS_OP(23, Rename, RenameReply, true, kAtOnce, kFromClient)                                 \
  KFS_OP(24, Readlink, ReadlinkReply, false, kAtOnce, kFromClient)                            \
  KFS_OP(25, Readdir, ReaddirReply, false, kAtOnce, kFromClient)                              \
  KFS_OP(26, Getattr, AttrReply, false, kAtOnce, kFromClient)                                 \
  KFS_OP(27, Setattr, AttrReply, true, kAtOnce, kFromClient)                                  \
  KFS_OP(28, Access, Empty, false, kAtOnce, kFromClient)                                      \
  KFS_OP(29, Statfs, StatfsReply, false, kAtOnce, kFromClient)                                \
  KFS_OP(30, Getxattr, GetxattrReply, false, kAtOnce, kFromClient)                            \
  KFS_OP(31, Setxattr, Empty, true, kAtOnce, kFromClient)                                     \
  KFS_OP(32, Listxattr, ListxattrReply, false, kAtOnce, kFromClient)                          \
  KFS_OP(33, Removexattr, Empty, true, kAtOnce, kFromClient)                                  \
  KFS_OP(34, Open, AttrReply, true, kAtOnce, kFromClient)                                     \
  KFS_OP(35, Create, CreateReply, true, kAtOnce, kFromClient)                                 \
  KFS_OP(36, Tmpfile, CreateReply, true, kAtOnce, kFromClient)                                \
  KFS_OP(37, Release, Empty, true, kAtOnce, kFromClient)                                      \
  KFS_OP(40, ReadLayout, LayoutReply, false, kLater, kFromClient)                             \
  KFS_OP(41, PrepareWrite, LayoutReply, false, kLater, kFromClient)                           \
  KFS_OP(42, CommitWrite, CommitWriteReply, true, kLater, kFromClient)                        \
  KFS_OP(43, AbortAppend, Empty, false, kAtOnce, kFromClient)                                 \
  KFS_OP(44, Fallocate, AttrReply, true, kLater, kFromClient)                                 \
  KFS_OP(45, Fsync, Empty, false, kLater, kFromClient)                                        \
  KFS_OP(46, GiveUpWrite, Empty, false, kAtOnce, kFromClient)                                 \
  KFS_OP(50, GetLock, GetLockReply, false, kAtOnce, kFromClient)                              \
  KFS_OP(51, SetLock, Empty, true, kLater, kFromClient)                                       \
  KFS_OP(52, Flush, Empty, true, kAtOnce, kFromClient)                                        \
  KFS_OP(53, CancelOp, Empty, false, kAtOnce, kFromClient)                                    \
  KFS_OP(60, DrainReleases, DrainReleasesReply, false, kAtOnce, kFromMetaserver)              \
  KFS_OP(61, PeerSend, Empty, false, kAtOnce, kFromMetaserver)                                \
  KFS_OP(62, PeerAsk, PeerAskReply, false, kAtOnce, kFromMetaserver)                          \
  KFS_OP(63, PeerAdopt, Empty, false, kAtOnce, kFromMetaserver)                               \
  KFS_OP(64, ImagePut, Empty, false, kAtOnce, kFromMetaserver | kFromAdmin)                   \
  KFS_OP(72, VolumeList, VolumeListReply, false, kAtOnce, kFromAdmin)                         \
  KFS_OP(73, VolumeInfo, VolumeReply, false, kAtOnce, kFromAdmin)                             \
  KFS_OP(74, ClusterStatus, ClusterStatusReply, false, kAtOnce, kFromAdmin)                   \
  KFS_OP(75, ConfChange, ConfChangeReply, false, kAtOnce, kFromAdmin)                         \
  KFS_OP(76, ConfShow, ConfShowReply, false, kAtOnce, kFromAdmin)                             \
  KFS_OP(77, PeerProbe, ConfChangeReply, false, kAtOnce, kFromAdmin)                          \
  KFS_OP(78, PeerRepair, ConfChangeReply, false, kAtOnce, kFromAdmin)                         \
  KFS_OP(79, PeerWhy, PeerWhyReply, false, kAtOnce, kFromAdmin)                               \
  KFS_OP(80, RegisterChunkserver, RegisterChunkserverReply, false, kAtOnce, kFromChunkserver) \
  KFS_OP(81, Heartbeat, HeartbeatReply, false, kAtOnce, kFromChunkserver)                     \
  KFS_OP(82, ReportChunks, ReportChunksReply, false, kAtOnce, kFromChunkserver)               \
  KFS_OP(83, VolumeStatus, VolumeStatusReply, false, kAtOnce, kFromAdmin)                     \
  KFS_OP(84, TransactionList, TransactionListReply, false, kAtOnce, kFromAdmin)               \
  KFS_OP(85, TransactionAbort, Empty, false, kAtOnce, kFromAdmin)                             \
  KFS_OP(86, ConfLog, ConfLogReply, false, kAtOnce, kFromAdmin)                               \
  KFS_OP(87, VolumeMove, ConfChangeReply, false, kAtOnce, kFromAdmin)                         \
  KFS_OP(88, ImageGet, ImageGetReply, false, kAtOnce, kFromAdmin)                             \
  KFS_OP(89, VolumeRestore, ConfChangeReply, false, kAtOnce, kFromAdmin)                      \
  KFS_OP(90, ChunkRead, ChunkReadReply, false, kAtOnce, kFromClient)                          \
  KFS_OP(91, ChunkWrite, ChunkWriteReply, false, kAtOnce, kFromClient)                        \
  KFS_OP(92, ChunkSync, ChunkSyncReply, false, kAtOnce, kFromClient)                          \
  KFS_OP(93, ChunkSeek, ChunkSeekReply, false, kAtOnce, kFromClient)                          \
  KFS_OP(94, MutateChunk, MutateChunkReply, false, kAtOnce, kFromMetaserver)                  \
  KFS_OP(95, DeleteChunks, DeleteChunksReply, false, kAtOnce, kFromMetaserver)                \
  KFS_OP(96, QueryDisks, QueryDisksReply, false, kAtOnce, kFromMetaserver)                    \
  KFS_OP(97, PrepareConf, Empty, false, kAtOnce, kFromMetaserver)                             \
  KFS_OP(98, LearnConf, Empty, false, kAtOnce, kFromMetaserver)                               \
  KFS_OP(99, FenceSessions, Empty, false, kAtOnce, kFromMetaserver)                           \
  KFS_OP(100, KeyExport, KeyExportReply, false, kAtOnce, kFromAdmin)                          \
  KFS_OP(101, JoinCluster, KeyExportReply, false, kAtOnce, kFromChunkserver)                  \
  KFS_OP(110, ChunkserverFiles, ChunkserverFilesReply, false, kAtOnce, kFromAdmin)

namespace kfs {

enum class Op : uint16_t {
#define KFS_OP(number, name, reply, mutates, answered, senders) k##name = number,
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

enum class Answered : uint8_t {
  kAtOnce,
  kLater,  // it may wait for others: locks, chunkservers, syncs. Its time tells nothing of who serves it
};

struct OpInfo {
  Op op;
  std::string_view name;
  bool mutates;
  Answered answered;
  uint32_t senders;  // bits of Senders
};

// Null when there is no such op.
const OpInfo* FindOp(uint16_t number);
std::string_view OpName(Op op);

// Types by op: rpc::Mkdir::Request, rpc::Mkdir::Reply, rpc::Mkdir::kOp.
namespace rpc {
#define KFS_OP(number, name, reply, mutates_, answered, senders) \
  struct name {                                                  \
    static constexpr Op kOp = Op::k##name;                       \
    static constexpr bool kMutates = mutates_;                   \
    using Request = pb::name##Request;                           \
    using Reply = pb::reply;                                     \
  };
KFS_OPS(KFS_OP)
#undef KFS_OP
}  // namespace rpc

}  // namespace kfs
