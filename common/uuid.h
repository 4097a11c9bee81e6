// Random UUIDs (RFC 4122, version 4) as text.
#pragma once

#include <string>

namespace kfs {

// "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
std::string NewUuid();

}  // namespace kfs
