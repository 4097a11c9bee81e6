// Fallocate: reserve, punch holes, zero ranges.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>

#include "common/limits.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/common.h"
#include "metaserver/ops/privileges.h"
#include "metaserver/ops/resize.h"

namespace kfs::meta {
namespace {

// One batch: 4 TiB at the default chunk size, 4 GiB at the smallest. Programs that reserve more do it in
// pieces.
constexpr uint64_t kChunksMax = 65536;

// [offset, end) of what goes on to `all`. `grows`: what is behind the file's end is to read as zeros.
Status Allocate(OpEnv& env, rec::Inode* inode, uint64_t offset, uint64_t end, uint64_t all, bool grows) {
  Volume& volume = env.volume;
  const uint64_t cs = volume.chunk_size();
  const uint64_t first = offset / cs, last = (end - 1) / cs;
  // Said at once where it is clear. Where a chunkserver is away nobody knows; it is waited for.
  const uint64_t available = volume.servers.Space().available();
  bool all_up = true;
  for (const Candidate& c : volume.servers.Candidates()) all_up = all_up && c.up;
  if (all_up && (all - offset) > available / volume.info.replicas() && all > inode->allocated() + available) {
    return Status(ENOSPC, "more than the chunkservers have left");
  }
  if ((all - 1) / cs - first >= kChunksMax) return Status(EFBIG, "too much to reserve in one call");
  std::vector<ChunkRow> rows = ListChunks(env.txn, *inode, first, last);
  size_t next = 0;
  for (uint64_t i = first; i <= last; ++i) {
    ChunkRow row;
    std::vector<rec::Step> steps;
    const uint64_t base = i * cs, from = std::max(offset, base), to = std::min(end, base + cs);
    if (next < rows.size() && rows[next].index == i) {
      row = std::move(rows[next++]);
      if (const uint64_t behind = std::max(from, inode->size()); grows && behind < to) {
        steps.push_back(MakeStep(pb::ChunkStep::ZERO, behind - base, to - behind));
        steps.back().set_behind_end(true);
      }
    } else {
      Result<ChunkRow> made = NewChunk(volume, env.txn, inode, static_cast<uint32_t>(i));
      if (!made.ok()) return made.status();
      row = std::move(*made);
    }
    steps.push_back(MakeStep(pb::ChunkStep::ALLOCATE, from - base, to - from));
    Mutate(volume, env.txn, Ino(inode->ino()), &row, steps);
  }
  return {};
}

// What was made behind the file's end goes; the next run answers why. (With it goes what others may have
// reserved there: they will be told that there is no space when they write, as this one is.)
Status GiveBack(OpEnv& env, Ino ino, bool keep_size, uint64_t end, Status why) {
  const uint64_t size = env.txn.Find(ino)->size();
  env.txn.Clear();
  if (keep_size || end <= size) return why;
  StartTrim(env.volume, env.txn, ino);
  env.progress.failed = std::move(why);
  AskRerun(env);
  return {};
}

// Somebody has made the file shorter meanwhile: as if this began after that.
Status Restart(OpEnv& env, Ino ino, bool keep_size, uint64_t end) {
  constexpr int kRestartsMax = 16;
  if (env.progress.restarts == kRestartsMax)
    return GiveBack(env, ino, keep_size, end,
                    Status(EINTR, "the file is made shorter again and again meanwhile"));
  Progress anew;
  anew.restarts = env.progress.restarts + 1;
  env.progress = anew;
  AskRerun(env);
  return {};
}

// Makes the file as long as `end`, where what lies behind its end from `offset` on reads as zeros. False: the
// op has been parked, and is run again.
Result<bool> GrowTo(OpEnv& env, Ino ino, uint64_t offset, uint64_t end) {
  if (end <= env.txn.Find(ino)->size()) return true;
  if (!SettleTrim(env, ino)) return false;
  Result<bool> ready = ReadyToGrow(env, ino, offset);
  if (!ready.ok() || !*ready) return ready;
  rec::Inode* inode = env.txn.Edit(ino);
  if (offset > inode->size()) SetSize(env, inode, offset);
  inode->set_size(end);
  return true;
}

// Where a step that begins at `from` ends. `dense`: every chunk there is made or changed, not only those that
// exist.
uint64_t EndOfStep(OpEnv& env, const rec::Inode& inode, uint64_t from, uint64_t end, bool dense) {
  const uint64_t cs = env.volume.chunk_size();
  if (dense) return std::min(end, (from / cs + kChunksOfStep) * cs);
  const std::vector<ChunkRow> rows = ListChunks(env.txn, inode, from / cs, (end - 1) / cs, kChunksOfStep + 1);
  return rows.size() <= kChunksOfStep ? end : std::min(end, rows.back().index * cs);
}

// The second part, when the chunkservers have answered: space that is promised must be there. Only then is
// the file longer: whoever sees that may write there, and nothing takes it back.
Status Reserved(OpEnv& env, const rec::Inode& inode, bool keep_size, uint64_t offset, uint64_t end) {
  Volume& volume = env.volume;
  const Ino ino(inode.ino());
  const uint64_t cs = volume.chunk_size();
  if (const Status writable = CheckWritable(volume, env.session); !writable.ok())
    return GiveBack(env, ino, keep_size, end, writable);
  const uint64_t from = std::max(offset, env.progress.looked_to);
  if (from < end) {
    const uint64_t to = EndOfStep(env, inode, from, end, /*dense=*/true);
    const std::vector<ChunkRow> rows = ListChunks(env.txn, inode, from / cs, (to - 1) / cs);
    if (rows.size() != (to - 1) / cs - from / cs + 1) return Restart(env, ino, keep_size, end);
    Result<bool> waits = WaitForMutations(env, rows, /*only_written=*/false);
    if (!waits.ok()) return waits.status();
    if (*waits) return {};
    const bool enough = std::none_of(rows.begin(), rows.end(), [&](const ChunkRow& row) {
      return volume.mutations.Short(ChunkId(row.chunk.chunk()));
    });
    if (!enough) {
      return GiveBack(env, ino, keep_size, end,
                      Status(ENOSPC, "the chunkservers have not enough space left"));
    }
    env.progress.looked_to = to;
    if (to < end) {
      AskRerun(env);
      return {};
    }
  }
  if (!keep_size) {
    Result<bool> grown = GrowTo(env, ino, offset, end);
    if (!grown.ok()) return grown.status();
    if (!*grown) return {};
  }
  TouchContent(env, env.txn.Edit(ino));
  return {};
}

}  // namespace

Status Handle(OpEnv& env, const pb::FallocateRequest& request, pb::AttrReply* reply) {
  KFS_RETURN_IF_ERROR(env.progress.failed);
  Result<const rec::Inode*> found = GetOpenFile(env, request.ino(), kWriteChunk);
  if (found.status().err() == EINVAL) return Status(ENODEV, "not a regular file");
  if (!found.ok()) return found.status();
  const uint32_t mode = request.mode();
  const bool keep = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  const bool zero = (mode & ~uint32_t{FALLOC_FL_KEEP_SIZE}) == FALLOC_FL_ZERO_RANGE;
  if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && !punch && !zero)
    return Status(EOPNOTSUPP, "unknown fallocate mode");
  if (request.length() == 0) return Status(EINVAL, "length 0");
  if (request.offset() > kFileSizeMax || request.length() > kFileSizeMax - request.offset())
    return Status(EFBIG, "file too large");
  const uint64_t end = request.offset() + request.length();
  if ((end - 1) / env.volume.chunk_size() >= UINT32_MAX)
    return Status(EFBIG, "file too large for the volume's chunk size");

  if (env.progress.reserving) {
    KFS_RETURN_IF_ERROR(Reserved(env, **found, keep, request.offset(), end));
    if (!env.parked) FillAttr(*env.txn.Find(Ino(request.ino())), reply->mutable_attr());
    return {};
  }
  KFS_RETURN_IF_ERROR(
      CheckWritable(env.volume, env.session));  // before it waits: chunks alone are no change of an inode
  if (IsImmutable(**found)) return Status(EPERM, "it is immutable (chattr +i)");
  if (IsAppendOnly(**found) && (punch || zero)) return Status(EPERM, "it is append-only (chattr +a)");
  KFS_RETURN_IF_ERROR(DropPrivilegesUnlessKept(env, Ino(request.ino()), /*kill=*/false));
  const Ino ino(request.ino());
  const bool reserves = !punch && !zero, begins = env.progress.done_to == 0;
  if (reserves && end > (*found)->size() && !SettleTrim(env, ino)) return {};
  const uint64_t from = begins ? request.offset() : env.progress.done_to;
  const uint64_t to = EndOfStep(env, **found, from, end, /*dense=*/reserves);
  Result<bool> waits = WaitForBacklog(
      env, ListChunks(env.txn, **found, from / env.volume.chunk_size(), (to - 1) / env.volume.chunk_size()));
  if (!waits.ok()) return waits.status();
  if (*waits) return {};
  if (zero && !keep && begins) {
    Result<bool> ready = ReadyToGrow(env, ino, end);
    if (!ready.ok()) return ready.status();
    if (!*ready) return {};
  }
  rec::Inode* inode = env.txn.Edit(ino);
  if (!reserves) {
    if (!keep && begins && end > inode->size()) SetSize(env, inode, end);
    ZeroRange(env.volume, env.txn, *inode, from, to);
  } else if (Status s = Allocate(env, inode, from, to, end, /*grows=*/!keep); !s.ok()) {
    return begins ? s : GiveBack(env, ino, keep, end, s);
  }
  if (to < end || reserves) {
    env.progress.done_to = to;
    env.progress.reserving = to == end;
    AskRerun(env);
    return {};
  }
  TouchContent(env, inode);
  FillAttr(*inode, reply->mutable_attr());
  return {};
}

}  // namespace kfs::meta
