#include "fuse/wire.h"

#include <cstring>

namespace kfs::fuse {
namespace {

template <typename T>
bool ReadAt(const Message& message, size_t offset, T* out) {
  if (message.size < sizeof(fuse_in_header) || message.body_size() < offset + sizeof(T)) return false;
  std::memcpy(out, message.body() + offset, sizeof(T));
  return true;
}

}  // namespace

uint64_t OfferedFlags(const Message& init) {
  uint32_t flags = 0, flags2 = 0;
  if (!ReadAt(init, offsetof(fuse_init_in, flags), &flags)) return 0;
  if ((flags & kInitExt) != 0) ReadAt(init, offsetof(fuse_init_in, flags2), &flags2);
  return flags | (uint64_t{flags2} << 32);
}

void PatchInitReply(uint64_t offered, uint64_t wanted, char* reply, size_t size) {
  fuse_out_header header;
  constexpr size_t kFlagsEnd = sizeof header + offsetof(fuse_init_out, flags2) + sizeof(uint32_t);
  if (size < kFlagsEnd) return;
  std::memcpy(&header, reply, sizeof header);
  if (header.error != 0) return;
  uint64_t add = offered & wanted;
  if (add == 0) return;
  if ((add >> 32) != 0) {
    // The upper word counts only together with INIT_EXT, which must have been offered too.
    if ((offered & kInitExt) == 0)
      add &= UINT32_MAX;
    else
      add |= kInitExt;
  }
  char* out = reply + sizeof header;
  const auto or_in = [out](size_t offset, uint32_t bits) {
    uint32_t v;
    std::memcpy(&v, out + offset, sizeof v);
    v |= bits;
    std::memcpy(out + offset, &v, sizeof v);
  };
  or_in(offsetof(fuse_init_out, flags), static_cast<uint32_t>(add));
  or_in(offsetof(fuse_init_out, flags2), static_cast<uint32_t>(add >> 32));
}

bool RewriteTmpfile(Message& message) {
  if (message.size < sizeof(fuse_in_header) || message.header().opcode != FUSE_TMPFILE) return false;
  const size_t name_at = sizeof(fuse_create_in);
  // Whatever name a kernel gives it, the handler sees kTmpfileName.
  if (message.body_size() < name_at + kTmpfileName.size() + 1) return false;
  std::memcpy(message.body() + name_at, kTmpfileName.data(), kTmpfileName.size());
  message.body()[name_at + kTmpfileName.size()] = '\0';
  message.header().opcode = FUSE_CREATE;
  return true;
}

bool RewriteStatx(Message& message) {
  if (message.size < sizeof(fuse_in_header) || message.header().opcode != kStatx) return false;
  if (message.body_size() < sizeof(fuse_getattr_in)) return false;
  message.header().opcode = FUSE_GETATTR;
  message.shown_for = kStatx;
  return true;
}

void ForEachForget(const Message& message, const std::function<void(uint64_t, uint64_t)>& fn) {
  if (message.size < sizeof(fuse_in_header)) return;
  if (message.header().opcode == FUSE_FORGET) {
    fuse_forget_in in;
    if (ReadAt(message, 0, &in)) fn(message.header().nodeid, in.nlookup);
    return;
  }
  fuse_batch_forget_in batch;
  if (!ReadAt(message, 0, &batch)) return;
  for (uint32_t i = 0; i < batch.count; ++i) {
    fuse_forget_one one;
    if (!ReadAt(message, sizeof batch + i * sizeof one, &one)) return;
    fn(one.nodeid, one.nlookup);
  }
}

std::optional<uint64_t> InterruptedUnique(const Message& message) {
  fuse_interrupt_in in;
  if (!ReadAt(message, 0, &in)) return std::nullopt;
  return in.unique;
}

}  // namespace kfs::fuse
