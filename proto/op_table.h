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

// KFS_OP(number, Name, ReplyMessage, mutates, run, senders)
// mutates: the op has a Context with an op_id, and its answer is kept where its effects are (exactly once).
// run: how its handler may be run, see Run.
#define KFS_OPS(KFS_OP)                                                                        \
  KFS_OP(1, Hello, HelloReply, false, kRepeats, kAnyRole)                                      \
  KFS_OP(2, HelloProof, HelloProofReply, false, kRepeats, kAnyRole)                            \
  KFS_OP(3, Ping, PingReply, false, kRepeats, kAnyRole)                                        \
  KFS_OP(10, OpenSession, OpenSessionReply, false, kRepeats, kFromClient)                      \
  KFS_OP(11, Reclaim, ReclaimReply, false, kRepeats, kFromClient)                              \
  KFS_OP(12, KeepAlive, KeepAliveReply, false, kRepeats, kFromClient)                          \
  KFS_OP(13, CloseSession, CloseSessionReply, false, kRepeats, kFromClient)                    \
  KFS_OP(14, LocateVolume, LocateVolumeReply, false, kRepeats, kFromClient | kFromAdmin)       \
  KFS_OP(16, Lookup, EntryReply, false, kRepeats, kFromClient)                                 \
  KFS_OP(17, Mkdir, EntryReply, true, kRepeats, kFromClient)                                   \
  KFS_OP(18, Mknod, EntryReply, true, kRepeats, kFromClient)                                   \
  KFS_OP(19, Symlink, EntryReply, true, kRepeats, kFromClient)                                 \
  KFS_OP(20, Link, EntryReply, true, kRepeats, kFromClient)                                    \
  KFS_OP(21, Unlink, UnlinkReply, true, kRepeats, kFromClient)                                 \
  KFS_OP(22, Rmdir, UnlinkReply, true, kRepeats, kFromClient)                                  \
  KFS_OP(23, Rename, RenameReply, true, kRepeats, kFromClient)                                 \
  KFS_OP(24, Readlink, ReadlinkReply, false, kRepeats, kFromClient)                            \
  KFS_OP(25, Readdir, ReaddirReply, false, kRepeats, kFromClient)                              \
  KFS_OP(26, Getattr, AttrReply, false, kRepeats, kFromClient)                                 \
  KFS_OP(27, Setattr, AttrReply, true, kRepeats, kFromClient)                                  \
  KFS_OP(28, Access, Empty, false, kRepeats, kFromClient)                                      \
  KFS_OP(29, Statfs, StatfsReply, false, kRepeats, kFromClient)                                \
  KFS_OP(30, Getxattr, GetxattrReply, false, kRepeats, kFromClient)                            \
  KFS_OP(31, Setxattr, Empty, true, kRepeats, kFromClient)                                     \
  KFS_OP(32, Listxattr, ListxattrReply, false, kRepeats, kFromClient)                          \
  KFS_OP(33, Removexattr, Empty, true, kRepeats, kFromClient)                                  \
  KFS_OP(34, Open, AttrReply, true, kRepeats, kFromClient)                                     \
  KFS_OP(35, Create, CreateReply, true, kRepeats, kFromClient)                                 \
  KFS_OP(36, Tmpfile, CreateReply, true, kRepeats, kFromClient)                                \
  KFS_OP(37, Release, Empty, true, kRepeats, kFromClient)                                      \
  KFS_OP(40, ReadLayout, LayoutReply, false, kWaits, kFromClient)                              \
  KFS_OP(41, PrepareWrite, LayoutReply, false, kWaits, kFromClient)                            \
  KFS_OP(42, CommitWrite, CommitWriteReply, true, kWaits, kFromClient)                         \
  KFS_OP(43, AbortAppend, Empty, false, kOnce, kFromClient)                                    \
  KFS_OP(44, Fallocate, AttrReply, true, kWaits, kFromClient)                                  \
  KFS_OP(45, Fsync, Empty, false, kWaits, kFromClient)                                         \
  KFS_OP(46, GiveUpWrite, Empty, false, kRepeats, kFromClient)                                 \
  KFS_OP(50, GetLock, GetLockReply, false, kRepeats, kFromClient)                              \
  KFS_OP(51, SetLock, Empty, true, kWaits, kFromClient)                                        \
  KFS_OP(52, Flush, Empty, true, kRepeats, kFromClient)                                        \
  KFS_OP(53, CancelOp, Empty, false, kRepeats, kFromClient)                                    \
  KFS_OP(60, DrainReleases, DrainReleasesReply, false, kRepeats, kFromMetaserver)              \
  KFS_OP(61, PeerSend, Empty, false, kRepeats, kFromMetaserver)                                \
  KFS_OP(62, PeerAsk, PeerAskReply, false, kRepeats, kFromMetaserver)                          \
  KFS_OP(63, PeerAdopt, Empty, false, kRepeats, kFromMetaserver)                               \
  KFS_OP(64, ImagePut, Empty, false, kRepeats, kFromMetaserver | kFromAdmin)                   \
  KFS_OP(72, VolumeList, VolumeListReply, false, kRepeats, kFromAdmin)                         \
  KFS_OP(73, VolumeInfo, VolumeReply, false, kRepeats, kFromAdmin)                             \
  KFS_OP(74, ClusterStatus, ClusterStatusReply, false, kRepeats, kFromAdmin)                   \
  KFS_OP(75, ConfChange, ConfChangeReply, false, kRepeats, kFromAdmin)                         \
  KFS_OP(76, ConfShow, ConfShowReply, false, kRepeats, kFromAdmin)                             \
  KFS_OP(77, PeerProbe, ConfChangeReply, false, kRepeats, kFromAdmin)                          \
  KFS_OP(78, PeerRepair, ConfChangeReply, false, kRepeats, kFromAdmin)                         \
  KFS_OP(79, PeerWhy, PeerWhyReply, false, kRepeats, kFromAdmin)                               \
  KFS_OP(80, RegisterChunkserver, RegisterChunkserverReply, false, kRepeats, kFromChunkserver) \
  KFS_OP(81, Heartbeat, HeartbeatReply, false, kRepeats, kFromChunkserver)                     \
  KFS_OP(82, ReportChunks, ReportChunksReply, false, kRepeats, kFromChunkserver)               \
  KFS_OP(83, VolumeStatus, VolumeStatusReply, false, kRepeats, kFromAdmin)                     \
  KFS_OP(84, TransactionList, TransactionListReply, false, kRepeats, kFromAdmin)               \
  KFS_OP(85, TransactionAbort, Empty, false, kRepeats, kFromAdmin)                             \
  KFS_OP(86, ConfLog, ConfLogReply, false, kRepeats, kFromAdmin)                               \
  KFS_OP(87, VolumeMove, ConfChangeReply, false, kRepeats, kFromAdmin)                         \
  KFS_OP(88, ImageGet, ImageGetReply, false, kRepeats, kFromAdmin)                             \
  KFS_OP(89, VolumeRestore, ConfChangeReply, false, kRepeats, kFromAdmin)                      \
  KFS_OP(90, ChunkRead, ChunkReadReply, false, kRepeats, kFromClient)                          \
  KFS_OP(91, ChunkWrite, ChunkWriteReply, false, kRepeats, kFromClient)                        \
  KFS_OP(92, ChunkSync, ChunkSyncReply, false, kRepeats, kFromClient)                          \
  KFS_OP(93, ChunkSeek, ChunkSeekReply, false, kRepeats, kFromClient)                          \
  KFS_OP(94, MutateChunk, MutateChunkReply, false, kRepeats, kFromMetaserver)                  \
  KFS_OP(95, DeleteChunks, DeleteChunksReply, false, kRepeats, kFromMetaserver)                \
  KFS_OP(96, QueryDisks, QueryDisksReply, false, kRepeats, kFromMetaserver)                    \
  KFS_OP(97, PrepareConf, Empty, false, kRepeats, kFromMetaserver)                             \
  KFS_OP(98, LearnConf, Empty, false, kRepeats, kFromMetaserver)                               \
  KFS_OP(99, FenceSessions, Empty, false, kRepeats, kFromMetaserver)                           \
  KFS_OP(100, KeyExport, KeyExportReply, false, kRepeats, kFromAdmin)                          \
  KFS_OP(101, JoinCluster, KeyExportReply, false, kRepeats, kFromChunkserver)                  \
  KFS_OP(110, ChunkserverFiles, ChunkserverFilesReply, false, kRepeats, kFromAdmin)

namespace kfs {

enum class Op : uint16_t {
#define KFS_OP(number, name, reply, mutates, run, senders) k##name = number,
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

enum class Run : uint8_t {
  kRepeats,  // changes memory only once it has succeeded: a run can be dropped and repeated
  kOnce,     // changes memory while it runs (the append token, chunks under way)
  kWaits,    // so does this, and it may wait for others: locks, chunkservers, syncs
};

struct OpInfo {
  Op op;
  std::string_view name;
  bool mutates;
  Run run;
  uint32_t senders;  // bits of Senders
};

// Null when there is no such op.
const OpInfo* FindOp(uint16_t number);
std::string_view OpName(Op op);

// Types by op: rpc::Mkdir::Request, rpc::Mkdir::Reply, rpc::Mkdir::kOp.
namespace rpc {
#define KFS_OP(number, name, reply, mutates_, run_, senders) \
  struct name {                                              \
    static constexpr Op kOp = Op::k##name;                   \
    static constexpr bool kMutates = mutates_;               \
    static constexpr Run kRun = Run::run_;                   \
    using Request = pb::name##Request;                       \
    using Reply = pb::reply;                                 \
  };
KFS_OPS(KFS_OP)
#undef KFS_OP
}  // namespace rpc

}  // namespace kfs
