// Changes that the metaserver orders, and what becomes of them when there is no room.
#include <fmt/format.h>

#include <algorithm>

#include "chunkserver/chunk_store.h"
#include "chunkserver/pin.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"

namespace kfs {
namespace {

constexpr size_t kNotMadeMax = 65536;  // a late write comes within seconds

// A step that was passed over would count as made: one that this version does not know (a later metaserver's
// has to wait for a later chunkserver), or that reaches beyond what a chunk can be.
Status CheckSteps(const Chunk::Steps& steps) {
  for (const pb::ChunkStep& step : steps) {
    if (!pb::ChunkStep::Kind_IsValid(step.kind()) || step.kind() == pb::ChunkStep::NONE)
      return Status(EINVAL, Code::kMalformed, fmt::format("there is no step {}", int{step.kind()}));
    if (step.offset() > kChunkSizeMax || step.length() > kChunkSizeMax - step.offset())
      return Status(EINVAL, Code::kMalformed,
                    fmt::format("range {}+{} is outside of a chunk", step.offset(), step.length()));
  }
  return {};
}

}  // namespace

// Space that is to be reserved, and that is there once what was deleted lately is gone, is made now. Applied
// again when something else finds no room: steps do no harm when they are.
Status ChunkStore::MutateWithRoom(Chunk* chunk, ChunkVersion to, const Chunk::Steps& steps, bool* no_space) {
  Disk* disk = chunk->disk();
  uint64_t wanted = 0;
  for (const auto& step : steps) wanted += step.kind() == pb::ChunkStep::ALLOCATE ? step.length() : 0;
  if (wanted != 0 && !disk->bin().empty()) {
    const uint64_t available = disk->RefreshSpace().available;
    if (available < wanted) (void)disk->MakeRoom(wanted - available);
  }
  Status st = chunk->Mutate(to, steps, no_space);
  while (st.err() == ENOSPC && disk->MakeRoom(0)) st = chunk->Mutate(to, steps, no_space);
  return st;
}

Result<ChunkStore::Mutated> ChunkStore::Mutate(ChunkKey key, ChunkVersion from, ChunkVersion to,
                                               const Chunk::Steps& steps, bool existing) {
  Mutated done;
  if (!key.volume || !key.chunk)
    return Status(EINVAL, Code::kMalformed, "ids of volumes and chunks begin at 1");
  if (to.v == 0 || to <= from) return Status(EINVAL, Code::kMalformed, "a mutation must raise the version");
  KFS_RETURN_IF_ERROR(CheckSteps(steps));
  Pin pin(this, key);
  pin.Lock();
  if (!pin->open()) {
    Status st = OpenChunk(pin.get(), nullptr);
    if (st.err() == ENOENT && TakeBack(pin.get())) st = OpenChunk(pin.get(), nullptr);
    if (st.err() == ENOENT) {
      if (RecentlyDeleted(key)) return done;
      // Answered all the same: readers get EIO, where an empty chunk would give them zeros.
      if (existing) {
        done.lost = true;
        return done;
      }
      st = CreateChunk(pin.get(), to);
      // The metaserver's intent is durable: a full disk must not hold the chunk up for ever. Where there is
      // no chunk nothing can be read either; whoever writes makes it, or is told that there is no room.
      if (st.err() == ENOSPC) {
        for (const auto& step : steps)
          done.no_space = done.no_space || step.kind() == pb::ChunkStep::ALLOCATE;
        NotMade(key, to);
        return done;
      }
      KFS_RETURN_IF_ERROR(st);
      // Empty, so that steps which take away have nothing to do; those that reserve space do.
      Chunk::Steps allocate;
      for (const auto& step : steps) {
        if (step.kind() == pb::ChunkStep::ALLOCATE) *allocate.Add() = step;
      }
      pin.Wrote();
      if (!allocate.empty() || options_.durable_mutations)
        st = MutateWithRoom(pin.get(), to, allocate, &done.no_space);
      if (st.ok() || !allocate.empty()) {
        if (Status dir = options_.durable_mutations ? pin->disk()->SyncChunkDir(key) : Status(); !dir.ok())
          st = dir;
      }
      // Without the space the chunk is there all the same: the next try finds it at `to`. Take it away again.
      if (!st.ok() && st.err() != ENOENT) static_cast<void>(pin->Remove());
      if (st.err() == ENOSPC) {
        done.no_space = !allocate.empty();
        NotMade(key, to);
        return done;
      }
      if (!st.ok() && st.err() != ENOENT) return st;
      done.allocated = pin->AllocatedBytes();
      return done;
    }
    // No try will come to another end, and the metaserver lets nobody go on before it has an answer. Readers
    // get EIO as before.
    if (st.code() == Code::kCorrupt) {
      done.lost = true;
      return done;
    }
    KFS_RETURN_IF_ERROR(st);
  }
  if (pin->version() >= to) {
    KFS_REACHED("mutation.was_done");
    // Maybe by a process that was killed before all of it was on the disk.
    if (options_.durable_mutations) {
      const Result<Chunk::SyncHandle> handle = pin->BeginSync();
      if (!handle.ok()) return handle.status();
      if (handle->needed) {
        KFS_RETURN_IF_ERROR(SyncFiles(key, pin->disk(), *handle));
        pin->SyncDone(*handle);
      }
    }
    done.allocated = pin->AllocatedBytes();
    return done;
  }
  if (pin->version() < from) {
    KFS_LOG(warn, "chunk.mutation_skipped_versions chunk={} ours={} from={} to={}", key.ToString(),
            pin->version().v, from.v, to.v);
  }
  pin.Wrote();
  KFS_RETURN_IF_ERROR(MutateWithRoom(pin.get(), to, steps, &done.no_space));
  // Else the power could take the chunk, and a write that comes late would make it anew at an old version.
  if (options_.durable_mutations && pin->new_name()) {
    KFS_RETURN_IF_ERROR(pin->disk()->SyncChunkDir(key));
    pin->NameSynced();
  }
  done.allocated = pin->AllocatedBytes();
  return done;
}

void ChunkStore::NotMade(ChunkKey key, ChunkVersion version) {
  std::lock_guard lock(mutex_);
  if (least_.insert_or_assign(key, version).second) least_order_.push_back(key);
  if (least_order_.size() <= kNotMadeMax) return;
  least_.erase(least_order_.front());
  least_order_.pop_front();
}

ChunkVersion ChunkStore::LeastVersion(ChunkKey key) const {
  std::lock_guard lock(mutex_);
  const auto it = least_.find(key);
  return it == least_.end() ? kFirstChunkVersion : it->second;
}

}  // namespace kfs
