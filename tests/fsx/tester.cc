#include "tester.h"

#include <fcntl.h>
#include <linux/falloc.h>
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

namespace kfs::fsx {
namespace {

// copy_file_range cuts at the size that the kernel last saw, which another mount may have changed since.
void LookAtSize(int fd) {
  struct stat seen;
  (void)fstat(fd, &seen);
}

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunk = 64 << 20;         // KFS splits files here
constexpr uint64_t kVerifyMargin = 64 << 10;  // of the hole below the window, read by a full check

uint64_t AlignDown(uint64_t value) { return value & ~(kPage - 1); }
uint64_t AlignUp(uint64_t value) { return AlignDown(value + kPage - 1); }

bool Missing(int result) {
  return result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ENODEV);
}

}  // namespace

uint32_t ProbeFeatures(const std::string& dir, const Options& options) {
  std::string path = dir + "/fsx.probe";
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || ftruncate(fd, 4 * kPage) != 0) {
    std::fprintf(stderr, "kfs-fsx: cannot make a file in %s: %s\n", dir.c_str(), std::strerror(errno));
    std::exit(1);
  }
  uint32_t found = 0;
  bool complete = true;
  auto note = [&](uint32_t feature, bool missing, const char* name) {
    if (!missing) found |= feature;
    if (missing)
      std::fprintf(stderr, "kfs-fsx: %s is not supported in %s: %s\n", name, dir.c_str(),
                   std::strerror(errno));
    complete &= !missing;
  };
  note(kPunchHole, Missing(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kPage)),
       "punch hole");
  note(kZeroRange, Missing(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, kPage)), "zero range");
  note(kKeepSize, Missing(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kPage)), "fallocate keep-size");
  note(kAllocate, Missing(fallocate(fd, 0, 0, kPage)), "fallocate");
  off64_t from = 0, to = static_cast<off64_t>(2 * kPage);
  note(kCopyRange, Missing(static_cast<int>(copy_file_range(fd, &from, fd, &to, kPage, 0))),
       "copy_file_range");
  int direct = open(path.c_str(), O_RDWR | O_DIRECT);
  note(kDirect, Missing(direct), "O_DIRECT");
  if (direct >= 0) close(direct);
  note(kSeekData, Missing(static_cast<int>(lseek(fd, 0, SEEK_HOLE))), "SEEK_HOLE");
  if (options.mmap) {
    void* map = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    note(kMap, map == MAP_FAILED, "a shared writable mmap");
    if (map != MAP_FAILED) munmap(map, kPage);
  }
  close(fd);
  unlink(path.c_str());
  if (options.strict && !complete) std::exit(1);
  return found;
}

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

// ---- operations

void Tester::Pread() {
  Range r = RandomRange();
  if (Random(8) == 0 && options_.base_bytes > 0)
    r.offset = Random(options_.base_bytes);  // the hole below the window
  shared_.log().Append("p%u f%u pread         offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  PreadAndCompare(r.offset, r.length, "pread");
}

void Tester::Read() {
  Range r = RandomRange();
  shared_.log().Append("p%u f%u read          offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  if (lseek(handle().fd, static_cast<off_t>(r.offset), SEEK_SET) < 0) Fail("lseek: %s", std::strerror(errno));
  ssize_t n = read(handle().fd, buffer_, r.length);
  if (n < 0) Fail("read: %s", std::strerror(errno));
  uint64_t expected = model().ReadLength(r.offset, r.length);
  if (static_cast<uint64_t>(n) != expected) Fail("read: expected %" PRIu64 " bytes, got %zd", expected, n);
  Compare(r.offset, buffer_, expected, "read");
}

void Tester::Write() {
  Range r = RandomRange();
  shared_.log().Append("p%u f%u write         offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  FillBuffer(r.length);
  if (lseek(handle().fd, static_cast<off_t>(r.offset), SEEK_SET) < 0) Fail("lseek: %s", std::strerror(errno));
  ssize_t n = write(handle().fd, buffer_, r.length);
  if (n != static_cast<ssize_t>(r.length)) Fail("write: returned %zd (%s)", n, std::strerror(errno));
  model().Write(r.offset, buffer_, r.length);
}

void Tester::Pwrite() {
  Range r = RandomRange();
  shared_.log().Append("p%u f%u pwrite        offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  FillBuffer(r.length);
  ssize_t n = pwrite(handle().fd, buffer_, r.length, static_cast<off_t>(r.offset));
  if (n != static_cast<ssize_t>(r.length)) Fail("pwrite: returned %zd (%s)", n, std::strerror(errno));
  model().Write(r.offset, buffer_, r.length);
}

void Tester::Append() {
  Model m = model();
  uint64_t room = m.size() >= m.base() && m.size() < m.end() ? m.end() - m.size() : 0;
  if (room == 0) return TruncateAny();
  uint64_t length = 1 + Random(std::min<uint64_t>(room, 3 * kPage));
  shared_.log().Append("p%u f%u append        offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       m.size(), length);
  FillBuffer(length);
  ssize_t n = write(handle().append_fd, buffer_, length);
  if (n != static_cast<ssize_t>(length)) Fail("append: returned %zd (%s)", n, std::strerror(errno));
  off_t position = lseek(handle().append_fd, 0, SEEK_CUR);
  m.Write(m.size(), buffer_, length);
  // With several mounts the kernel reckons the position from the size that it last saw; the data is at the
  // end all the same.
  if (position != static_cast<off_t>(m.size()) && options_.dirs.size() == 1)
    Fail("append: position %jd afterwards, not %" PRIu64, intmax_t{position}, m.size());
}

void Tester::MapRead() {
  Range r = RandomRangeWithinSize();
  if (r.length == 0) return Pwrite();
  bool persistent = Random(2) == 0;
  shared_.log().Append("p%u f%u mmap read     offset=%" PRIu64 " length=%" PRIu64 "%s", process_, current_,
                       r.offset, r.length, persistent ? " kept mapping" : "");
  uint64_t start = AlignDown(r.offset);
  Range pages{start, AlignUp(r.offset + r.length) - start};
  uint8_t* map = Mapped(pages, persistent);
  Compare(r.offset, map + (r.offset - start), r.length, "mmap read");
  if (!persistent) munmap(map, pages.length);
}

void Tester::MapWrite() {
  Range r = RandomRangeWithinSize();
  if (r.length == 0) return Pwrite();
  bool persistent = Random(2) == 0;
  bool sync = Random(2) == 0;
  shared_.log().Append("p%u f%u mmap write    offset=%" PRIu64 " length=%" PRIu64 "%s%s", process_, current_,
                       r.offset, r.length, persistent ? " kept mapping" : "", sync ? " msync" : "");
  FillBuffer(r.length);
  uint64_t start = AlignDown(r.offset);
  Range pages{start, AlignUp(r.offset + r.length) - start};
  uint8_t* map = Mapped(pages, persistent);
  std::memcpy(map + (r.offset - start), buffer_, r.length);
  // Elsewhere a mapping's writes are seen after msync at the latest.
  if ((sync || options_.dirs.size() > 1) && msync(map, pages.length, MS_SYNC) != 0)
    Fail("msync: %s", std::strerror(errno));
  if (!persistent && munmap(map, pages.length) != 0) Fail("munmap: %s", std::strerror(errno));
  model().Write(r.offset, buffer_, r.length);
}

void Tester::TruncateAny() {
  Model m = model();
  uint64_t size = RandomOffset() + Random(2);
  if (Random(10) == 0) size = 0;
  if (Random(20) == 0 && m.base() > 0) size = Random(m.base());
  shared_.log().Append("p%u f%u truncate      from=%" PRIu64 " to=%" PRIu64, process_, current_, m.size(),
                       size);
  int result = Random(2) == 0 ? ftruncate(handle().fd, static_cast<off_t>(size))
                              : truncate(Path(current_).c_str(), static_cast<off_t>(size));
  if (result != 0) Fail("truncate: %s", std::strerror(errno));
  m.Truncate(size);
}

void Tester::TruncateDown() {
  Model m = model();
  if (m.size() <= m.base()) return Pwrite();
  uint64_t size = m.base() + Random(m.size() - m.base());
  shared_.log().Append("p%u f%u truncate down from=%" PRIu64 " to=%" PRIu64, process_, current_, m.size(),
                       size);
  if (ftruncate(handle().fd, static_cast<off_t>(size)) != 0) Fail("ftruncate: %s", std::strerror(errno));
  m.Truncate(size);
}

void Tester::DoFallocate(const char* name, int mode, Range r) {
  shared_.log().Append("p%u f%u %-13s offset=%" PRIu64 " length=%" PRIu64 " mode=%#x", process_, current_,
                       name, r.offset, r.length, static_cast<unsigned>(mode));
  if (fallocate(handle().fd, mode, static_cast<off_t>(r.offset), static_cast<off_t>(r.length)) != 0) {
    Fail("%s: %s", name, std::strerror(errno));
  }
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) model().Zero(r.offset, r.length);
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0) model().Grow(r.offset + r.length);
}

void Tester::PunchHole() {
  DoFallocate("punch hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, RandomRange());
}
void Tester::ZeroRange() {
  DoFallocate("zero range", FALLOC_FL_ZERO_RANGE | (Random(2) == 0 ? FALLOC_FL_KEEP_SIZE : 0), RandomRange());
}
void Tester::Allocate() { DoFallocate("fallocate", 0, RandomRange()); }
void Tester::AllocateKeepSize() { DoFallocate("falloc keep", FALLOC_FL_KEEP_SIZE, RandomRange()); }

void Tester::CopyRange() {
  Range from = RandomRangeWithinSize();
  uint64_t to = RandomOffset();
  from.length = std::min(from.length, model().end() - to);
  bool overlap = from.offset < to + from.length && to < from.offset + from.length;
  if (from.length == 0 || overlap) return Pread();
  shared_.log().Append("p%u f%u copy_range    from=%" PRIu64 " to=%" PRIu64 " length=%" PRIu64, process_,
                       current_, from.offset, to, from.length);
  LookAtSize(handle().fd);
  for (uint64_t done = 0; done < from.length;) {
    off64_t in = static_cast<off64_t>(from.offset + done), out = static_cast<off64_t>(to + done);
    ssize_t n = copy_file_range(handle().fd, &in, handle().fd, &out, from.length - done, 0);
    if (n <= 0) Fail("copy_file_range: returned %zd (%s)", n, std::strerror(errno));
    done += static_cast<uint64_t>(n);
  }
  for (uint64_t i = 0; i < from.length; ++i) buffer_[i] = model().At(from.offset + i);
  model().Write(to, buffer_, from.length);
}

void Tester::CopyBetween() {
  if (options_.files < 2) return;
  uint32_t source = current_,
           target = static_cast<uint32_t>((current_ + 1 + Random(options_.files - 1)) % options_.files);
  FileLock first(shared_.file(std::min(source, target)));
  FileLock second(shared_.file(std::max(source, target)));
  Refresh(source);
  Refresh(target);
  Range from = RandomRangeWithinSize();
  uint64_t to = RandomOffset();
  from.length = std::min(from.length, model().end() - to);
  if (from.length == 0) return;
  shared_.log().Append("p%u f%u copy_range    from=%" PRIu64 " into f%u to=%" PRIu64 " length=%" PRIu64,
                       process_, source, from.offset, target, to, from.length);
  LookAtSize(handles_[source].fd);
  for (uint64_t done = 0; done < from.length;) {
    off64_t in = static_cast<off64_t>(from.offset + done), out = static_cast<off64_t>(to + done);
    ssize_t n = copy_file_range(handles_[source].fd, &in, handles_[target].fd, &out, from.length - done, 0);
    if (n <= 0) Fail("copy_file_range: returned %zd (%s)", n, std::strerror(errno));
    done += static_cast<uint64_t>(n);
  }
  for (uint64_t i = 0; i < from.length; ++i) buffer_[i] = model().At(from.offset + i);
  current_ = target;
  model().Write(to, buffer_, from.length);
  PreadAndCompare(to, from.length, "copy_file_range");
  CheckSize();
}

// A hole must read as zero, and ENXIO is right at and after the end only. (Where exactly a file system puts
// the border is its own affair.)
void Tester::SeekDataHole() {
  Model m = model();
  uint64_t offset = RandomOffset();
  shared_.log().Append("p%u f%u seek          offset=%" PRIu64, process_, current_, offset);
  off_t data = lseek(handle().fd, static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0 && errno != ENXIO) Fail("SEEK_DATA: %s", std::strerror(errno));
  if (data >= 0 && (static_cast<uint64_t>(data) < offset || static_cast<uint64_t>(data) >= m.size())) {
    Fail("SEEK_DATA from %" PRIu64 " returned %jd, size %" PRIu64, offset, intmax_t{data}, m.size());
  }
  uint64_t hole_end = data < 0 ? m.size() : static_cast<uint64_t>(data);
  if (auto at = m.FirstNonZero(offset, hole_end))
    Fail("SEEK_DATA from %" PRIu64 " skipped data at %" PRIu64, offset, *at);
  off_t hole = lseek(handle().fd, static_cast<off_t>(offset), SEEK_HOLE);
  if (offset >= m.size()) {
    if (hole >= 0 || errno != ENXIO)
      Fail("SEEK_HOLE from %" PRIu64 " past the size %" PRIu64 " returned %jd", offset, m.size(),
           intmax_t{hole});
    return;
  }
  if (hole < 0) Fail("SEEK_HOLE from %" PRIu64 ": %s", offset, std::strerror(errno));
  uint64_t begin = static_cast<uint64_t>(hole);
  if (begin < offset || begin > m.size())
    Fail("SEEK_HOLE from %" PRIu64 " returned %" PRIu64 ", size %" PRIu64, offset, begin, m.size());
  if (begin < m.size() && m.At(begin) != 0)
    Fail("SEEK_HOLE returned %" PRIu64 ", where there is data", begin);
}

void Tester::DirectRead() {
  Range r = RandomRange();
  r.offset = AlignDown(r.offset);
  r.length = std::min(AlignUp(r.length), model().end() - r.offset);
  shared_.log().Append("p%u f%u direct read   offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  ssize_t n = pread(DirectFd(), buffer_, r.length, static_cast<off_t>(r.offset));
  if (n < 0) Fail("O_DIRECT pread: %s", std::strerror(errno));
  uint64_t expected = model().ReadLength(r.offset, r.length);
  if (static_cast<uint64_t>(n) != expected)
    Fail("O_DIRECT pread: expected %" PRIu64 " bytes, got %zd", expected, n);
  Compare(r.offset, buffer_, expected, "O_DIRECT pread");
}

void Tester::DirectWrite() {
  Range r = RandomRange();
  r.offset = AlignDown(r.offset);
  r.length = std::min(AlignUp(r.length), model().end() - r.offset);
  shared_.log().Append("p%u f%u direct write  offset=%" PRIu64 " length=%" PRIu64, process_, current_,
                       r.offset, r.length);
  FillBuffer(r.length);
  ssize_t n = pwrite(DirectFd(), buffer_, r.length, static_cast<off_t>(r.offset));
  if (n != static_cast<ssize_t>(r.length))
    Fail("O_DIRECT pwrite: returned %zd (%s)", n, std::strerror(errno));
  model().Write(r.offset, buffer_, r.length);
}

void Tester::Sync() {
  bool data_only = Random(2) == 0;
  shared_.log().Append("p%u f%u %s", process_, current_, data_only ? "fdatasync" : "fsync");
  if ((data_only ? fdatasync(handle().fd) : fsync(handle().fd)) != 0) Fail("fsync: %s", std::strerror(errno));
}

void Tester::Reopen() {
  int flags = Random(8) == 0 ? O_DSYNC : 0;
  shared_.log().Append("p%u f%u close, open%s", process_, current_, flags == O_DSYNC ? " O_DSYNC" : "");
  CloseHandle(current_);
  OpenHandle(current_, flags);
}

void Tester::Rename() {
  std::string path = Path(current_), other = path + ".moved";
  shared_.log().Append("p%u f%u rename        there and back", process_, current_);
  if (rename(path.c_str(), other.c_str()) != 0) Fail("rename: %s", std::strerror(errno));
  if (access(path.c_str(), F_OK) == 0 || errno != ENOENT) Fail("the old name is there after rename");
  Pread();
  if (rename(other.c_str(), path.c_str()) != 0) Fail("rename back: %s", std::strerror(errno));
}

void Tester::UnlinkWhileOpen() {
  shared_.log().Append("p%u f%u unlink        and go on", process_, current_);
  if (unlink(Path(current_).c_str()) != 0) Fail("unlink: %s", std::strerror(errno));
  for (uint64_t left = 1 + Random(4); left > 0; --left) Random(2) == 0 ? Pwrite() : Pread();
  struct stat status = {};
  if (fstat(handle().fd, &status) != 0) Fail("fstat of the unlinked file: %s", std::strerror(errno));
  if (status.st_nlink != 0) Fail("unlinked file has %ju links", uintmax_t{status.st_nlink});
  Verify();
  CloseHandle(current_);
  ++shared_.file(current_).generation;
  model().Truncate(0);
  shared_.log().Append("p%u f%u create        anew", process_, current_);
  OpenHandle(current_, O_CREAT | O_EXCL);
}

void Tester::Verify() {
  Model m = model();
  shared_.log().Append("p%u f%u verify        size=%" PRIu64, process_, current_, m.size());
  uint64_t begin = m.base() > kVerifyMargin ? m.base() - kVerifyMargin : 0;
  PreadAndCompare(begin, m.end() - begin, "verify");
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
