// Keys of the metaserver's databases. Big-endian numbers, so that byte order is numeric order.
// docs/metadata-format.md describes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/types.h"

namespace kfs::meta {

// A key made in place, without allocation (the longest is a name or xattr name of 255 bytes).
class Key {
 public:
  explicit Key(char prefix) { buf_[size_++] = prefix; }
  Key& U64(uint64_t v) {
    for (int shift = 56; shift >= 0; shift -= 8) buf_[size_++] = static_cast<char>(v >> shift);
    return *this;
  }
  Key& U32(uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) buf_[size_++] = static_cast<char>(v >> shift);
    return *this;
  }
  Key& Text(std::string_view s) {
    s.copy(buf_ + size_, s.size());
    size_ += s.size();
    return *this;
  }
  std::string_view view() const { return {buf_, size_}; }
  std::string str() const { return std::string(view()); }
  operator std::string_view() const { return view(); }  // NOLINT: a key is its bytes

 private:
  char buf_[1 + 8 + 8 + 256];
  size_t size_ = 0;
};

// Reads the number at `pos` of a key. REQUIRES: it is there.
inline uint64_t KeyU64(std::string_view key, size_t pos) {
  uint64_t v = 0;
  for (size_t i = 0; i < 8; ++i) v = v << 8 | static_cast<unsigned char>(key[pos + i]);
  return v;
}
inline uint32_t KeyU32(std::string_view key, size_t pos) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(key[pos + i]);
  return v;
}

inline Key FormatKey() { return Key('F'); }
inline Key CountersKey() { return Key('N'); }

// Volume.
inline Key InodeKey(Ino ino) { return Key('I').U64(ino.v); }
inline Key DentryKey(Ino parent, std::string_view name) { return Key('D').U64(parent.v).Text(name); }
inline Key CookieKey(Ino parent, uint64_t cookie) { return Key('C').U64(parent.v).U64(cookie); }
inline Key CookiePrefix(Ino parent) { return Key('C').U64(parent.v); }
inline Key XattrKey(Ino ino, std::string_view name) { return Key('X').U64(ino.v).Text(name); }
inline Key XattrPrefix(Ino ino) { return Key('X').U64(ino.v); }
inline Key ChunkKey(Ino ino, uint32_t index) { return Key('K').U64(ino.v).U32(index); }
inline Key ChunkPrefix(Ino ino) { return Key('K').U64(ino.v); }
inline Key OwnerKey(ChunkId chunk) { return Key('R').U64(chunk.v); }
inline Key SessionKey(SessionId session) { return Key('S').U64(session.v); }
inline Key ReplyKey(SessionId session, uint64_t op_id) { return Key('A').U64(session.v).U64(op_id); }
inline Key ReplyPrefix(SessionId session) { return Key('A').U64(session.v); }
inline Key OrphanKey(Ino ino) { return Key('O').U64(ino.v); }
inline Key TrimKey(Ino ino) { return Key('T').U64(ino.v); }
inline Key MutationKey(ChunkId chunk, ChunkVersion to) { return Key('M').U64(chunk.v).U64(to.v); }
inline Key GarbageKey(ServerId server, ChunkId chunk) { return Key('G').U64(server.v).U64(chunk.v); }
inline Key GarbagePrefix(ServerId server) { return Key('G').U64(server.v); }

inline Key StampKey() { return Key('V'); }
inline Key AppliedKey() { return Key('L'); }

// Cluster.
inline Key MemberKey() { return Key('M'); }
inline Key GenerationKey(uint64_t generation) { return Key('G').U64(generation); }
inline Key GenerationPrefix() { return Key('G'); }
inline Key VolumeKey(VolumeId volume) { return Key('V').U32(volume.v); }
inline Key ChunkserverKey(ServerId server) { return Key('H').U64(server.v); }

}  // namespace kfs::meta
