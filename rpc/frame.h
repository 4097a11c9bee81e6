// The frame: a fixed little-endian header, a protobuf body, a raw payload. docs/protocol.md draws it.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/status.h"
#include "proto/ops.h"

namespace google::protobuf {
class MessageLite;
}

namespace kfs {

constexpr uint32_t kFrameMagic = 0x3153464b;  // "KFS1" as it lies in memory
constexpr size_t kFrameHeaderSize = 32;
constexpr uint32_t kProtocolVersion = 1;

enum FrameFlags : uint16_t {
  kFlagReply = 1,   // answers the request of the same sequence number sent the other way
  kFlagError = 2,   // with kFlagReply: the body is an ErrorReply
  kFlagLogged = 4,  // of a request with a trace id: whoever serves it logs that it did
};
constexpr uint16_t kFlagsKnown = kFlagReply | kFlagError | kFlagLogged;

// What a program says in its greeting that it understands beyond version 1: bits of HelloRequest.features and
// HelloReply.features. What both have said holds on the connection.
constexpr uint32_t kFeatureTrace = 1;  // frames may have a trace id
constexpr uint32_t kFeatureLanes = 2;  // a session may have several connections (proto/lanes.h)
constexpr uint32_t kFeatures = kFeatureTrace | kFeatureLanes;

// Of which call of a program a request is a part: the same number in all requests of the call, to whichever
// servers, and in all log lines about them (trace=0000beef). Random enough to be looked for with grep.
struct Trace {
  uint32_t id = 0;      // 0: of no call
  bool logged = false;  // kFlagLogged
};

struct FrameHeader {
  uint16_t op = 0;
  uint16_t flags = 0;
  uint64_t seq = 0;  // chosen by the requester; never 0
  uint32_t body_size = 0;
  uint32_t payload_size = 0;
  uint32_t body_crc = 0;
  uint32_t trace = 0;  // Trace::id; 0 where the peer has not said kFeatureTrace
};

// Writes kFrameHeaderSize bytes.
void EncodeHeader(const FrameHeader& header, char* out);

// Reads and checks: magic, known flags, sequence number, limits (not the op, nor whether a trace was agreed
// on). An error means that nothing after it on the connection can be understood. REQUIRES: `in` has
// kFrameHeaderSize bytes.
Result<FrameHeader> DecodeHeader(const char* in);

// Header and serialized message, ready to be sent before `payload_size` bytes of payload. EMSGSIZE, and nothing
// is serialized: its body is larger than a peer reads; sent, it would end the connection.
Result<std::string> EncodeFrame(Op op, uint16_t flags, uint64_t seq,
                                const google::protobuf::MessageLite& message, size_t payload_size);

// What a peer is told that does not keep to the protocol.
inline Status Malformed(std::string why) { return Status(EPROTO, Code::kMalformed, std::move(why)); }

// The same frame under another sequence number (resend on another connection).
void SetFrameSeq(std::string& frame, uint64_t seq);
// With this trace instead of the one it has.
void SetFrameTrace(std::string& frame, Trace trace);

}  // namespace kfs
