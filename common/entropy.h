// Randomness is handed in, as time is: a simulation that runs again must draw the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace kfs {

class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void Fill(char* to, size_t size) = 0;

  std::string Bytes(size_t size) {
    std::string bytes(size, '\0');
    Fill(bytes.data(), size);
    return bytes;
  }
  // A seed for what draws by itself, a number that others shall not guess.
  uint64_t Next() {
    uint64_t number = 0;
    Fill(reinterpret_cast<char*>(&number), sizeof(number));
    return number;
  }
};

// The system's source, good for keys. Thread-safe.
class SystemEntropy : public Entropy {
 public:
  void Fill(char* to, size_t size) override;
};

// That source, for programs' mains and tests; what runs on a loop takes the loop's.
Entropy& SystemRandom();

}  // namespace kfs
