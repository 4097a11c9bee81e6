// Read: the layout first, each time (so that every read sees what others were told is done, P2), then the
// chunks in parallel; what is not written reads as zeros without asking anyone; the result is cut at the size
// that came with the layout.
#include <algorithm>
#include <cstring>

#include "client/chunk_call.h"
#include "client/data_ops.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/limits.h"
#include "common/reached.h"

namespace kfs {

void ReadOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (size > kIoSizeMax) return Finish(Status(EINVAL, "a read of more than 1 MiB"));
  if (size == 0) return Finish(Status());
  ReadLayout(worker);
}

void ReadOp::ReadLayout(ProtocolWorker& worker) {
  auto self = std::static_pointer_cast<ReadOp>(shared_from_this());
  pb::ReadLayoutRequest request;
  request.set_ino(ino.v);
  request.set_offset(offset);
  request.set_length(size);
  request.set_atime(!atime_told_);
  request.set_rights(kReadChunk);
  retry_.AddTo(request);
  RemoteCall::Meta<rpc::ReadLayout>(worker, self, std::move(request),
                                    [self, this, &worker](Status status, pb::LayoutReply& layout) {
                                      if (finished()) return;
                                      if (!status.ok()) return Finish(Explain(std::move(status)));
                                      worker.session().TakeTickets(layout.ticket());
                                      worker.net().LearnLinkKeys(layout);
                                      atime_told_ = true;
                                      OnLayout(worker, layout);
                                    });
}

void ReadOp::OnLayout(ProtocolWorker& worker, const pb::LayoutReply& layout) {
  if (offset >= layout.size()) return Finish(Status());
  const uint64_t end = std::min<uint64_t>(offset + size, layout.size());
  const uint64_t length = end - offset;
  const uint64_t chunk_size = worker.chunk_size();
  pieces_.clear();
  uint64_t covered = 0;
  for (const pb::ChunkLayout& chunk : layout.chunk()) {
    const uint64_t base = chunk.index() * chunk_size;
    const uint64_t from = std::max(base, offset);
    const uint64_t to = std::min(base + chunk_size, end);
    if (!chunk.written() || from >= to) continue;
    pieces_.push_back({.place = PlaceFromPb(chunk),
                       .chunk_offset = from - base,
                       .data_offset = from - offset,
                       .length = static_cast<uint32_t>(to - from),
                       .allocated = 0,
                       .answered = false});
    covered += to - from;
  }
  // One chunk has it all: its answer is the result, without another copy.
  const bool whole = pieces_.size() == 1 && covered == length;
  if (!whole) {
    result = Buffer(length);
    if (covered != length) std::memset(result.data(), 0, length);
  }
  if (pieces_.empty()) return Finish(Status());
  failed_ = false;
  error_ = Status();
  outstanding_ = pieces_.size();
  for (size_t i = 0; i < pieces_.size(); ++i) ReadPiece(worker, i);
}

void ReadOp::ReadPiece(ProtocolWorker& worker, size_t i) {
  auto self = std::static_pointer_cast<ReadOp>(shared_from_this());
  const Piece& piece = pieces_[i];
  auto done = [self, this, &worker, i](const std::string& address, Answer& answer, pb::ChunkReadReply&) {
    if (finished()) return;
    const Piece& p = pieces_[i];
    if (answer.status.ok() && answer.payload.size() != p.length) {
      answer.status = Status(EIO, Code::kMalformed,
                             "chunkserver " + address + " gave another amount of data than asked for");
    }
    if (!answer.status.ok()) {
      failed_ = true;
      if (!retry_.Note(p.place, answer)) error_ = answer.status;
    } else if (pieces_.size() == 1 && result.size() == 0) {
      result = std::move(answer.payload);
    } else {
      std::memcpy(result.data() + p.data_offset, answer.payload.data(), p.length);
    }
    if (--outstanding_ == 0) PiecesDone(worker);
  };
  pb::ChunkReadRequest request;
  request.set_offset(piece.chunk_offset);
  request.set_length(piece.length);
  CallChunk<rpc::ChunkRead>(worker, self, piece.place, std::move(request), {}, std::move(done));
}

void ReadOp::PiecesDone(ProtocolWorker& worker) {
  if (!failed_) return Finish(Status());
  result = Buffer();
  if (!error_.ok()) return Finish(error_);
  auto self = std::static_pointer_cast<ReadOp>(shared_from_this());
  KFS_REACHED("read.again");
  RetryAfterPause(retry_, [self, this, &worker] { ReadLayout(worker); });
}

}  // namespace kfs
