// A frame header, then the body as the message that its op and flags say, for every op of the table.
#include <string>

#include "common/limits.h"
#include "proto/common.pb.h"
#include "proto/op_types.h"
#include "rpc/frame.h"
#include "tests/fuzz/fuzz.h"

namespace {

// What is accepted must survive being written and read again.
template <typename Message>
void ParseBody(std::string_view body) {
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
  const std::string written = message.SerializeAsString();
  Message again;
  FUZZ_CHECK(again.ParseFromString(written));
  FUZZ_CHECK(again.ByteSizeLong() == message.ByteSizeLong());
  (void)message.ShortDebugString();
}

void ParseBodyOf(const kfs::FrameHeader& header, std::string_view body) {
  if ((header.flags & kfs::kFlagError) != 0) return ParseBody<kfs::pb::ErrorReply>(body);
  const bool reply = (header.flags & kfs::kFlagReply) != 0;
  switch (static_cast<kfs::Op>(header.op)) {
#define KFS_OP(number, name, ...) \
  case kfs::Op::k##name:          \
    return reply ? ParseBody<kfs::rpc::name::Reply>(body) : ParseBody<kfs::rpc::name::Request>(body);
    KFS_OPS(KFS_OP)
#undef KFS_OP
  }
  FUZZ_CHECK(kfs::FindOp(header.op) == nullptr);
}

}  // namespace

// Protobuf's complaints about each bad field would drown everything else.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kfs::kFrameHeaderSize) return 0;
  const char* bytes = reinterpret_cast<const char*>(data);
  kfs::Result<kfs::FrameHeader> header = kfs::DecodeHeader(bytes);
  if (!header.ok()) {
    FUZZ_CHECK(header.status().code() == kfs::Code::kMalformed);
    return 0;
  }
  FUZZ_CHECK(header->body_size <= kfs::kFrameBodyMax && header->payload_size <= kfs::kFramePayloadMax);
  FUZZ_CHECK(header->seq != 0);
  char again[kfs::kFrameHeaderSize];
  kfs::EncodeHeader(*header, again);
  FUZZ_CHECK(std::string_view(again, sizeof(again)) == std::string_view(bytes, sizeof(again)));
  ParseBodyOf(*header, {bytes + kfs::kFrameHeaderSize, size - kfs::kFrameHeaderSize});
  return 0;
}
