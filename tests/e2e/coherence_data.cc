// Bytes and sizes written on A are read on B at once: without close, without fsync, and after B has read (and
// may cache).

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coherence.h"

namespace kfs::coherence {
namespace {

off_t SizeOf(const Fd& fd) {
  struct stat s;
  return fstat(fd.get(), &s) == 0 ? s.st_size : -1;
}
off_t SizeOf(const std::string& path) {
  struct stat s;
  return stat(path.c_str(), &s) == 0 ? s.st_size : -1;
}

// One file, open for reading and writing on both.
struct Pair {
  explicit Pair(const Dirs& d) : a(d.a + "/f", O_RDWR | O_CREAT), b(d.b + "/f", O_RDWR) {}
  bool ok() const { return a.ok() && b.ok(); }
  Fd a;
  Fd b;
};

std::string WriteSeenByOpenReader(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok());
  EXPECT(Write(f.a, "hello"));
  EXPECT(ReadAt(f.b, 10, 0) == "hello");
  return "";
}
std::string WriteSeenByNewReader(const Dirs& d) {
  Fd a(d.a + "/f", O_RDWR | O_CREAT);
  EXPECT(a.ok() && Write(a, "hello"));
  EXPECT(HasContent(d.b + "/f", "hello"));
  return "";
}
std::string CloseToOpen(const Dirs& d) {
  for (int i = 0; i < 20; ++i) {
    std::string content(static_cast<size_t>(1000 * i + 1), static_cast<char>('a' + i));
    EXPECT(WriteFile(d.a + "/f", content));
    EXPECT(HasContent(d.b + "/f", content));
  }
  return "";
}
std::string OverwriteSeenAfterRead(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, std::string(20000, 'x')));
  EXPECT(ReadAt(f.b, 20000, 0) == std::string(20000, 'x'));
  EXPECT(WriteAt(f.a, "yyy", 9000));
  EXPECT(ReadAt(f.b, 5, 8999) == "xyyyx");
  return "";
}
std::string SizeSeenWithoutClose(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok());
  for (int i = 1; i <= 5; ++i) {
    EXPECT(Write(f.a, std::string(1000, 'x')));
    EXPECT(SizeOf(f.b) == 1000 * i && SizeOf(d.b + "/f") == 1000 * i);
  }
  return "";
}
std::string ReaderAtEndSeesMore(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok());
  char buffer[100];
  for (int i = 0; i < 10; ++i) {
    EXPECT(read(f.b.get(), buffer, sizeof buffer) == 0);
    EXPECT(Write(f.a, "line\n"));
    EXPECT(read(f.b.get(), buffer, sizeof buffer) == 5);
  }
  return "";
}
std::string TruncateDownSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, std::string(9000, 'x')));
  EXPECT(ReadAt(f.b, 9000, 0).size() == 9000);
  EXPECT(ftruncate(f.a.get(), 10) == 0);
  EXPECT(SizeOf(f.b) == 10 && ReadAt(f.b, 9000, 0) == std::string(10, 'x'));
  return "";
}
std::string TruncateUpSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, "abc"));
  EXPECT(ReadAt(f.b, 10, 0) == "abc");
  EXPECT(ftruncate(f.a.get(), 6) == 0);
  EXPECT(ReadAt(f.b, 10, 0) == std::string("abc\0\0\0", 6));
  return "";
}
std::string TruncatedBytesDoNotComeBack(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, std::string(8000, 'x')));
  EXPECT(ReadAt(f.b, 8000, 0).size() == 8000);
  EXPECT(ftruncate(f.a.get(), 100) == 0);
  EXPECT(WriteAt(f.b, "end", 7997));
  EXPECT(ReadAt(f.a, 8000, 0) == std::string(100, 'x') + std::string(7897, '\0') + "end");
  return "";
}
std::string OpenTruncateSeen(const Dirs& d) {
  EXPECT(WriteFile(d.a + "/f", "content"));
  Fd b(d.b + "/f", O_RDONLY);
  EXPECT(ReadAt(b, 10, 0) == "content");
  Fd a(d.a + "/f", O_WRONLY | O_TRUNC);
  EXPECT(a.ok());
  EXPECT(SizeOf(b) == 0 && ReadAt(b, 10, 0).empty());
  return "";
}
std::string HoleSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, "start") && WriteAt(f.a, "end", 100000));
  std::string got = ReadAt(f.b, 100003, 0);
  EXPECT(got == "start" + std::string(99995, '\0') + "end");
  return "";
}
std::string PunchedHoleSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, std::string(12288, 'x')));
  EXPECT(ReadAt(f.b, 12288, 0) == std::string(12288, 'x'));
  EXPECT(fallocate(f.a.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) == 0);
  EXPECT(ReadAt(f.b, 12288, 0) == std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
  return "";
}
std::string AllocatedSizeSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && fallocate(f.a.get(), 0, 0, 5000) == 0);
  EXPECT(SizeOf(f.b) == 5000 && ReadAt(f.b, 6000, 0) == std::string(5000, '\0'));
  return "";
}
std::string CopyRangeSeen(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, "0123456789"));
  Fd to(d.a + "/g", O_RDWR | O_CREAT);
  off64_t from_at = 2, to_at = 0;
  EXPECT(copy_file_range(f.a.get(), &from_at, to.get(), &to_at, 5, 0) == 5);
  EXPECT(HasContent(d.b + "/g", "23456"));
  return "";
}
std::string LargeWriteSeen(const Dirs& d) {
  std::string content(8 << 20, '\0');
  for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 + (i >> 12));
  EXPECT(WriteFile(d.a + "/f", content));
  EXPECT(HasContent(d.b + "/f", content));
  return "";
}
std::string AppendAfterOthersAppend(const Dirs& d) {
  Fd a(d.a + "/f", O_WRONLY | O_CREAT | O_APPEND), b(d.b + "/f", O_WRONLY | O_APPEND);
  EXPECT(a.ok() && b.ok());
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    EXPECT(Write(a, "from a\n") && Write(b, "and from b\n"));
    expected += "from a\nand from b\n";
  }
  EXPECT(HasContent(d.a + "/f", expected) && HasContent(d.b + "/f", expected));
  return "";
}
std::string WritesInOneBlockBothStay(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok());
  std::string expected;
  for (int i = 0; i < 64; ++i) {
    std::string piece(100, static_cast<char>('0' + i % 64));
    EXPECT(WriteAt(i % 2 == 0 ? f.a : f.b, piece, 100 * i));
    expected += piece;
  }
  EXPECT(ReadAt(f.a, 10000, 0) == expected && ReadAt(f.b, 10000, 0) == expected);
  return "";
}
std::string CrossingChunks(const Dirs& d) {
  constexpr off_t kChunk = 64 << 20;
  Pair f(d);
  EXPECT(f.ok() && WriteAt(f.a, "left|right", kChunk - 5));
  EXPECT(ReadAt(f.b, 10, kChunk - 5) == "left|right");
  EXPECT(WriteAt(f.b, "LEFT", kChunk - 5) && ReadAt(f.a, 10, kChunk - 5) == "LEFT|right");
  return "";
}
std::string TimeOfWriteSeen(const Dirs& d) {
  Pair f(d);
  struct stat before, own, other;
  EXPECT(f.ok() && fstat(f.b.get(), &before) == 0);
  EXPECT(Write(f.a, "x"));
  EXPECT(fstat(f.a.get(), &own) == 0 && stat((d.b + "/f").c_str(), &other) == 0);
  EXPECT(own.st_mtim.tv_sec == other.st_mtim.tv_sec && own.st_mtim.tv_nsec == other.st_mtim.tv_nsec);
  EXPECT(other.st_mtim.tv_sec != before.st_mtim.tv_sec || other.st_mtim.tv_nsec >= before.st_mtim.tv_nsec);
  return "";
}
std::string SyncedElsewhere(const Dirs& d) {
  Pair f(d);
  EXPECT(f.ok() && Write(f.a, "data"));
  EXPECT(fsync(f.b.get()) == 0);  // must cover the other mount's write as well
  EXPECT(ReadAt(f.b, 10, 0) == "data");
  return "";
}

}  // namespace

std::vector<Case> DataCases() {
  return {
      {"a write is seen by an open reader", WriteSeenByOpenReader},
      {"a write is seen by a new reader", WriteSeenByNewReader},
      {"close to open", CloseToOpen},
      {"an overwrite is seen after a read", OverwriteSeenAfterRead},
      {"the size is seen without close", SizeSeenWithoutClose},
      {"a reader at the end sees more", ReaderAtEndSeesMore},
      {"truncate down is seen", TruncateDownSeen},
      {"truncate up is seen", TruncateUpSeen},
      {"truncated bytes do not come back", TruncatedBytesDoNotComeBack},
      {"O_TRUNC is seen", OpenTruncateSeen},
      {"a hole is seen", HoleSeen},
      {"a punched hole is seen", PunchedHoleSeen},
      {"fallocate's size is seen", AllocatedSizeSeen},
      {"copy_file_range is seen", CopyRangeSeen},
      {"8 MiB are seen exactly", LargeWriteSeen},
      {"O_APPEND goes behind the other's append", AppendAfterOthersAppend},
      {"writes of both in one block stay", WritesInOneBlockBothStay},
      {"a write across two chunks is seen", CrossingChunks},
      {"mtime of a write is seen", TimeOfWriteSeen},
      {"fsync after the other's write", SyncedElsewhere},
  };
}

}  // namespace kfs::coherence
