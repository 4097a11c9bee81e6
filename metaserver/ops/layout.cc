// ReadLayout, PrepareWrite, AbortAppend: where a file's bytes are and go.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.h"
#include "common/reached.h"
#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "metaserver/ops/appends.h"
#include "metaserver/ops/chunk_ops.h"
#include "metaserver/ops/common.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// One answer is some milliseconds of the loop, and stays below kFrameBodyMax; a client asks again from where
// it ended for more. Not fewer: clients of 0.1.0 ask for so many, and take the answer for all of them.
constexpr size_t kLayoutChunksMax = 4096;

// A chunk whose chunkservers have all been removed from the cluster. Nothing is waited for: they do not come
// back. (But after a restore they may have, under other numbers.)
Status CheckLost(OpEnv& env, const std::vector<ChunkRow>& rows) {
  for (const ChunkRow& row : rows) {
    if (!row.chunk.written()) continue;
    bool there = row.chunk.server_size() == 0;
    for (uint64_t id : row.chunk.server()) there = there || env.volume.servers.Find(ServerId(id)) != nullptr;
    if (there) continue;
    if (!env.volume.settled()) {
      return Status(
          EAGAIN, Code::kTryAgain,
          fmt::format("chunk {} was on chunkserver {}, which is not there: who has it now is being found out",
                      row.chunk.chunk(), row.chunk.server(0)));
    }
    return Status(EIO, fmt::format("chunk {} was on chunkserver {}, which has been removed as lost",
                                   row.chunk.chunk(), row.chunk.server(0)));
  }
  return {};
}

// `rights`: for which it gets tokens.
void FillLayout(OpEnv& env, const ChunkRow& row, uint32_t rights, pb::LayoutReply* reply) {
  pb::ChunkLayout* c = reply->add_chunk();
  c->set_index(row.index);
  c->set_chunk(row.chunk.chunk());
  c->set_version(row.chunk.version());
  c->set_written(row.chunk.written());
  for (uint64_t id : row.chunk.server()) {
    pb::Server* s = c->add_server();
    s->set_id(id);
    if (const Chunkserver* server = env.volume.servers.Find(ServerId(id))) s->set_address(server->address);
  }
  if (rights != 0) {
    env.volume.tickets.Grant(env.session, rights, c, reply);
  } else {
    env.volume.tickets.Link(env.session, c);
  }
}

// A chunkserver holds a later version than we know of (ours was lost with the power): ours goes beyond it.
// Of a chunk of this file only; not believed while the chunk changes anyway, and not again and again: each
// time everybody's layouts of it are stale, and a reader may say it, too.
bool ClaimsAhead(OpEnv& env, Ino ino, uint64_t chunk, uint64_t version) {
  if (chunk == 0 || version == UINT64_MAX || env.volume.mutations.Pending(ChunkId(chunk))) return false;
  std::optional<std::string> value = env.txn.Get(OwnerKey(ChunkId(chunk)));
  rec::ChunkOwner owner;
  if (!value || !owner.ParseFromString(*value) || Ino(owner.ino()) != ino) return false;
  for (ChunkRow& row : ListChunks(env.txn, *env.txn.Find(ino), owner.index(), owner.index())) {
    // A peer may claim anything; a version so far ahead was never ours.
    if (row.chunk.chunk() != chunk || row.chunk.version() > version ||
        version - row.chunk.version() > (1u << 24) || !env.volume.MayRepair(ChunkId(chunk)))
      return false;
    KFS_REACHED("chunk.record_is_behind");
    env.txn.OnApply([volume = &env.volume, id = ChunkId(chunk)] { volume->Repaired(id); });
    Mutate(env.volume, env.txn, ino, &row, {}, version + 1);
    return true;
  }
  return false;
}

// Doubtful chunks that have room on the disk: others take their places, and have room again (whole chunks,
// for how much was asked for is not known any more). True: the op has been parked, and is run again.
Result<bool> ReplaceReserved(OpEnv& env, Ino ino, const std::vector<ChunkRow>& rows) {
  bool replaced = false;
  for (const ChunkRow& row : rows) {
    if (!Doubtful(env.volume, row.chunk) || row.chunk.allocated() == 0) continue;
    rec::Inode* inode = env.txn.Edit(ino);
    FreeChunk(env.volume, env.txn, inode, row);
    Result<ChunkRow> made = NewChunk(env.volume, env.txn, inode, row.index);
    if (!made.ok()) return made.status();
    Mutate(env.volume, env.txn, ino, &*made, {MakeStep(pb::ChunkStep::ALLOCATE, 0, env.volume.chunk_size())});
    replaced = true;
  }
  if (replaced) AskRerun(env);
  return replaced;
}

}  // namespace

Status Handle(OpEnv& env, const pb::ReadLayoutRequest& request, pb::LayoutReply* reply) {
  Result<const rec::Inode*> found = GetOpenFile(env, request.ino(), 0);
  if (!found.ok()) return found.status();
  const uint32_t wanted = request.rights() & (kReadChunk | kWriteChunk);
  const uint32_t rights = wanted & env.session.opens.at(Ino(request.ino())).rights;
  if (wanted != 0 && rights == 0) return Status(EACCES, "the session does not have the file open for that");
  Ino ino(request.ino());
  if (ClaimsAhead(env, ino, request.ahead_chunk(), request.ahead_version())) {
    AskRerun(env);
    return {};
  }
  const rec::Inode* inode = *found;
  reply->set_size(inode->size());
  reply->set_change(inode->change());
  if (request.length() > 0 && inode->chunk_count() > 0) {
    const uint64_t cs = env.volume.chunk_size();
    uint64_t last = request.length() - 1 > UINT64_MAX - request.offset()
                        ? UINT64_MAX
                        : request.offset() + request.length() - 1;
    std::vector<ChunkRow> rows =
        ListChunks(env.txn, *inode, request.offset() / cs, last / cs, kLayoutChunksMax);
    KFS_RETURN_IF_ERROR(CheckLost(env, rows));
    Result<bool> waits = WaitForMutations(env, rows, /*only_written=*/true);
    if (!waits.ok()) return waits.status();
    if (*waits) return {};
    waits = WaitForFences(env, ino, rows);
    if (!waits.ok()) return waits.status();
    if (*waits) return {};
    for (size_t i = 0; i < rows.size(); ++i) FillLayout(env, rows[i], i < kTokensMax ? rights : 0, reply);
  }
  if (request.atime()) Accessed(env, *inode);
  return {};
}

Status Handle(OpEnv& env, const pb::PrepareWriteRequest& request, pb::LayoutReply* reply) {
  Result<const rec::Inode*> found = GetOpenFile(env, request.ino(), kWriteChunk);
  if (!found.ok()) return found.status();
  KFS_RETURN_IF_ERROR(CheckWritable(env.volume, env.session));
  // Descriptors opened before the flag was set are no exception, nor are mappings.
  if (IsImmutable(**found)) return Status(EPERM, "it is immutable (chattr +i)");
  if (IsAppendOnly(**found) && !request.append()) return Status(EPERM, "it is append-only (chattr +a)");
  Ino ino(request.ino());
  Volume& volume = env.volume;
  const uint64_t cs = volume.chunk_size();
  const uint64_t offset = request.append() ? (*found)->size() : request.offset();
  if (request.length() == 0 || request.length() > kWriteMax)
    return Status(EINVAL, "absurd length of a write");
  if (offset > kFileSizeMax || request.length() > kFileSizeMax - offset)
    return Status(EFBIG, "file too large");
  const uint64_t first = offset / cs, last = (offset + request.length() - 1) / cs;
  if (last >= UINT32_MAX) return Status(EFBIG, "file too large for the volume's chunk size");
  if (request.append()) {
    Result<bool> waits = WaitForAppend(env, ino);
    if (!waits.ok()) return waits.status();
    if (*waits) return {};
  }
  // Before anything is changed: what is lost may be found again, as it was.
  KFS_RETURN_IF_ERROR(CheckLost(env, ListChunks(env.txn, **found, first, last)));
  Result<GivenUp> given_up = GiveUp(env, ino, request.given_up());
  if (!given_up.ok()) return given_up.status();
  if (*given_up == GivenUp::kWaits) return {};
  if (*given_up == GivenUp::kChanged ||
      ClaimsAhead(env, ino, request.ahead_chunk(), request.ahead_version()) ||
      (request.append() && MakeAppendSafe(env, **found))) {
    AskRerun(env);
    return {};
  }
  std::vector<ChunkRow> rows = ListChunks(env.txn, **found, first, last);
  Result<bool> waits = WaitForMutations(env, rows, /*only_written=*/false);
  if (!waits.ok()) return waits.status();
  if (*waits) return {};
  waits = WaitForFences(env, ino, rows);
  if (!waits.ok()) return waits.status();
  if (*waits) return {};
  if (Result<bool> reserved = ReplaceReserved(env, ino, rows); !reserved.ok() || *reserved)
    return reserved.status();
  // A chunk that holds nothing yet need not wait for its chunkserver to come back.
  for (size_t i = 0; i < rows.size();) {
    const rec::Chunk& chunk = rows[i].chunk;
    if (chunk.written() || (volume.servers.IsUp(ServerId(chunk.server(0))) && !Doubtful(volume, chunk))) {
      ++i;
      continue;
    }
    if (Doubtful(volume, chunk)) KFS_REACHED("chunk.doubtful");
    if (!volume.servers.IsUp(ServerId(chunk.server(0)))) KFS_REACHED("chunk.empty_and_away");
    FreeChunk(volume, env.txn, env.txn.Edit(ino), rows[i]);
    rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (rows.size() < last - first + 1) {
    rec::Inode* inode = env.txn.Edit(ino);
    std::vector<ChunkRow> all;
    size_t next = 0;
    for (uint64_t i = first; i <= last; ++i) {
      if (next < rows.size() && rows[next].index == i) {
        all.push_back(std::move(rows[next++]));
        continue;
      }
      Result<ChunkRow> made = NewChunk(volume, env.txn, inode, static_cast<uint32_t>(i));
      if (!made.ok()) return made.status();
      all.push_back(std::move(*made));
    }
    rows = std::move(all);
  }
  for (const ChunkRow& row : rows) FillLayout(env, row, kWriteChunk, reply);
  const rec::Inode* inode = env.txn.Find(ino);
  reply->set_size(inode->size());
  reply->set_change(inode->change());
  reply->set_offset(offset);
  if (request.append()) {
    reply->set_append_token(volume.appenders.next_token());
    // From now on writes that make the file longer look out for appends, after a restart, too.
    if (inode->appended_to() == 0) env.txn.Edit(ino)->set_appended_to(offset + request.length());
    env.txn.OnApply([v = &volume, ino, session = &env.session, lane = env.call->lane] {
      v->appenders.Grant(ino, *session, lane);
    });
  }
  return {};
}

Status Handle(OpEnv& env, const pb::AbortAppendRequest& request, pb::Empty*) {
  Ino ino(request.ino());
  Appender* appender = env.volume.appenders.Find(ino);
  if (appender != nullptr && appender->token == request.append_token() &&
      appender->session == env.session.id) {
    env.txn.OnApply([volume = &env.volume, ino, session = &env.session] {
      volume->appenders.End(ino, session, /*clean=*/false);
    });
  }
  return {};
}

}  // namespace kfs::meta
