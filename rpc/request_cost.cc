#include "rpc/request_cost.h"

#include <algorithm>

#include "common/limits.h"
#include "proto/op_types.h"

namespace kfs {
namespace {

constexpr size_t kLittle = 512;  // of an answer with its frame and what keeps it

template <typename Request, typename Size>
size_t Asked(std::string_view body, Size size) {
  Request request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size()))) return kLittle;
  return size(request);
}

}  // namespace

size_t PayloadMax(const FrameHeader& header) {
  const bool reply = (header.flags & kFlagReply) != 0;
  switch (static_cast<Op>(header.op)) {
    case Op::kChunkWrite:
      return reply ? 0 : kFramePayloadMax;
    case Op::kImagePut:
      return reply ? 0 : kImagePiece;
    case Op::kChunkRead:
      return reply ? kFramePayloadMax : 0;
    case Op::kImageGet:
      return reply ? kImagePiece : 0;
    default:
      return 0;
  }
}

size_t AnswerMax(const FrameHeader& header, std::string_view body) {
  switch (static_cast<Op>(header.op)) {
    case Op::kChunkRead:
      return kLittle + Asked<pb::ChunkReadRequest>(body, [](const pb::ChunkReadRequest& r) {
               return std::min<size_t>(r.length(), kFramePayloadMax);
             });
    case Op::kReaddir:
      return kLittle + Asked<pb::ReaddirRequest>(body, [](const pb::ReaddirRequest& r) {
               return std::min<size_t>(r.max_bytes(), kReaddirBytesMax);
             });
    case Op::kImageGet:
      return kLittle + kImagePiece;
    case Op::kGetxattr:
      return kLittle + kXattrSizeMax;
    case Op::kListxattr:
      return kLittle + kXattrListMax;
    case Op::kReadlink:
      return kLittle + kSymlinkMax;
    default:
      return kLittle;
  }
}

}  // namespace kfs
