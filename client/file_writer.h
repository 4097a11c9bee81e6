// Writes: data to the chunkservers first, then one commit to the metaserver, which is what makes it count.
//
//   cached layout? --no--> PrepareWrite --> ChunkWrite (each chunk, in parallel) --> CommitWrite --> done
//        ^                                       |                                      |
//        +------------- kStaleChunk: drop the layout, begin again, commit under a new id +
//
// A try whose fate is not known is given up before the next, and so is one that nobody waits for any more
// (Settling): it must not land late.
//
// Several writes of one inode may be in flight. Their first commits leave in the order in which the writes
// were issued; one that is refused (kStaleChunk) begins again behind those that were issued meanwhile.
// Appends get their offset and a token from PrepareWrite; a token that is not committed is given back.
// Worker's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "client/data_ops.h"
#include "client/settling.h"
#include "client/unsynced_data.h"

namespace kfs {

class FileWriter {
 public:
  explicit FileWriter(ProtocolWorker& worker) : worker_(worker) {}

  void Start(const std::shared_ptr<WriteOp>& op);
  // The op has ended, however.
  void Finished(WriteOp& op);
  // Runs `fn` when every write of the inode that was issued before has ended, with its commit: at once when
  // there is none, and gives 0 then, else a number for StopWaiting.
  uint64_t AfterWrites(Ino ino, std::function<void()> fn);
  void StopWaiting(Ino ino, uint64_t turn);
  Settling& settling() { return settling_; }
  UnsyncedData& unsynced() { return unsynced_; }

 private:
  using OpPtr = std::shared_ptr<WriteOp>;
  void Begin(const OpPtr& op);
  bool PlacePieces(const OpPtr& op);
  void Prepare(const OpPtr& op);
  void WritePieces(const OpPtr& op);
  void WritePiece(const OpPtr& op, size_t i);
  void PiecesDone(const OpPtr& op);
  void CommitInOrder(Ino ino);
  void Commit(const OpPtr& op);
  static bool FindGroups(WriteOp& op);
  void SyncWritten(const OpPtr& op);
  void Relink(const OpPtr& op);
  void BeginAgain(const OpPtr& op);
  void AbortAppend(WriteOp& op);
  void LetGoOn(WriteOp& ended);

  ProtocolWorker& worker_;
  Settling settling_{worker_};
  UnsyncedData unsynced_;
  std::unordered_map<Ino, std::deque<OpPtr>> order_;  // writes not yet committed, as issued
  // Of an inode with writes that have not ended: theirs, and the turns of who waits for those before it. As
  // many as there are calls in flight.
  struct UnderWay {
    std::set<uint64_t> writes;
    std::map<uint64_t, std::function<void()>> waiting;
  };
  std::unordered_map<Ino, UnderWay> under_way_;
  uint64_t next_turn_ = 1;
};

}  // namespace kfs
