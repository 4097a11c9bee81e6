// Texts that people type and that others must be able to read: protobuf's strings are UTF-8 or nothing.
#pragma once

#include <string>
#include <string_view>

namespace kfs {

bool IsUtf8(std::string_view text);
// UTF-8 that can be shown in a line: no control characters.
bool IsLine(std::string_view text);

// At most `max` bytes of it, whole characters; what is cut off shows as "...".
std::string CutText(std::string_view text, size_t max);
// The same, with '?' for control characters and quotes: for logs, where it stands between quotes.
std::string Printable(std::string_view text, size_t max);

}  // namespace kfs
