// FNV-1a, piece by piece: tells whether two runs did the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace kfs::sim {

constexpr uint64_t kHashSeed = 0xcbf29ce484222325ull;

inline uint64_t HashMore(uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}
inline uint64_t HashMore(uint64_t hash, uint64_t number) {
  for (int i = 0; i < 64; i += 8) hash = (hash ^ (number >> i & 0xff)) * 0x100000001b3ull;
  return hash;
}

}  // namespace kfs::sim
