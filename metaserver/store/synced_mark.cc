#include "metaserver/store/synced_mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "common/crc32c.h"

namespace kfs::meta {
namespace {

constexpr char kName[] = "/SYNCED";  // no name of RocksDB's
constexpr size_t kSize = 32;

// "0000000000001234 89abcdef\n": the number, and its checksum.
std::string Text(uint64_t sequence) {
  const std::string number = fmt::format("{:020}", sequence);
  return fmt::format("{} {:08x}\n", number, Crc32c(number.data(), number.size()));
}

}  // namespace

SyncedMark::SyncedMark(const std::string& db_path)
    : fd_(open((db_path + kName).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  char text[kSize] = {};
  if (fd_ < 0 || pread(fd_, text, kSize - 1, 0) <= 0) return;
  uint64_t sequence = 0;
  std::from_chars(text, text + std::strlen(text), sequence);
  if (Text(sequence) == text) sequence_ = sequence;
}

SyncedMark::~SyncedMark() {
  if (fd_ >= 0) close(fd_);
}

void SyncedMark::Note(uint64_t sequence, bool last) {
  const MonoTime now = std::chrono::steady_clock::now();
  if (fd_ < 0 || sequence <= sequence_ || (!last && now - written_ < kEvery)) return;
  const std::string text = Text(sequence);
  // A full disk, perhaps: the older note stays true.
  if (pwrite(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return;
  sequence_ = sequence;
  written_ = now;
}

void SyncedMark::Remove(const std::string& db_path) { (void)unlink((db_path + kName).c_str()); }

}  // namespace kfs::meta
