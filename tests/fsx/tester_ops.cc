// The operations. Each runs on the file system and on the model, and compares.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "geometry.h"
#include "tester.h"

namespace kfs::fsx {
namespace {

// copy_file_range cuts at the size that the kernel last saw, which another mount may have changed since.
void LookAtSize(int fd) {
  struct stat seen;
  (void)fstat(fd, &seen);
}

}  // namespace

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

}  // namespace kfs::fsx
