// SHA-256 of what comes in pieces. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace kfs {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void Add(std::string_view bytes);
  std::string Finish();  // 32 bytes. REQUIRES: once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs
