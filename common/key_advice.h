// What a person is to do whose key, or root secret, a server has refused: the second line of the error. Who
// has a key is never told to fetch the root secret: it opens everything. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/credentials.h"

namespace kfs {

struct RefusedKey {
  enum class Use { kMount, kAdmin } use = Use::kMount;
  Credentials shown;
  std::string file;    // that it was read from
  std::string volume;  // to be mounted
  std::string words;   // of the refusal
};

std::string AdviceFor(const RefusedKey& refused);
// The same of what is in `refused.file`.
std::string AdviceForFile(RefusedKey refused);

}  // namespace kfs
