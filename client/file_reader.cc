#include "client/file_reader.h"

#include <algorithm>
#include <cstring>

#include "client/chunk_call.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/limits.h"

namespace kfs {

void ReadOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (size > kIoSizeMax) return Finish(Status(EINVAL, "a read of more than 1 MiB"));
  if (size == 0) return Finish(Status());
  FileReader::Start(worker, std::static_pointer_cast<ReadOp>(shared_from_this()));
}

void FileReader::Start(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op) {
  pb::ReadLayoutRequest request;
  request.set_ino(op->ino.v);
  request.set_offset(op->offset);
  request.set_length(op->size);
  request.set_atime(!op->atime_told_);
  request.set_rights(kReadChunk);
  op->retry_.AddTo(request);
  RemoteCall::Meta<rpc::ReadLayout>(worker, op, std::move(request),
                                    [&worker, op](Status status, pb::LayoutReply& layout) {
                                      if (op->finished()) return;
                                      if (!status.ok()) return op->Finish(op->Explain(std::move(status)));
                                      worker.session().TakeTickets(layout.ticket());
                                      worker.net().LearnLinkKeys(layout);
                                      op->atime_told_ = true;
                                      OnLayout(worker, op, layout);
                                    });
}

void FileReader::OnLayout(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op,
                          const pb::LayoutReply& layout) {
  if (op->offset >= layout.size()) return op->Finish(Status());
  const uint64_t end = std::min<uint64_t>(op->offset + op->size, layout.size());
  const uint64_t length = end - op->offset;
  const uint64_t chunk_size = worker.chunk_size();
  op->pieces_.clear();
  uint64_t covered = 0;
  for (const pb::ChunkLayout& chunk : layout.chunk()) {
    const uint64_t base = chunk.index() * chunk_size;
    const uint64_t from = std::max(base, op->offset);
    const uint64_t to = std::min(base + chunk_size, end);
    if (!chunk.written() || from >= to) continue;
    op->pieces_.push_back({.place = PlaceFromPb(chunk),
                           .chunk_offset = from - base,
                           .data_offset = from - op->offset,
                           .length = static_cast<uint32_t>(to - from),
                           .allocated = 0,
                           .answered = false});
    covered += to - from;
  }
  // One chunk has it all: its answer is the result, without another copy.
  const bool whole = op->pieces_.size() == 1 && covered == length;
  if (!whole) {
    op->result = Buffer(length);
    if (covered != length) std::memset(op->result.data(), 0, length);
  }
  if (op->pieces_.empty()) return op->Finish(Status());
  op->failed_ = false;
  op->error_ = Status();
  op->outstanding_ = op->pieces_.size();
  for (size_t i = 0; i < op->pieces_.size(); ++i) ReadPiece(worker, op, i);
}

void FileReader::ReadPiece(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op, size_t i) {
  const Piece& piece = op->pieces_[i];
  auto done = [&worker, op, i](const std::string& address, Answer& answer, pb::ChunkReadReply&) {
    if (op->finished()) return;
    const Piece& p = op->pieces_[i];
    if (answer.status.ok() && answer.payload.size() != p.length) {
      answer.status = Status(EIO, Code::kMalformed,
                             "chunkserver " + address + " gave another amount of data than asked for");
    }
    if (!answer.status.ok()) {
      op->failed_ = true;
      if (!op->retry_.Note(p.place, answer)) op->error_ = answer.status;
    } else if (op->pieces_.size() == 1 && op->result.size() == 0) {
      op->result = std::move(answer.payload);
    } else {
      std::memcpy(op->result.data() + p.data_offset, answer.payload.data(), p.length);
    }
    if (--op->outstanding_ == 0) PiecesDone(worker, op);
  };
  pb::ChunkReadRequest request;
  request.set_offset(piece.chunk_offset);
  request.set_length(piece.length);
  CallChunk<rpc::ChunkRead>(worker, op, piece.place, std::move(request), nullptr, std::move(done));
}

void FileReader::PiecesDone(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op) {
  if (!op->failed_) return op->Finish(Status());
  op->result = Buffer();
  if (!op->error_.ok()) return op->Finish(op->error_);
  op->Again(op->retry_, [&worker, op] { Start(worker, op); });
}

}  // namespace kfs
