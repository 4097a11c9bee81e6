// Ops of several steps: file data. What they carry is here; what they do is in file_read.cc, file_sync.cc
// and, for writes, which must know of each other, in FileWriter. A step that meets a chunk at another
// version, or a chunkserver that is away, is begun again from the layout (Retry). Worker's thread only, once
// executed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/kfs_op.h"
#include "client/layout_cache.h"
#include "rpc/connection.h"

namespace kfs {

// What went wrong with a chunk, and when to look at its layout again.
class ChunkRetry {
 public:
  // The chunkserver does not have what the layout says: a while of this is EIO. Retries come at 0, 1, 2, 4
  // ... 50 ms.
  static constexpr int kStaleMax = 40;

  // Notes the error of an access to `place`. False: it is not one that a new layout mends.
  bool Note(const ChunkPlace& place, const Answer& answer);
  // The same of a write, whose fate may not be known: the chunk's version must rise before the next try, or
  // the first one might land after it, on what has been written since.
  bool NoteWrite(const ChunkPlace& place, const Answer& answer);
  const std::vector<pb::GivenUpChunk>& given_up() const { return given_up_; }
  // The metaserver has seen to that.
  void GivenUp() { given_up_.clear(); }
  // A commit was refused, for the layout changed. Others have come forward by that (truncations, appends),
  // and however often they do is no error.
  void NoteStale();
  // What went wrong last.
  const Status& last() const { return last_; }
  // The pause before the next try, or the error that ends the op.
  Result<Duration> Next();
  // Tells the metaserver of a chunk that is ahead of its layout.
  template <typename Request>
  void AddTo(Request& request) const {
    if (ahead_chunk_ == 0) return;
    request.set_ahead_chunk(ahead_chunk_);
    request.set_ahead_version(ahead_version_);
  }

 private:
  bool stale_ = false, refused_ = false, away_ = false;
  int stales_ = 0;
  Status last_;
  Duration stale_pause_{}, away_pause_{};
  std::map<uint64_t, int> ahead_seen_;
  uint64_t ahead_chunk_ = 0, ahead_version_ = 0;
  std::vector<pb::GivenUpChunk> given_up_;
};

// A part of a request that lies in one chunk.
struct Piece {
  ChunkPlace place;
  uint64_t chunk_offset = 0;  // within the chunk
  uint64_t data_offset = 0;   // within the request's data
  uint32_t length = 0;
  uint64_t allocated = 0;  // writes: as the chunkserver says
  bool answered = false;   // writes
};

class DataOp : public KfsOp {
 public:
  DataOp(Caller caller, FileHandlePtr handle)
      : KfsOp(std::move(caller)), handle(std::move(handle)), ino(this->handle->ino()) {}
  DataOp(Caller caller, Ino ino) : KfsOp(std::move(caller)), ino(ino) {}
  const FileHandlePtr handle;  // null: by the inode alone
  const Ino ino;

 protected:
  // Begins again after the pause that is due, or ends the op.
  void RetryAfterPause(ChunkRetry& retry, std::function<void()> fn);
  bool FailIfLost();
  // Of the metaserver: not open means that it was lost with the session, if it was.
  Status Explain(Status status) const;
  // From here on changes are to be made durable; the first call counts. Durable: how that ended, which is EIO
  // when answered changes have been lost meanwhile.
  void BeginSync(ProtocolWorker& worker);
  Status Durable(ProtocolWorker& worker, Status status) const;
  // How SyncDataAndLog ended: begins again with `again` when a chunkserver is away, else ends the op.
  void Synced(ProtocolWorker& worker, ChunkRetry& retry, Status data, Status log,
              std::function<void()> again);

 private:
  std::optional<uint64_t> sync_began_in_;  // HeldState::epoch
};

class ReadOp final : public DataOp {
 public:
  ReadOp(Caller caller, FileHandlePtr handle, uint64_t offset, uint32_t size, KfsClient::ReadFlags flags = {})
      : DataOp(std::move(caller), std::move(handle)),
        offset(offset),
        size(size),
        atime_told_(flags.noatime) {}
  std::string_view name() const override { return "Read"; }
  void Start(ProtocolWorker& worker) override;

  const uint64_t offset;
  const uint32_t size;
  Buffer result;

 private:
  void ReadLayout(ProtocolWorker& worker);
  void OnLayout(ProtocolWorker& worker, const pb::LayoutReply& layout);
  void ReadPiece(ProtocolWorker& worker, size_t i);
  void PiecesDone(ProtocolWorker& worker);

  ChunkRetry retry_;
  bool atime_told_;  // or need not be
  std::vector<Piece> pieces_;
  size_t outstanding_ = 0;
  bool failed_ = false;
  Status error_;  // one that no retry mends
};

class WriteOp final : public DataOp {
 public:
  WriteOp(Caller caller, FileHandlePtr handle, uint64_t offset, Buffer data, KfsClient::WriteFlags flags)
      : DataOp(std::move(caller), std::move(handle)), offset(offset), data(std::move(data)), flags(flags) {}
  std::string_view name() const override { return flags.append ? "Append" : "Write"; }
  void Start(ProtocolWorker& worker) override;

  uint64_t offset;  // append: as the metaserver chose
  const Slice data;
  const KfsClient::WriteFlags flags;

 protected:
  void OnFinished(ProtocolWorker& worker) override;

 private:
  friend class FileWriter;
  ChunkRetry retry_;
  std::vector<Piece> pieces_;
  size_t outstanding_ = 0;
  bool failed_ = false;
  Status error_;
  bool data_done_ = false;
  uint64_t turn_ = 0;          // when it was issued, among the writes of the mount
  uint64_t append_token_ = 0;  // held: neither committed nor given back
};

// Bytes of chunks by the address of who has them.
using ChunksByServer = std::map<std::string, std::vector<uint64_t>>;

class FsyncOp final : public DataOp {
 public:
  explicit FsyncOp(FileHandlePtr handle) : DataOp({}, std::move(handle)) {}
  explicit FsyncOp(Ino ino) : DataOp({}, ino) {}
  std::string_view name() const override { return "Fsync"; }
  void Start(ProtocolWorker& worker) override;

 protected:
  void OnFinished(ProtocolWorker& worker) override;

 private:
  void Begin(ProtocolWorker& worker);
  void Collect(ProtocolWorker& worker, uint64_t offset);
  void Sync(ProtocolWorker& worker);

  uint64_t turn_ = 0;  // it waits for the writes before it (FileWriter::AfterWrites)
  ChunkRetry retry_;
  ChunksByServer chunks_;
};

class SeekOp final : public DataOp {
 public:
  SeekOp(FileHandlePtr handle, uint64_t offset, int whence)
      : DataOp({}, std::move(handle)), offset(offset), whence(whence) {}
  std::string_view name() const override { return "Seek"; }
  void Start(ProtocolWorker& worker) override;

  const uint64_t offset;
  const int whence;
  uint64_t result = 0;

 private:
  void Layout(ProtocolWorker& worker);
  void Step(ProtocolWorker& worker);
  void AskChunk(ProtocolWorker& worker, const ChunkPlace& place);
  void Found(uint64_t at);

  ChunkRetry retry_;
  uint64_t at_ = 0;      // everything in [offset, at_) has been ruled out
  uint64_t window_ = 0;  // bytes of layout asked for at once
  uint64_t known_end_ = 0;
  uint64_t size_ = 0;
  std::map<uint32_t, ChunkPlace> chunks_;  // written ones
};

// Read and written by the client, a piece at a time.
class CopyOp final : public DataOp {
 public:
  CopyOp(Caller caller, FileHandlePtr from, uint64_t from_offset, FileHandlePtr to, uint64_t to_offset,
         uint64_t length)
      : DataOp(std::move(caller), std::move(from)),
        from_offset(from_offset),
        to(std::move(to)),
        to_offset(to_offset),
        length(length) {}
  std::string_view name() const override { return "CopyRange"; }
  void Start(ProtocolWorker& worker) override;

  const uint64_t from_offset;
  const FileHandlePtr to;
  const uint64_t to_offset;
  const uint64_t length;
  uint64_t copied = 0;

 protected:
  void OnFinished(ProtocolWorker&) override;

 private:
  void Next(ProtocolWorker& worker);
  void EndWith(Status status);

  KfsOpPtr step_;
};

// The chunk's data is on all its replicas, and each has to be asked to make it durable.
void AddReplicas(const ChunkPlace& place, ChunksByServer* chunks);
// Makes the chunks' data durable on their servers, and the metaserver's log, at the same time:
// done(data, log) when all have answered, unless the op is finished by then. Notes in `retry` what may be
// mended.
void SyncDataAndLog(ProtocolWorker& worker, const KfsOpPtr& op, Ino ino, const ChunksByServer& chunks,
                    ChunkRetry* retry, std::function<void(Status data, Status log)> done);

}  // namespace kfs
