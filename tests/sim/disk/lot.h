// What is drawn by lot, the same on every machine and with every library for one seed (SplitMix64).
#pragma once

#include <cstdint>

namespace kfs::sim {

class Lot {
 public:
  explicit Lot(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // 0 to below-1. REQUIRES: below > 0.
  uint64_t Below(uint64_t below) { return Next() % below; }
  bool Coin() { return (Next() & 1) != 0; }
  // True `in` times out of 10,000.
  bool InTenThousand(uint32_t in) { return in != 0 && Below(10000) < in; }

 private:
  uint64_t state_;
};

}  // namespace kfs::sim
