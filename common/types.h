// Ids, versions and times that look alike as numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace kfs {

// A number that cannot be mistaken for another kind of number. Converts explicitly only.
template <typename Tag, typename Rep = uint64_t>
struct Id {
  Rep v = 0;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : v(value) {}
  constexpr auto operator<=>(const Id&) const = default;
  constexpr explicit operator bool() const { return v != 0; }
};

using Ino = Id<struct InoTag>;  // inode number, never used again within a volume; 1 is the root
using VolumeId = Id<struct VolumeTag, uint32_t>;  // never used again within a cluster
using ChunkId = Id<struct ChunkTag>;              // never used again within a volume
using ChunkVersion =
    Id<struct ChunkVersionTag>;           // 1 at allocation; rises with every change that is not a write
using SessionId = Id<struct SessionTag>;  // one mount; never used again
using ServerId = Id<struct ServerTag>;    // a chunkserver, as the metaserver numbers it

constexpr Ino kRootIno{1};
constexpr ChunkVersion kFirstChunkVersion{1};

// Nanoseconds since the epoch, as the metaserver stamps them.
using TimeNs = int64_t;

}  // namespace kfs

template <typename Tag, typename Rep>
struct std::hash<kfs::Id<Tag, Rep>> {
  size_t operator()(const kfs::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>()(id.v); }
};
