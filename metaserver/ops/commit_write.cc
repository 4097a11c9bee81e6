// CommitWrite: the data is on the chunkservers, now it counts.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.h"
#include "common/reached.h"
#include "metaserver/chunks/believed.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/appends.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/privileges.h"
#include "metaserver/ops/resize.h"

namespace kfs::meta {
namespace {

Status Stale(const char* why) {
  KFS_REACHED("commit.stale");
  return Status(ESTALE, Code::kStaleChunk, why);
}

// The chunks that were written, all of them current.
Result<std::vector<ChunkRow>> CheckWritten(OpEnv& env, const rec::Inode& inode,
                                           const pb::CommitWriteRequest& request) {
  const uint64_t cs = env.volume.chunk_size();
  const uint64_t first = request.offset() / cs, last = (request.offset() + request.length() - 1) / cs;
  if (static_cast<uint64_t>(request.written_size()) != last - first + 1) {
    return Status(EINVAL, Code::kMalformed, "the chunks written do not cover the range");
  }
  std::vector<ChunkRow> rows = ListChunks(env.txn, inode, first, last);
  if (rows.size() != static_cast<size_t>(request.written_size())) return Stale("a chunk is gone");
  for (size_t i = 0; i < rows.size(); ++i) {
    const pb::CommitWriteRequest::Written& w = request.written(static_cast<int>(i));
    if (w.index() != first + i)
      return Status(EINVAL, Code::kMalformed, "the chunks written are out of order");
    if (w.chunk() != rows[i].chunk.chunk() || w.version() != rows[i].chunk.version())
      return Stale("a chunk has changed");
    if (Doubtful(env.volume, rows[i].chunk)) {
      KFS_REACHED("commit.doubtful");
      return Stale("a chunk may hold what has been forgotten");
    }
  }
  return rows;
}

void NoteAllocated(OpEnv& env, rec::Inode* inode, ChunkRow* row, uint64_t allocated) {
  // Answers of parallel writes overtake each other: within one version a chunk only grows.
  allocated = BelievedAllocated(allocated, env.volume.chunk_size());
  const bool same = row->chunk.allocated_version() == row->chunk.version();
  uint64_t next = same ? std::max(row->chunk.allocated(), allocated) : allocated;
  if (next == row->chunk.allocated() && same && row->chunk.written()) return;
  inode->set_allocated(inode->allocated() - row->chunk.allocated() + next);
  env.txn.CountBytes(static_cast<int64_t>(next) - static_cast<int64_t>(row->chunk.allocated()));
  row->chunk.set_allocated(next);
  row->chunk.set_allocated_version(row->chunk.version());
  row->chunk.set_written(true);
  PutChunk(env.txn, Ino(inode->ino()), *row);
}

Status Commit(OpEnv& env, const pb::CommitWriteRequest& request, pb::CommitWriteReply* reply) {
  Ino ino(request.ino());
  Result<const rec::Inode*> open = GetOpenFile(env, request.ino(), kWriteChunk);
  if (!open.ok()) return open.status();
  const rec::Inode* found = *open;
  if (request.length() == 0 || request.length() > 16 * kIoSizeMax)
    return Status(EINVAL, "absurd length of a write");
  if (request.offset() > kFileSizeMax || request.length() > kFileSizeMax - request.offset())
    return Status(EFBIG, "file too large");
  if (request.append_token() != 0) {
    Appender* appender = env.volume.appenders.Find(ino);
    if (appender == nullptr || appender->token != request.append_token() ||
        appender->session != env.session.id || request.offset() != found->size()) {
      return Stale("the append is no longer valid");
    }
  }
  if (request.append_token() == 0) {
    Result<bool> may = MayCountBesideAppends(env, *found, request);
    if (!may.ok()) return may.status();
    if (!*may) return {};
  }
  Result<std::vector<ChunkRow>> rows = CheckWritten(env, *found, request);
  if (!rows.ok()) return rows.status();
  // The data is there, but perhaps somebody's who is gone came after it: once that cannot happen any more it
  // is written again.
  Result<bool> waits = WaitForFences(env, ino, *rows);
  if (!waits.ok()) return waits.status();
  if (*waits) {
    env.progress.fence_waited = true;
    KFS_REACHED("commit.waits_for_fence");
    return {};
  }
  if (env.progress.fence_waited) return Stale("one who may have written over it has been fenced meanwhile");
  if (IsImmutable(*found) || (IsAppendOnly(*found) && request.append_token() == 0))
    return CheckNotFixed(*found);
  // The gap between the old end and this write must read as zeros. Its own chunks last: they are current.
  const uint64_t gap_end = request.offset() - request.offset() % env.volume.chunk_size();
  Result<bool> ready = ReadyToGrow(env, ino, gap_end);
  if (!ready.ok()) return ready.status();
  if (!*ready) return {};
  KFS_RETURN_IF_ERROR(DropPrivileges(env, ino, request.keep_priv()));
  rec::Inode* inode = env.txn.Edit(ino);
  for (size_t i = 0; i < rows->size(); ++i) {
    NoteAllocated(env, inode, &(*rows)[i], request.written(static_cast<int>(i)).allocated());
  }
  const uint64_t end = request.offset() + request.length();
  if (request.offset() > inode->size()) SetSize(env, inode, request.offset());
  if (end > inode->size()) inode->set_size(end);
  if (request.append_token() != 0) inode->set_appended_to(std::max(inode->appended_to(), end));
  TouchContent(env, inode);
  reply->set_size(inode->size());
  reply->set_change(inode->change());
  return {};
}

}  // namespace

Status Handle(OpEnv& env, const pb::CommitWriteRequest& request, pb::CommitWriteReply* reply) {
  Ino ino(request.ino());
  Appender* appender = env.volume.appenders.Find(ino);
  if (request.append_token() != 0 && appender != nullptr && appender->token == request.append_token() &&
      appender->session == env.session.id) {
    // Done or refused: the turn is over. The next in line runs after this op's changes are applied.
    env.on_answer = [volume = &env.volume, ino, session = &env.session](const Status& status) {
      if (status.code() == Code::kNeedGroups || status.code() == Code::kTryAgain) return;
      volume->appenders.End(ino, session, /*clean=*/status.ok());
    };
  }
  return Commit(env, request, reply);
}

}  // namespace kfs::meta
