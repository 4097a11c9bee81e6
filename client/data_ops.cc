#include "client/data_ops.h"

#include <algorithm>

#include "client/meta_op.h"
#include "client/protocol_worker.h"
#include "common/reached.h"

namespace kfs {

bool ChunkRetry::Note(const ChunkPlace& place, const Answer& answer) {
  last_ = answer.status;
  const Code code = answer.status.code();
  if (code == Code::kConnectionLost || code == Code::kTokenRefused) {
    away_ = true;
    return true;
  }
  if (code != Code::kStaleChunk) return false;
  stale_ = true;
  // Ahead once: our layout was old. Ahead again after a new one: the metaserver's record is behind.
  if (answer.detail > place.version && ++ahead_seen_[place.chunk] > 1) {
    ahead_chunk_ = place.chunk;
    ahead_version_ = answer.detail;
    KFS_REACHED("layout.behind_twice");
  }
  return true;
}

bool ChunkRetry::NoteWrite(const ChunkPlace& place, const Answer& answer) {
  if (answer.status.code() == Code::kConnectionLost && place.head() != nullptr) {
    pb::GivenUpChunk& chunk = given_up_.emplace_back();
    chunk.set_chunk(place.chunk);
    chunk.set_version(place.version);
  }
  return Note(place, answer);
}

void ChunkRetry::NoteStale() {
  refused_ = true;
  last_ = Status(ESTALE, Code::kStaleChunk, "the chunk changed meanwhile");
}

Result<Duration> ChunkRetry::Next() {
  constexpr Duration kStalePauseMin = std::chrono::milliseconds(1),
                     kStalePauseMax = std::chrono::milliseconds(50);
  constexpr Duration kAwayPauseMin = std::chrono::milliseconds(20), kAwayPauseMax = std::chrono::seconds(1);
  Duration pause{};
  if (stale_ && ++stales_ > kStaleMax) {
    return Status(EIO, Code::kStaleChunk,
                  "the chunk's layout and the chunkserver do not agree: " + last_.message());
  }
  if (stale_ || refused_) {
    pause = stale_pause_;
    stale_pause_ = std::clamp(2 * stale_pause_, kStalePauseMin, kStalePauseMax);
  }
  if (away_) {
    pause = away_pause_ = std::clamp(2 * away_pause_, kAwayPauseMin, kAwayPauseMax);
  }
  stale_ = refused_ = away_ = false;
  return pause;
}

void DataOp::RetryAfterPause(ChunkRetry& retry, std::function<void()> fn) {
  const Result<Duration> pause = retry.Next();
  if (!pause.ok()) return Finish(pause.status());
  NoteTrouble(retry.last());
  RunAfter(*pause, std::move(fn));
}

bool DataOp::FailIfLost() {
  if (handle == nullptr || !handle->lost()) return false;
  KFS_REACHED("handle.lost");
  Finish(LostHandle());
  return true;
}

Status DataOp::Explain(Status status) const {
  // Asked again in the session that followed: one that nobody has open there may even be gone.
  if ((status.err() == EBADF || status.err() == ESTALE) && handle != nullptr && handle->lost())
    return LostHandle();
  return status;
}

void DataOp::BeginSync(ProtocolWorker& worker) {
  if (!sync_began_in_) sync_began_in_ = worker.session().held().epoch();
}

Status DataOp::Durable(ProtocolWorker& worker, Status status) const {
  if (!status.ok() || !worker.session().held().ChangesLostSince(ino, *sync_began_in_)) return status;
  return Status(EIO, "what was written before has been lost with a server's power");
}

}  // namespace kfs
