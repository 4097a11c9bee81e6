#include "cli/waiting.h"

#include <unistd.h>

#include <cstdio>

namespace kfs::cli {

void Waiting::Say(const std::string& words) {
  if (words == said_) return;
  said_ = words;
  std::fprintf(stderr, "kfs: waiting for %s\n", words.c_str());
}

void Progress::Tell(const std::string& how_far) {
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  if (now - began_ < Waiting::kSayAfter) return;
  if (told_ != MonoTime() &&
      now - told_ < (terminal ? Duration(std::chrono::milliseconds(200)) : std::chrono::seconds(10)))
    return;
  told_ = now;
  open_line_ = terminal;
  std::fprintf(stderr, terminal ? "\r\033[K%s: %s" : "%s: %s\n", what_.c_str(), how_far.c_str());
}

Progress::~Progress() {
  if (open_line_) std::fputs("\r\033[K", stderr);
}

}  // namespace kfs::cli
