// What libfuse 3.14 does not know of the kernel's protocol, as pure functions on the bytes of messages.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "fuse/transport.h"

namespace kfs::fuse {

// INIT flags newer than the headers we compile against (bit numbers of the 64-bit flag word).
constexpr uint64_t kInitExt = 1ull << 30;
constexpr uint64_t kHandleKillprivV2 = 1ull << 28;
constexpr uint64_t kDirectIoAllowMmap = 1ull << 36;
// What we ask for beyond libfuse, where the kernel offers it; docs/fuse.md says why.
constexpr uint64_t kInitWanted = kHandleKillprivV2 | kDirectIoAllowMmap;

// The flags that an INIT request offers.
uint64_t OfferedFlags(const Message& init);

// Adds `wanted & offered` to an INIT reply: `reply` begins with the fuse_out_header. Errors and replies too
// short for the flags are left alone.
void PatchInitReply(uint64_t offered, uint64_t wanted, char* reply, size_t size);

// FUSE_TMPFILE has the arguments of FUSE_CREATE and the name "/", which no real name contains: libfuse gets a
// CREATE, and the handler tells the two apart by kTmpfileName.
constexpr std::string_view kTmpfileName = "/";
bool RewriteTmpfile(Message& message);

// FORGET and BATCH_FORGET; counts that do not fit into the message are ignored.
void ForEachForget(const Message& message, const std::function<void(uint64_t nodeid, uint64_t nlookup)>& fn);

// The request that an INTERRUPT is about.
std::optional<uint64_t> InterruptedUnique(const Message& message);

}  // namespace kfs::fuse
