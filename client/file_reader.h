// Reads: the layout first, each time (so that every read sees what others were told is done, P2), then the
// chunks in parallel; what is not written reads as zeros without asking anyone; the result is cut at the size
// that came with the layout. No state of its own; worker's thread only.
#pragma once

#include "client/data_ops.h"

namespace kfs {

class FileReader {
 public:
  static void Start(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op);

 private:
  static void OnLayout(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op,
                       const pb::LayoutReply& layout);
  static void ReadPiece(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op, size_t i);
  static void PiecesDone(ProtocolWorker& worker, const std::shared_ptr<ReadOp>& op);
};

}  // namespace kfs
