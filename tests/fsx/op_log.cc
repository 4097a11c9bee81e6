#include "op_log.h"

#include <cinttypes>
#include <cstdarg>

namespace kfs::fsx {

void OpLog::Append(const char* format, ...) {
  std::array<char, kLineBytes>& line = lines_[next_.fetch_add(1) % kEntries];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
}

void OpLog::Print(FILE* out) const {
  uint64_t end = next_.load();
  uint64_t begin = end > kPrinted ? end - kPrinted : 0;
  std::fprintf(out, "last %" PRIu64 " operations, the newest at the end:\n", end - begin);
  for (uint64_t i = begin; i < end; ++i)
    std::fprintf(out, "  %8" PRIu64 "  %s\n", i, lines_[i % kEntries].data());
}

}  // namespace kfs::fsx
