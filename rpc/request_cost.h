// What a request may make this end hold, told by its op: the bulk data that it may bring, and what its answer
// may be. Known before anything of it is read, or begun, so that whoever asks for much waits in the socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rpc/frame.h"

namespace kfs {

// Bytes of payload that a frame of this op may carry, request or answer; 0: none.
size_t PayloadMax(const FrameHeader& header);

// Bytes that the answer to a request may have at most, where that is more than a little; a small constant
// otherwise. `body`: of the request; what cannot be parsed is answered with an error.
size_t AnswerMax(const FrameHeader& header, std::string_view body);

}  // namespace kfs
