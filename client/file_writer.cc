#include "client/file_writer.h"

#include <algorithm>
#include <utility>

#include "client/chunk_call.h"
#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/crc32c.h"
#include "common/limits.h"
#include "common/reached.h"

namespace kfs {

void WriteOp::Start(ProtocolWorker& worker) {
  if (FailIfLost()) return;
  if (data.size() > kIoSizeMax) return Finish(Status(EINVAL, "a write of more than 1 MiB"));
  if (data.empty()) return Finish(Status());
  BeginSync(worker);
  if (!flags.append && (offset > kFileSizeMax || data.size() > kFileSizeMax - offset)) {
    return Finish(Status(EFBIG, "a write past the largest file size"));
  }
  worker.writer().Start(std::static_pointer_cast<WriteOp>(shared_from_this()));
}

void WriteOp::OnFinished(ProtocolWorker& worker) { worker.writer().Finished(*this); }

void FileWriter::Start(const OpPtr& op) {
  op->turn_ = next_turn_++;
  under_way_[op->ino].writes.insert(op->turn_);
  // An append keeps no one waiting: its place in the file is decided by its token, not by when it was issued.
  if (!op->flags.append) order_[op->ino].push_back(op);
  Begin(op);
}

void FileWriter::Begin(const OpPtr& op) {
  op->data_done_ = false;
  if (!op->flags.append && PlacePieces(op)) return WritePieces(op);
  Prepare(op);
}

// Cuts the write at the chunks' borders; false when the place of a chunk is not known.
bool FileWriter::PlacePieces(const OpPtr& op) {
  const uint64_t chunk_size = worker_.chunk_size();
  op->pieces_.clear();
  const uint64_t end = op->offset + op->data.size();
  for (uint64_t at = op->offset; at < end;) {
    const uint64_t index = at / chunk_size;
    const uint64_t stop = std::min(end, (index + 1) * chunk_size);
    const ChunkPlace* place = worker_.layouts().Find(op->ino, static_cast<uint32_t>(index));
    if (place == nullptr || (place->for_append && !op->flags.append)) return false;
    op->pieces_.push_back({.place = *place,
                           .chunk_offset = at % chunk_size,
                           .data_offset = at - op->offset,
                           .length = static_cast<uint32_t>(stop - at),
                           .allocated = 0,
                           .answered = false});
    at = stop;
  }
  return true;
}

void FileWriter::Prepare(const OpPtr& op) {
  pb::PrepareWriteRequest request;
  request.set_ino(op->ino.v);
  request.set_offset(op->flags.append ? 0 : op->offset);
  request.set_length(op->data.size());
  request.set_append(op->flags.append);
  op->retry_.AddTo(request);
  for (const pb::GivenUpChunk& chunk : op->retry_.given_up()) *request.add_given_up() = chunk;
  auto done = [this, op](Status status, pb::LayoutReply& layout) {
    if (status.ok()) op->append_token_ = layout.append_token();
    if (op->finished()) return AbortAppend(*op);
    if (!status.ok()) return op->Finish(op->Explain(std::move(status)));
    op->retry_.GivenUp();
    worker_.session().TakeTickets(layout.ticket());
    worker_.net().LearnLinkKeys(layout);
    if (op->flags.append) op->offset = layout.offset();
    for (const pb::ChunkLayout& chunk : layout.chunk()) {
      ChunkPlace place = PlaceFromPb(chunk);
      place.for_append = op->flags.append;
      place.size_seen = layout.size();
      worker_.layouts().Put(op->ino, place);
    }
    if (!PlacePieces(op)) {
      return op->Finish(Status(EIO, Code::kMalformed, "the metaserver's layout does not cover the write"));
    }
    WritePieces(op);
  };
  // An append's token must come back whatever happens to the op (`keep`).
  RemoteCall::Meta<rpc::PrepareWrite>(worker_, op, std::move(request), std::move(done), op->flags.append);
}

void FileWriter::WritePieces(const OpPtr& op) {
  op->failed_ = false;
  op->error_ = Status();
  op->outstanding_ = op->pieces_.size();
  for (size_t i = 0; i < op->pieces_.size(); ++i) WritePiece(op, i);
}

void FileWriter::WritePiece(const OpPtr& op, size_t i) {
  const Piece& piece = op->pieces_[i];
  auto done = [this, op, i](const std::string&, Answer& answer, pb::ChunkWriteReply& reply) {
    if (op->finished()) return;
    Piece& p = op->pieces_[i];
    p.allocated = reply.allocated();
    p.answered = true;
    if (answer.status.ok()) {
      unsynced_.Wrote(p.place.chunk, reply.boot());
    } else {
      op->failed_ = true;
      if (!op->retry_.NoteWrite(p.place, answer)) op->error_ = answer.status;
    }
    if (--op->outstanding_ == 0) PiecesDone(op);
  };
  pb::ChunkWriteRequest request;
  request.set_offset(piece.chunk_offset);
  request.set_existing(piece.place.written);
  const char* data = op->data.data() + piece.data_offset;
  for (uint64_t at = 0; at < piece.length;) {
    const uint64_t in_block = (piece.chunk_offset + at) % kBlockSize;
    const uint64_t n = std::min<uint64_t>(kBlockSize - in_block, piece.length - at);
    request.add_block_crc(Crc32c(data + at, n));
    at += n;
  }
  CallChunk<rpc::ChunkWrite>(worker_, op, piece.place, std::move(request),
                             op->data.Part(piece.data_offset, piece.length), std::move(done));
}

void FileWriter::PiecesDone(const OpPtr& op) {
  if (!op->failed_) {
    op->data_done_ = true;
    return op->flags.append ? Commit(op) : CommitInOrder(op->ino);
  }
  worker_.layouts().Drop(op->ino);
  if (!op->error_.ok()) return op->Finish(op->error_);
  BeginAgain(op);
}

void FileWriter::CommitInOrder(Ino ino) {
  while (true) {
    auto it = order_.find(ino);
    if (it == order_.end()) return;
    if (it->second.empty()) {
      order_.erase(it);
      return;
    }
    const OpPtr op = it->second.front();
    if (!op->data_done_) return;
    it->second.pop_front();
    Commit(op);
  }
}

void FileWriter::Commit(const OpPtr& op) {
  if (op->FailIfLost()) return;  // its handle went while the data was on its way
  pb::CommitWriteRequest request;
  request.set_ino(op->ino.v);
  request.set_offset(op->offset);
  request.set_length(op->data.size());
  request.set_append_token(op->append_token_);
  request.set_keep_priv(op->flags.keep_priv);
  request.set_size_seen(
      std::ranges::min(op->pieces_, {}, [](const Piece& p) { return p.place.size_seen; }).place.size_seen);
  for (const Piece& piece : op->pieces_) {
    auto* written = request.add_written();
    written->set_index(piece.place.index);
    written->set_chunk(piece.place.chunk);
    written->set_version(piece.place.version);
    written->set_allocated(piece.allocated);
  }
  const uint64_t token = op->append_token_;
  op->append_token_ = 0;  // used up by the commit, whatever it answers
  RemoteCall::Meta<rpc::CommitWrite>(worker_, op, std::move(request),
                                     [this, op, token](Status status, pb::CommitWriteReply&) {
                                       if (op->finished()) {
                                         // Cancelled before the commit was executed: other appenders wait for
                                         // the token.
                                         if (!status.ok() && token != 0) {
                                           op->append_token_ = token;
                                           AbortAppend(*op);
                                         }
                                         return;
                                       }
                                       if (status.ok()) {
                                         for (const Piece& p : op->pieces_)
                                           worker_.layouts().NoteWritten(op->ino, p.place);
                                         return op->flags.sync ? SyncWritten(op) : op->Finish(Status());
                                       }
                                       if (status.code() == Code::kNeedGroups && FindGroups(*op)) {
                                         op->append_token_ = token;
                                         return Commit(op);
                                       }
                                       worker_.layouts().Drop(op->ino);
                                       if (status.code() != Code::kStaleChunk) {
                                         if (status.code() == Code::kNeedGroups) op->append_token_ = token;
                                         return op->Finish(std::move(status));
                                       }
                                       // Refused without effect: the whole write is done again, and committed
                                       // under a new id.
                                       op->retry_.NoteStale();
                                       op->data_done_ = false;
                                       if (!op->flags.append) order_[op->ino].push_back(op);
                                       BeginAgain(op);
                                     });
}

// Whether the writer may keep setgid depends on its groups: once, and only for a file that has it without
// group execution. The data stays where it is, the commit is made again.
bool FileWriter::FindGroups(WriteOp& op) {
  if (op.caller.groups_known || !op.caller.complete) return false;
  op.caller.complete(&op.caller);
  op.caller.groups_known = true;
  return true;
}

// O_SYNC: what was written, and the metadata that leads to it, which has been committed.
void FileWriter::SyncWritten(const OpPtr& op) {
  ChunksByServer chunks;
  for (const Piece& piece : op->pieces_) AddReplicas(piece.place, &chunks);
  SyncDataAndLog(worker_, op, op->ino, chunks, &op->retry_, [this, op](Status data, Status log) {
    op->Synced(worker_, op->retry_, std::move(data), std::move(log), [this, op] { Relink(op); });
  });
}

// The chunkserver may have another key than when the data was written.
void FileWriter::Relink(const OpPtr& op) {
  pb::ReadLayoutRequest request;
  request.set_ino(op->ino.v);
  request.set_offset(op->pieces_.front().place.index * worker_.chunk_size());
  request.set_length(op->pieces_.size() * worker_.chunk_size());
  RemoteCall::Meta<rpc::ReadLayout>(worker_, op, std::move(request),
                                    [this, op](Status s, pb::LayoutReply& layout) {
                                      if (op->finished()) return;
                                      if (!s.ok()) return op->Finish(std::move(s));
                                      worker_.net().LearnLinkKeys(layout);
                                      SyncWritten(op);
                                    });
}

void FileWriter::BeginAgain(const OpPtr& op) {
  KFS_REACHED("write.again");
  AbortAppend(*op);
  op->RetryAfterPause(op->retry_, [this, op] { Begin(op); });
}

void FileWriter::AbortAppend(WriteOp& op) {
  if (op.append_token_ == 0) return;
  pb::AbortAppendRequest request;
  request.set_ino(op.ino.v);
  request.set_append_token(std::exchange(op.append_token_, 0));
  RemoteCall::Meta<rpc::AbortAppend>(worker_, nullptr, std::move(request), [](Status, pb::Empty&) {});
}

void FileWriter::Finished(WriteOp& op) {
  std::vector<pb::GivenUpChunk> on_their_way = op.retry_.given_up();
  if (op.outstanding_ != 0) {
    for (const Piece& piece : op.pieces_) {
      if (piece.answered) continue;
      pb::GivenUpChunk& chunk = on_their_way.emplace_back();
      chunk.set_chunk(piece.place.chunk);
      chunk.set_version(piece.place.version);
    }
  }
  settling_.Begin(op.ino, on_their_way);
  AbortAppend(op);
  if (auto it = order_.find(op.ino); it != order_.end()) {
    std::erase_if(it->second, [&](const OpPtr& other) { return other.get() == &op; });
    CommitInOrder(op.ino);
  }
  LetGoOn(op);
}

uint64_t FileWriter::AfterWrites(Ino ino, std::function<void()> fn) {
  auto it = under_way_.find(ino);
  if (it == under_way_.end()) {
    fn();
    return 0;
  }
  it->second.waiting.emplace(next_turn_, std::move(fn));
  return next_turn_++;
}

void FileWriter::StopWaiting(Ino ino, uint64_t turn) {
  if (auto it = under_way_.find(ino); it != under_way_.end()) it->second.waiting.erase(turn);
}

void FileWriter::LetGoOn(WriteOp& ended) {
  auto it = under_way_.find(ended.ino);
  if (it == under_way_.end() || it->second.writes.erase(ended.turn_) == 0) return;
  auto& [writes, waiting] = it->second;
  std::vector<std::function<void()>> ready;  // they change the tables
  while (!waiting.empty() && (writes.empty() || waiting.begin()->first < *writes.begin())) {
    ready.push_back(std::move(waiting.begin()->second));
    waiting.erase(waiting.begin());
  }
  if (writes.empty()) under_way_.erase(it);
  for (const auto& fn : ready) fn();
}

}  // namespace kfs
