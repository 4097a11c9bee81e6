// The one list of operations: number, name, whether it changes state, who may send it, who serves it, and
// whether it is one of a session. Dispatch, logging, metrics and tracing are driven by it. A name N has
// messages NRequest and the reply type given (op_types.h). Numbers are never used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// KFS_OP(number, Name, ReplyMessage, mutates, answered, senders, servers, needs)
// mutates: the op has a Context with an op_id, and its answer is kept where its effects are (exactly once).
// answered: when, see Answered. servers: whose programs have a handler for it, and do not start without.
// needs: kSession for those that are served only where the connection is attached to a session.

// Greeting and sessions.
#define KFS_FIRST_OPS(KFS_OP)                                                                 \
  KFS_OP(1, Hello, HelloReply, false, kAtOnce, kAnyRole, kByServers, kNone)                   \
  KFS_OP(2, HelloProof, HelloProofReply, false, kAtOnce, kAnyRole, kByServers, kNone)         \
  KFS_OP(3, Ping, PingReply, false, kAtOnce, kAnyRole, kByAll, kNone)                         \
  KFS_OP(10, OpenSession, OpenSessionReply, false, kAtOnce, kFromClient, kByMeta, kNone)      \
  KFS_OP(11, Reclaim, ReclaimReply, false, kAtOnce, kFromClient, kByMeta, kSession)           \
  KFS_OP(12, KeepAlive, KeepAliveReply, false, kAtOnce, kFromClient, kByMeta, kSession)       \
  KFS_OP(13, CloseSession, CloseSessionReply, false, kAtOnce, kFromClient, kByMeta, kSession) \
  KFS_OP(14, LocateVolume, LocateVolumeReply, false, kAtOnce, kFromClient | kFromAdmin, kByMeta, kNone)

// What a metaserver's executor runs: one handler of metaserver/ops/ each.
#define KFS_VOLUME_OPS(KFS_OP)                                                            \
  KFS_OP(16, Lookup, EntryReply, false, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(17, Mkdir, EntryReply, true, kAtOnce, kFromClient, kByMeta, kSession)            \
  KFS_OP(18, Mknod, EntryReply, true, kAtOnce, kFromClient, kByMeta, kSession)            \
  KFS_OP(19, Symlink, EntryReply, true, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(20, Link, EntryReply, true, kAtOnce, kFromClient, kByMeta, kSession)             \
  KFS_OP(21, Unlink, UnlinkReply, true, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(22, Rmdir, UnlinkReply, true, kAtOnce, kFromClient, kByMeta, kSession)           \
  KFS_OP(23, Rename, RenameReply, true, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(24, Readlink, ReadlinkReply, false, kAtOnce, kFromClient, kByMeta, kSession)     \
  KFS_OP(25, Readdir, ReaddirReply, false, kAtOnce, kFromClient, kByMeta, kSession)       \
  KFS_OP(26, Getattr, AttrReply, false, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(27, Setattr, AttrReply, true, kLater, kFromClient, kByMeta, kSession)            \
  KFS_OP(28, Access, Empty, false, kAtOnce, kFromClient, kByMeta, kSession)               \
  KFS_OP(29, Statfs, StatfsReply, false, kAtOnce, kFromClient, kByMeta, kSession)         \
  KFS_OP(30, Getxattr, GetxattrReply, false, kAtOnce, kFromClient, kByMeta, kSession)     \
  KFS_OP(31, Setxattr, Empty, true, kAtOnce, kFromClient, kByMeta, kSession)              \
  KFS_OP(32, Listxattr, ListxattrReply, false, kAtOnce, kFromClient, kByMeta, kSession)   \
  KFS_OP(33, Removexattr, Empty, true, kAtOnce, kFromClient, kByMeta, kSession)           \
  KFS_OP(34, Open, AttrReply, true, kAtOnce, kFromClient, kByMeta, kSession)              \
  KFS_OP(35, Create, CreateReply, true, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(36, Tmpfile, CreateReply, true, kAtOnce, kFromClient, kByMeta, kSession)         \
  KFS_OP(37, Release, Empty, true, kAtOnce, kFromClient, kByMeta, kSession)               \
  KFS_OP(40, ReadLayout, LayoutReply, false, kLater, kFromClient, kByMeta, kSession)      \
  KFS_OP(41, PrepareWrite, LayoutReply, false, kLater, kFromClient, kByMeta, kSession)    \
  KFS_OP(42, CommitWrite, CommitWriteReply, true, kLater, kFromClient, kByMeta, kSession) \
  KFS_OP(43, AbortAppend, Empty, false, kAtOnce, kFromClient, kByMeta, kSession)          \
  KFS_OP(44, Fallocate, AttrReply, true, kLater, kFromClient, kByMeta, kSession)          \
  KFS_OP(45, Fsync, Empty, false, kLater, kFromClient, kByMeta, kSession)                 \
  KFS_OP(46, GiveUpWrite, Empty, false, kLater, kFromClient, kByMeta, kSession)           \
  KFS_OP(50, GetLock, GetLockReply, false, kAtOnce, kFromClient, kByMeta, kSession)       \
  KFS_OP(51, SetLock, Empty, true, kLater, kFromClient, kByMeta, kSession)                \
  KFS_OP(52, Flush, Empty, true, kAtOnce, kFromClient, kByMeta, kSession)

// Of a session (CancelOp), between servers, of administration, of chunks.
#define KFS_OTHER_OPS(KFS_OP)                                                                          \
  KFS_OP(53, CancelOp, Empty, false, kAtOnce, kFromClient, kByMeta, kSession)                          \
  KFS_OP(60, DrainReleases, DrainReleasesReply, false, kAtOnce, kFromMetaserver, kByMount, kNone)      \
  KFS_OP(61, PeerSend, Empty, false, kAtOnce, kFromMetaserver, kByMeta, kNone)                         \
  KFS_OP(62, PeerAsk, PeerAskReply, false, kAtOnce, kFromMetaserver, kByMeta, kNone)                   \
  KFS_OP(63, PeerAdopt, Empty, false, kAtOnce, kFromMetaserver, kByMeta, kNone)                        \
  KFS_OP(64, ImagePut, Empty, false, kAtOnce, kFromMetaserver | kFromAdmin, kByMeta, kNone)            \
  KFS_OP(72, VolumeList, VolumeListReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                  \
  KFS_OP(73, VolumeInfo, VolumeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                      \
  KFS_OP(74, ClusterStatus, ClusterStatusReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)            \
  KFS_OP(75, ConfChange, ConfChangeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                  \
  KFS_OP(76, ConfShow, ConfShowReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                      \
  KFS_OP(77, PeerProbe, ConfChangeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                   \
  KFS_OP(78, PeerRepair, ConfChangeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                  \
  KFS_OP(79, PeerWhy, PeerWhyReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                        \
  KFS_OP(80, RegisterChunkserver, RegisterChunkserverReply, false, kAtOnce, kFromChunkserver, kByMeta, \
         kNone)                                                                                        \
  KFS_OP(81, Heartbeat, HeartbeatReply, false, kAtOnce, kFromChunkserver, kByMeta, kNone)              \
  KFS_OP(82, ReportChunks, ReportChunksReply, false, kAtOnce, kFromChunkserver, kByMeta, kNone)        \
  KFS_OP(83, VolumeStatus, VolumeStatusReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)              \
  KFS_OP(84, TransactionList, TransactionListReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)        \
  KFS_OP(85, TransactionAbort, Empty, false, kAtOnce, kFromAdmin, kByMeta, kNone)                      \
  KFS_OP(86, ConfLog, ConfLogReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                        \
  KFS_OP(87, VolumeMove, ConfChangeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                  \
  KFS_OP(88, ImageGet, ImageGetReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                      \
  KFS_OP(89, VolumeRestore, ConfChangeReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)               \
  KFS_OP(90, ChunkRead, ChunkReadReply, false, kAtOnce, kFromClient, kByChunk, kNone)                  \
  KFS_OP(91, ChunkWrite, ChunkWriteReply, false, kAtOnce, kFromClient, kByChunk, kNone)                \
  KFS_OP(92, ChunkSync, ChunkSyncReply, false, kAtOnce, kFromClient, kByChunk, kNone)                  \
  KFS_OP(93, ChunkSeek, ChunkSeekReply, false, kAtOnce, kFromClient, kByChunk, kNone)                  \
  KFS_OP(94, MutateChunk, MutateChunkReply, false, kAtOnce, kFromMetaserver, kByChunk, kNone)          \
  KFS_OP(95, DeleteChunks, DeleteChunksReply, false, kAtOnce, kFromMetaserver, kByChunk, kNone)        \
  KFS_OP(96, QueryDisks, QueryDisksReply, false, kAtOnce, kFromMetaserver, kByChunk, kNone)            \
  KFS_OP(97, PrepareConf, Empty, false, kAtOnce, kFromMetaserver, kByChunk, kNone)                     \
  KFS_OP(98, LearnConf, Empty, false, kAtOnce, kFromMetaserver, kByChunk, kNone)                       \
  KFS_OP(99, FenceSessions, Empty, false, kAtOnce, kFromMetaserver, kByChunk, kNone)                   \
  KFS_OP(100, KeyExport, KeyExportReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)                   \
  KFS_OP(101, JoinCluster, KeyExportReply, false, kAtOnce, kFromChunkserver, kByMeta, kNone)           \
  KFS_OP(110, ChunkserverFiles, ChunkserverFilesReply, false, kAtOnce, kFromAdmin, kByMeta, kNone)

#define KFS_OPS(KFS_OP) KFS_FIRST_OPS(KFS_OP) KFS_VOLUME_OPS(KFS_OP) KFS_OTHER_OPS(KFS_OP)

namespace kfs {

enum class Op : uint16_t {
#define KFS_OP(number, name, ...) k##name = number,
  KFS_OPS(KFS_OP)
#undef KFS_OP
};

// Bits: one for each HelloRequest::Role, which ops.cc holds them to.
enum Senders : uint32_t {
  kFromClient = 1u << 1,
  kFromChunkserver = 1u << 2,
  kFromMetaserver = 1u << 3,
  kFromAdmin = 1u << 4,
  kAnyRole = ~0u,
};

// The same bits of who serves it, whichever end has made the connection.
enum Servers : uint32_t {
  kByMount = kFromClient,
  kByChunk = kFromChunkserver,
  kByMeta = kFromMetaserver,
  kByServers = kByChunk | kByMeta,
  kByAll = ~0u,
};

enum class Answered : uint8_t {
  kAtOnce,
  kLater,  // it may wait for others: locks, chunkservers, syncs. Its time tells nothing of who serves it
};

enum class Needs : uint8_t { kNone, kSession };

struct OpInfo {
  Op op;
  std::string_view name;
  bool mutates;
  Answered answered;
  uint32_t senders;  // bits of Senders
  uint32_t servers;  // bits of Servers
  Needs needs;
};

// Numbers are below it.
constexpr size_t kOpNumbers = 111;

// Null when there is no such op.
const OpInfo* FindOp(uint16_t number);
std::string_view OpName(Op op);

}  // namespace kfs
