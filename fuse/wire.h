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

// FUSE_STATX begins with the arguments of FUSE_GETATTR: libfuse gets that, and the handler answers what
// Message::shown_for says. Asked for only when a program wants the birth time. The kernel takes the basic
// fields and the birth time of the answer, and leaves `attributes` (6.18).
constexpr uint32_t kStatx = 52;
struct StatxTime {
  int64_t sec;
  uint32_t nsec;
  int32_t reserved;
};
struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec, flags;
  uint64_t spare[2];
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare0;
  uint64_t ino, size, blocks, attributes_mask;
  StatxTime atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t spare2[14];
};
static_assert(sizeof(StatxOut) == 288);
bool RewriteStatx(Message& message);

// FORGET and BATCH_FORGET; counts that do not fit into the message are ignored.
void ForEachForget(const Message& message, const std::function<void(uint64_t nodeid, uint64_t nlookup)>& fn);

// The request that an INTERRUPT is about.
std::optional<uint64_t> InterruptedUnique(const Message& message);

}  // namespace kfs::fuse
