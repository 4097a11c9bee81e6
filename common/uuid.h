// Random UUIDs (RFC 4122, version 4) as text.
#pragma once

#include <string>
#include <string_view>

#include "common/entropy.h"

namespace kfs {

// "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
std::string NewUuid(Entropy& entropy);
// Whether it is written like one, in small letters.
bool IsUuid(std::string_view text);

}  // namespace kfs
