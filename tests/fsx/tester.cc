#include "tester.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "geometry.h"

namespace kfs::fsx {

const std::vector<Tester::OpKind>& Tester::Kinds() {
  static const std::vector<OpKind> kKinds = {
      {"read", 6, kAlways, &Tester::Read},
      {"pread", 14, kAlways, &Tester::Pread},
      {"write", 6, kAlways, &Tester::Write},
      {"pwrite", 14, kAlways, &Tester::Pwrite},
      {"append", 6, kAlways, &Tester::Append},
      {"mmap read", 10, kMap, &Tester::MapRead},
      {"mmap write", 10, kMap, &Tester::MapWrite},
      {"truncate", 5, kAlways, &Tester::TruncateAny},
      {"truncate down", 4, kAlways, &Tester::TruncateDown},
      {"punch hole", 5, kPunchHole, &Tester::PunchHole},
      {"zero range", 5, kZeroRange, &Tester::ZeroRange},
      {"fallocate", 2, kAllocate, &Tester::Allocate},
      {"fallocate keep-size", 2, kKeepSize, &Tester::AllocateKeepSize},
      {"copy_file_range", 4, kCopyRange, &Tester::CopyRange},
      {"copy_file_range between files", 3, kCopyRange, &Tester::CopyBetween},
      {"SEEK_DATA/SEEK_HOLE", 4, kSeekData, &Tester::SeekDataHole},
      {"O_DIRECT read", 3, kDirect, &Tester::DirectRead},
      {"O_DIRECT write", 3, kDirect, &Tester::DirectWrite},
      {"fsync", 3, kAlways, &Tester::Sync},
      {"close and open", 4, kAlways, &Tester::Reopen},
      {"rename", 1, kAlways, &Tester::Rename},
      {"unlink while open", 1, kAlways, &Tester::UnlinkWhileOpen},
      {"verify all", 2, kAlways, &Tester::Verify},
  };
  return kKinds;
}

Tester::Tester(const Options& options, SharedState& shared, uint32_t process, uint32_t features)
    : options_(options),
      shared_(shared),
      process_(process),
      features_(features),
      dir_(options.dirs[process % options.dirs.size()]),
      random_(options.seed * 1000003 + process),
      handles_(options.files),
      counts_(Kinds().size()),
      buffer_(static_cast<uint8_t*>(std::aligned_alloc(kPage, options.max_size_bytes + kVerifyMargin))) {}

Tester::~Tester() {
  for (uint32_t i = 0; i < handles_.size(); ++i) CloseHandle(i);
  std::free(buffer_);
}

void Tester::Run() {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options_.seconds);
  std::vector<uint32_t> deck;  // kinds, each as often as its weight
  for (uint32_t k = 0; k < Kinds().size(); ++k) {
    if ((Kinds()[k].needs & ~features_) == 0) deck.insert(deck.end(), Kinds()[k].weight, k);
  }
  for (uint64_t i = 0; i < options_.ops; ++i) {
    if (options_.seconds != 0 && std::chrono::steady_clock::now() >= end) break;
    uint32_t kind = deck[Random(deck.size())];
    current_ = static_cast<uint32_t>(Random(options_.files));
    ++counts_[kind];
    Step(Kinds()[kind]);
  }
  for (current_ = 0; current_ < options_.files; ++current_) {
    FileLock lock(shared_.file(current_));
    Refresh(current_);
    Verify();
  }
}

void Tester::Step(const OpKind& kind) {
  if (kind.run == &Tester::CopyBetween) return CopyBetween();
  FileLock lock(shared_.file(current_));
  Refresh(current_);
  (this->*kind.run)();
  CheckSize();
}

// ---- comparisons

void Tester::CheckSize() {
  struct stat by_fd = {}, by_path = {};
  if (fstat(handle().fd, &by_fd) != 0) Fail("fstat: %s", std::strerror(errno));
  if (static_cast<uint64_t>(by_fd.st_size) != model().size()) {
    Fail("fstat: expected size %" PRIu64 ", got %jd", model().size(), intmax_t{by_fd.st_size});
  }
  if (by_fd.st_nlink == 0 || Random(4) != 0) return;
  if (stat(Path(current_).c_str(), &by_path) != 0) Fail("stat: %s", std::strerror(errno));
  if (by_path.st_size != by_fd.st_size || by_path.st_ino != by_fd.st_ino) {
    Fail("stat: expected size %jd of inode %ju, got %jd of %ju", intmax_t{by_fd.st_size},
         uintmax_t{by_fd.st_ino}, intmax_t{by_path.st_size}, uintmax_t{by_path.st_ino});
  }
}

void Tester::PreadAndCompare(uint64_t offset, uint64_t length, const char* what) {
  uint64_t expected = model().ReadLength(offset, length);
  ssize_t n = pread(handle().fd, buffer_, length, static_cast<off_t>(offset));
  if (n < 0) Fail("%s: %s", what, std::strerror(errno));
  if (static_cast<uint64_t>(n) != expected) {
    Fail("%s at %" PRIu64 ": expected %" PRIu64 " bytes, got %zd", what, offset, expected, n);
  }
  Compare(offset, buffer_, expected, what);
}

void Tester::Compare(uint64_t offset, const uint8_t* got, uint64_t length, const char* what) {
  std::optional<uint64_t> at = model().Difference(offset, got, length);
  if (!at) return;
  uint64_t wrong = 0;
  for (uint64_t i = *at - offset; i < length; ++i) wrong += got[i] != model().At(offset + i) ? 1 : 0;
  char expected_text[64] = "", got_text[64] = "";
  for (uint64_t i = 0; i < 16 && *at + i < offset + length; ++i) {
    std::snprintf(expected_text + 3 * i, 4, " %02x", model().At(*at + i));
    std::snprintf(got_text + 3 * i, 4, " %02x", got[*at - offset + i]);
  }
  Fail("%s: differs at offset %" PRIu64 " (%#" PRIx64 "), %" PRIu64
       " bytes wrong from there\n  expected%s\n  got     %s",
       what, *at, *at, wrong, expected_text, got_text);
}

void Tester::Fail(const char* format, ...) {
  std::fprintf(stderr, "kfs-fsx: DIFFERENCE in %s, process %u, model size %" PRIu64 ":\n  ",
               Path(current_).c_str(), process_, model().size());
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputs("\n", stderr);
  shared_.log().Print(stderr);
  std::fprintf(stderr, "kfs-fsx: seed %" PRIu64 "; repeat with: kfs-fsx %s\n", options_.seed,
               Describe(options_).c_str());
  std::fflush(stderr);
  _exit(1);
}

// ---- descriptors and mappings

std::string Tester::Path(uint32_t index) const { return dir_ + "/fsx." + std::to_string(index); }

void Tester::Refresh(uint32_t index) {
  Handle& h = handles_[index];
  if (h.fd >= 0 && h.generation == shared_.file(index).generation) return;
  CloseHandle(index);
  bool first =
      shared_.file(index).generation == 0;  // whoever comes first makes the file, and the model is empty
  if (first) ++shared_.file(index).generation;
  OpenHandle(index, first ? O_CREAT | O_TRUNC : 0);
}

void Tester::OpenHandle(uint32_t index, int extra_flags) {
  Handle& h = handles_[index];
  h.fd = open(Path(index).c_str(), O_RDWR | extra_flags, 0644);
  if (h.fd < 0) Fail("open: %s", std::strerror(errno));
  h.append_fd = open(Path(index).c_str(), O_WRONLY | O_APPEND);
  if (h.append_fd < 0) Fail("open for appending: %s", std::strerror(errno));
  h.generation = shared_.file(index).generation;
}

void Tester::CloseHandle(uint32_t index) {
  Handle& h = handles_[index];
  if (h.mapping != nullptr) munmap(h.mapping, h.mapping_bytes);
  for (int fd : {h.fd, h.append_fd, h.direct_fd}) {
    if (fd >= 0 && close(fd) != 0) Fail("close: %s", std::strerror(errno));
  }
  h = Handle{};
}

int Tester::DirectFd() {
  int& fd = handle().direct_fd;
  if (fd < 0) fd = open(Path(current_).c_str(), O_RDWR | O_DIRECT);
  if (fd < 0) Fail("open with O_DIRECT: %s", std::strerror(errno));
  return fd;
}

uint8_t* Tester::Mapped(Range pages, bool persistent) {
  Handle& h = handle();
  Range wanted = persistent ? Range{options_.base_bytes, options_.max_size_bytes} : pages;
  if (!persistent || h.mapping == nullptr) {
    void* map = mmap(nullptr, wanted.length, PROT_READ | PROT_WRITE, MAP_SHARED, h.fd,
                     static_cast<off_t>(wanted.offset));
    if (map == MAP_FAILED) Fail("mmap: %s", std::strerror(errno));
    if (!persistent) return static_cast<uint8_t*>(map);
    h.mapping = static_cast<uint8_t*>(map);
    h.mapping_bytes = wanted.length;
  }
  return h.mapping + (pages.offset - wanted.offset);
}

// ---- random choices

// A third of the offsets lie within a few bytes of a page's or a chunk's border.
uint64_t Tester::RandomOffset() {
  uint64_t base = options_.base_bytes, size = options_.max_size_bytes;
  uint64_t offset = base + Random(size);
  if (Random(3) == 0) {
    uint64_t border = AlignDown(offset);
    uint64_t chunk = (base / kChunk + 1) * kChunk;
    if (chunk < base + size && Random(2) == 0) border = chunk;
    offset = border + Random(17) - 8;
  }
  return std::clamp(offset, base, base + size - 1);
}

Tester::Range Tester::RandomRange() {
  uint64_t offset = RandomOffset();
  uint64_t room = options_.base_bytes + options_.max_size_bytes - offset;
  constexpr uint64_t kBounds[] = {16, kPage, 4 * kPage, 64 << 10, UINT64_MAX};
  uint64_t bound = std::min(room, kBounds[Random(std::size(kBounds))]);
  uint64_t length = Random(4) == 0 ? std::min(room, AlignUp(1 + Random(bound))) : 1 + Random(bound);
  return {offset, length};
}

Tester::Range Tester::RandomRangeWithinSize() {
  Range r = RandomRange();
  Model m = model();
  if (m.size() <= m.base()) return {m.base(), 0};
  if (r.offset >= m.size()) r.offset = m.base() + Random(m.size() - m.base());
  return {r.offset, std::min(r.length, std::min(m.size(), m.end()) - r.offset)};
}

void Tester::FillBuffer(uint64_t length) {
  uint64_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word = random_() | 0x0101010101010101;  // no zero byte: lost data never looks like a hole
    std::memcpy(buffer_ + i, &word, 8);
  }
  for (; i < length; ++i) buffer_[i] = static_cast<uint8_t>(random_() | 1);
}

}  // namespace kfs::fsx
