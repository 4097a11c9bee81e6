// Fsync, Seek and CopyRange. What all data ops share is in data_ops.cc.
#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_set>

#include "client/chunk_call.h"
#include "client/data_ops.h"
#include "client/meta_op.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/reached.h"

namespace kfs {
namespace {

constexpr uint64_t kLayoutChunksMax = 4096;  // asked for at once: the answer stays well below kFrameBodyMax

// A chunkserver has synced these chunks. What was written to them in another boot may be gone: whoever has
// the file open is told, not only who asks now.
Status NoteSynced(ProtocolWorker& worker, Ino ino, const std::vector<uint64_t>& chunks,
                  const pb::ChunkSyncReply& reply, uint64_t up_to) {
  size_t lost = 0;
  for (uint64_t chunk : chunks) lost += worker.writer().unsynced().Synced(chunk, reply.boot(), up_to) ? 0 : 1;
  if (lost == 0) return {};
  KFS_LOG(
      error,
      "data.lost ino={} chunks={} reason=\"a chunkserver has lost its power with what nobody had synced\" "
      "effect=\"fsync of the file fails with EIO\"",
      ino.v, lost);
  worker.session().held().ChangesLost(std::unordered_set<Ino>{ino}, worker.loop().Now());
  return {EIO, "what was written before may have been lost with a chunkserver's power"};
}

}  // namespace

void AddReplicas(const ChunkPlace& place, ChunksByServer* chunks) {
  for (const ChunkReplica& replica : place.replicas) (*chunks)[replica.address].push_back(place.chunk);
}

// Why both may be under way at once (P4). What fsync promises is that the data is on the disks *and* the log
// has been synced past its size and place, and it answers when it has heard of both. Which of them is durable
// first can be seen only after a loss of power before that answer; then nothing was promised, and either
// state is one that the rule of one second brings about by itself, as the log is synced each second whatever
// the chunks do, and the chunks' disks whenever they like:
//
//   the log only    the size is there and the data may not be: bytes that were written and never synced
//   the data only   bytes in a chunk that nothing counts yet: as after a write whose commit never came
//
// So when one of the two fails, or its answer does not come, the other's success is told to nobody. And what
// is to be covered must be there before either begins: FsyncOp has waited for the commits under way and read
// the layout after them; a write with O_SYNC comes here when its own commit has been answered.
void SyncDataAndLog(ProtocolWorker& worker, const KfsOpPtr& op, Ino ino, const ChunksByServer& chunks,
                    ChunkRetry* retry, std::function<void(Status data, Status log)> done) {
  struct Gather {
    size_t outstanding = 1;  // the log
    Status data, log;
    std::function<void(Status, Status)> done;
    void One() {
      if (--outstanding == 0) done(std::move(data), std::move(log));
    }
  };
  auto gather = std::make_shared<Gather>();
  gather->done = std::move(done);
  for (const auto& [address, ids] : chunks) {
    for (size_t from = 0; from < ids.size(); from += kInventoryBatch) {
      const ChunkPlace place{.chunk = ids[from], .written = true, .replicas = {}};
      if (address.empty()) {
        Answer nobody(NobodyHasChunk());
        retry->Note(place, nobody);
        gather->data = nobody.status;
        break;
      }
      pb::ChunkSyncRequest request;
      request.set_volume(worker.session().volume());
      const size_t to = std::min(ids.size(), from + kInventoryBatch);
      for (size_t i = from; i < to; ++i) request.add_chunk(ids[i]);
      ++gather->outstanding;
      auto synced = [&worker, ino, up_to = worker.writer().unsynced().now(),
                     these = std::vector<uint64_t>(request.chunk().begin(), request.chunk().end())](
                        const pb::ChunkSyncReply& reply) {
        return NoteSynced(worker, ino, these, reply, up_to);
      };
      RemoteCall::Chunk<rpc::ChunkSync>(
          worker, op, address, std::move(request), {},
          [gather, retry, place, op, synced](Answer& answer, pb::ChunkSyncReply& reply) {
            Status status = answer.status.ok() ? synced(reply) : answer.status;
            if (op->finished()) return;
            if (!status.ok()) {
              const bool mends = !answer.status.ok() && retry->Note(place, answer);
              // One that no retry mends is not hidden by one that it does.
              if (gather->data.ok() || !mends) gather->data = std::move(status);
            }
            gather->One();
          });
    }
  }
  pb::FsyncRequest request;
  request.set_ino(ino.v);
  RemoteCall::Meta<rpc::Fsync>(worker, op, std::move(request), [gather, op](Status status, pb::Empty&) {
    if (op->finished()) return;
    gather->log = std::move(status);
    gather->One();
  });
}

void DataOp::Synced(ProtocolWorker& worker, ChunkRetry& retry, Status data, Status log,
                    std::function<void()> again) {
  if (!log.ok()) return Finish(std::move(log));
  // All of it again, the log too: the chunk may be elsewhere by then.
  if (data.code() == Code::kConnectionLost) return RetryAfterPause(retry, std::move(again));
  Finish(Durable(worker, std::move(data)));
}

// ---- Fsync ----

void FsyncOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (handle != nullptr && worker.session().held().ChangesLostSince(ino, handle->opened_in())) {
    KFS_REACHED("fsync.tells_of_a_loss");
    return Finish(Status(EIO, "what was changed before has been lost with a server's power"));
  }
  BeginSync(worker);
  auto self = std::static_pointer_cast<FsyncOp>(shared_from_this());
  turn_ = worker.writer().AfterWrites(ino, [self, this, &worker] {
    turn_ = 0;
    if (!finished()) Begin(worker);
  });
}

void FsyncOp::OnFinished(ProtocolWorker& worker) {
  if (turn_ != 0) worker.writer().StopWaiting(ino, turn_);
}

void FsyncOp::Begin(ProtocolWorker& worker) {
  chunks_.clear();
  Collect(worker, 0);
}

void FsyncOp::Collect(ProtocolWorker& worker, uint64_t offset) {
  const uint64_t window = kLayoutChunksMax * worker.chunk_size();
  pb::ReadLayoutRequest request;
  request.set_ino(ino.v);
  request.set_offset(offset);
  request.set_length(window);
  retry_.AddTo(request);
  auto self = std::static_pointer_cast<FsyncOp>(shared_from_this());
  RemoteCall::Meta<rpc::ReadLayout>(
      worker, self, std::move(request),
      [self, this, offset, window, &worker](Status status, pb::LayoutReply& layout) {
        if (finished()) return;
        // Directories and special files have no chunks.
        if (status.err() == EISDIR || status.err() == EINVAL) return Sync(worker);
        if (!status.ok()) return Finish(Explain(std::move(status)));
        worker.net().LearnLinkKeys(layout);
        for (const pb::ChunkLayout& chunk : layout.chunk()) {
          if (chunk.written()) AddReplicas(PlaceFromPb(chunk), &chunks_);
        }
        uint64_t next = offset + window;
        if (const int count = layout.chunk_size(); count != 0)  // the answer may end before the window
          next = std::max(offset, uint64_t{layout.chunk(count - 1).index()} * worker.chunk_size()) +
                 worker.chunk_size();
        if (layout.size() > next) return Collect(worker, next);
        Sync(worker);
      });
}

void FsyncOp::Sync(ProtocolWorker& worker) {
  auto self = std::static_pointer_cast<FsyncOp>(shared_from_this());
  SyncDataAndLog(worker, self, ino, chunks_, &retry_, [self, this, &worker](Status data, Status log) {
    if (log.ok() && worker.session().held().ChangesLostLately(ino, worker.loop().Now())) {
      KFS_REACHED("fsync.tells_of_a_late_loss");
      log = Status(EIO, "what was changed before has just been lost with a server's power");
    }
    Synced(worker, retry_, std::move(data), std::move(log), [self, this, &worker] { Begin(worker); });
  });
}

// ---- Seek ----

void SeekOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (whence != SEEK_DATA && whence != SEEK_HOLE)
    return Finish(Status(EINVAL, "only SEEK_DATA and SEEK_HOLE are for the server"));
  at_ = offset;
  window_ = kLayoutChunksMax * worker.chunk_size();
  Layout(worker);
}

void SeekOp::Layout(ProtocolWorker& worker) {
  pb::ReadLayoutRequest request;
  request.set_ino(ino.v);
  request.set_offset(at_);
  request.set_length(std::min(window_, kFileSizeMax - std::min(at_, kFileSizeMax)));
  request.set_rights(kReadChunk | kWriteChunk);  // whichever it is open for
  retry_.AddTo(request);
  auto self = std::static_pointer_cast<SeekOp>(shared_from_this());
  RemoteCall::Meta<rpc::ReadLayout>(
      worker, self, std::move(request), [self, this, &worker](Status status, pb::LayoutReply& layout) {
        if (finished()) return;
        if (!status.ok()) return Finish(Explain(std::move(status)));
        worker.session().TakeTickets(layout.ticket());
        worker.net().LearnLinkKeys(layout);
        size_ = layout.size();
        if (offset >= size_) return Finish(Status(ENXIO, "the offset is at or past the end of the file"));
        known_end_ = std::min(size_, window_ > UINT64_MAX - at_ ? UINT64_MAX : at_ + window_);
        chunks_.clear();
        for (int i = 0; i < layout.chunk_size(); ++i) {
          const pb::ChunkLayout& chunk = layout.chunk(i);
          if (static_cast<size_t>(i) >= kTokensMax) {  // no tokens from here on
            known_end_ = std::min(known_end_, chunk.index() * worker.chunk_size());
            break;
          }
          if (chunk.written()) chunks_[chunk.index()] = PlaceFromPb(chunk);
        }
        // A long hole: look further each time.
        if (layout.chunk_size() == 0 && window_ < kFileSizeMax / 16) window_ *= 16;
        Step(worker);
      });
}

void SeekOp::Step(ProtocolWorker& worker) {
  const uint64_t chunk_size = worker.chunk_size();
  if (at_ >= size_) return Found(size_);
  if (at_ >= known_end_) return Layout(worker);
  const auto index = at_ / chunk_size;
  auto it = chunks_.lower_bound(static_cast<uint32_t>(index));
  const bool inside = it != chunks_.end() && it->first == index;
  if (inside) return AskChunk(worker, it->second);
  if (whence == SEEK_HOLE) return Found(at_);
  // Nothing here: on to the next chunk that has data.
  at_ = it == chunks_.end() ? known_end_ : std::min(known_end_, it->first * chunk_size);
  Step(worker);
}

void SeekOp::AskChunk(ProtocolWorker& worker, const ChunkPlace& place) {
  auto self = std::static_pointer_cast<SeekOp>(shared_from_this());
  const uint64_t base = place.index * worker.chunk_size();
  auto done = [self, this, &worker, place, base](const std::string&, Answer& answer,
                                                 pb::ChunkSeekReply& reply) {
    if (finished()) return;
    if (!answer.status.ok()) {
      if (!retry_.Note(place, answer)) return Finish(answer.status);
      return RetryAfterPause(retry_, [self, this, &worker] { Layout(worker); });
    }
    const uint64_t chunk_size = worker.chunk_size();
    const uint64_t found = whence == SEEK_DATA ? reply.data() : reply.hole();
    if (found < chunk_size) return Found(std::max(at_, base + found));
    at_ = base + chunk_size;
    Step(worker);
  };
  pb::ChunkSeekRequest request;
  request.set_offset(at_ - base);
  CallChunk<rpc::ChunkSeek>(worker, self, place, std::move(request), {}, std::move(done));
}

void SeekOp::Found(uint64_t at) {
  if (whence == SEEK_DATA && at >= size_) return Finish(Status(ENXIO, "no data at or after the offset"));
  result = std::min(at, size_);  // the end of the file is a hole
  Finish(Status());
}

// ---- CopyRange ----

namespace {

// No kernel says whether the copier has CAP_FSETID. Capabilities of a user namespace, which count for some
// inodes only, are passed over: the bits go then.
bool KeepsIds(const Caller& caller) {
  if (caller.kill_ids) return false;
  const bool known = caller.groups_known && caller.pid != 0 && !caller.kernel_checked;
  if (!known) return caller.uid == 0;
  return (caller.caps >> CAP_FSETID & 1) != 0 && caller.caps_uids.empty() && caller.caps_gids.empty();
}

}  // namespace

void CopyOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (to->lost()) return Finish(LostHandle());
  const uint64_t apart = from_offset > to_offset ? from_offset - to_offset : to_offset - from_offset;
  if (ino == to->ino() && apart < length) return Finish(Status(EINVAL, "the ranges overlap"));
  if (from_offset > kFileSizeMax || to_offset > kFileSizeMax)
    return Finish(Status(EFBIG, "past the largest file size"));
  Next(worker);
}

void CopyOp::Next(ProtocolWorker& worker) {
  if (copied >= length) return Finish(Status());
  worker.ExtendDeadline(*this);
  const auto n = static_cast<uint32_t>(std::min<uint64_t>(kIoSizeMax, length - copied));
  auto self = std::static_pointer_cast<CopyOp>(shared_from_this());
  auto read = std::make_shared<ReadOp>(caller, handle, from_offset + copied, n);
  step_ = read;
  worker.RunChild(*this, read, [this, self, &worker](KfsOp& done) {
    if (!done.status().ok()) return EndWith(done.status());
    Buffer data = std::move(static_cast<ReadOp&>(done).result);
    if (data.empty()) return EndWith(Status());
    const uint64_t size = data.size();
    auto write = std::make_shared<WriteOp>(caller, to, to_offset + copied, std::move(data),
                                           KfsClient::WriteFlags{.keep_priv = KeepsIds(caller)});
    step_ = write;
    worker.RunChild(*this, write, [this, self, &worker, size](KfsOp& w) {
      if (!w.status().ok()) return EndWith(w.status());
      copied += size;
      Next(worker);
    });
  });
}

// What was copied before an error counts; the error comes with the next call.
void CopyOp::EndWith(Status status) { Finish(copied != 0 ? Status() : std::move(status)); }

void CopyOp::OnFinished(ProtocolWorker&) {
  if (auto step = std::move(step_)) step->Finish(Status(EINTR, "the copy was interrupted"));
}

}  // namespace kfs
