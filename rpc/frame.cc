#include "rpc/frame.h"

#include <endian.h>
#include <fmt/format.h>

#include <cstring>

#include "common/crc32c.h"
#include "common/limits.h"

namespace kfs {
namespace {

// Header, 32 bytes: magic 4, op 2, flags 2, seq 8, body size 4, payload size 4, body crc 4, trace id 4.
constexpr size_t kFlagsOffset = 6, kSeqOffset = 8, kTraceOffset = 28;

template <typename T>
void Put(char* out, T v) {
  std::memcpy(out, &v, sizeof(v));
}
template <typename T>
T Get(const char* in) {
  T v;
  std::memcpy(&v, in, sizeof(v));
  return v;
}

}  // namespace

void EncodeHeader(const FrameHeader& h, char* out) {
  Put<uint32_t>(out, htole32(kFrameMagic));
  Put<uint16_t>(out + 4, htole16(h.op));
  Put<uint16_t>(out + kFlagsOffset, htole16(h.flags));
  Put<uint64_t>(out + kSeqOffset, htole64(h.seq));
  Put<uint32_t>(out + 16, htole32(h.body_size));
  Put<uint32_t>(out + 20, htole32(h.payload_size));
  Put<uint32_t>(out + 24, htole32(h.body_crc));
  Put<uint32_t>(out + kTraceOffset, htole32(h.trace));
}

Result<FrameHeader> DecodeHeader(const char* in) {
  if (uint32_t magic = le32toh(Get<uint32_t>(in)); magic != kFrameMagic) {
    return Malformed(fmt::format("not a KFS frame (magic {:08x})", magic));
  }
  FrameHeader h;
  h.op = le16toh(Get<uint16_t>(in + 4));
  h.flags = le16toh(Get<uint16_t>(in + kFlagsOffset));
  h.seq = le64toh(Get<uint64_t>(in + kSeqOffset));
  h.body_size = le32toh(Get<uint32_t>(in + 16));
  h.payload_size = le32toh(Get<uint32_t>(in + 20));
  h.body_crc = le32toh(Get<uint32_t>(in + 24));
  h.trace = le32toh(Get<uint32_t>(in + kTraceOffset));
  if ((h.flags & ~kFlagsKnown) != 0) return Malformed(fmt::format("unknown frame flags {:04x}", h.flags));
  if ((h.flags & kFlagError) != 0 && (h.flags & kFlagReply) == 0)
    return Malformed("an error that answers nothing");
  if (h.seq == 0) return Malformed("sequence number 0");
  if (h.body_size > kFrameBodyMax) return Malformed(fmt::format("frame body of {} bytes", h.body_size));
  if (h.payload_size > kFramePayloadMax)
    return Malformed(fmt::format("frame payload of {} bytes", h.payload_size));
  if ((h.flags & kFlagLogged) != 0 && h.trace == 0) return Malformed("a frame of no call is to be logged");
  return h;
}

Result<std::string> EncodeFrame(Op op, uint16_t flags, uint64_t seq,
                                const google::protobuf::MessageLite& message, size_t payload_size) {
  const size_t body_size = message.ByteSizeLong();
  if (body_size > kFrameBodyMax)
    return Status(EMSGSIZE, fmt::format("a message of {} KiB, of {} that one may have", body_size >> 10,
                                        kFrameBodyMax >> 10));
  std::string frame;
  frame.resize(kFrameHeaderSize + body_size);
  char* body = frame.data() + kFrameHeaderSize;
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(body));
  EncodeHeader({.op = static_cast<uint16_t>(op),
                .flags = flags,
                .seq = seq,
                .body_size = static_cast<uint32_t>(body_size),
                .payload_size = static_cast<uint32_t>(payload_size),
                .body_crc = Crc32c(body, body_size)},
               frame.data());
  return frame;
}

void SetFrameSeq(std::string& frame, uint64_t seq) { Put<uint64_t>(frame.data() + kSeqOffset, htole64(seq)); }

void SetFrameTrace(std::string& frame, Trace trace) {
  const uint16_t flags = le16toh(Get<uint16_t>(frame.data() + kFlagsOffset)) & ~kFlagLogged;
  const bool logged = trace.logged && trace.id != 0;
  Put<uint16_t>(frame.data() + kFlagsOffset,
                htole16(static_cast<uint16_t>(flags | (logged ? kFlagLogged : 0))));
  Put<uint32_t>(frame.data() + kTraceOffset, htole32(trace.id));
}

}  // namespace kfs
