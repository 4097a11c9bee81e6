// Reading and writing by every call, at every kind of offset.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr off_t kChunk = 64 << 20;

class IoTest : public PosixTest {};

TEST_F(IoTest, SequentialWritesAndReadsMoveTheOffset) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(write(fd, "hello ", 6), 6);
  CHECK_EQ(write(fd, "world", 5), 5);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 11);
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  char buffer[32];
  CHECK_EQ(read(fd, buffer, 6), 6);
  CHECK_EQ(read(fd, buffer, sizeof buffer), 5);
  CHECK_EQ(std::string(buffer, 5), "world");
  CHECK_EQ(read(fd, buffer, sizeof buffer), 0);
  CHECK_EQ(write(fd, "", 0), 0);
  CHECK_EQ(read(fd, buffer, 0), 0);
}

TEST_F(IoTest, PreadAndPwriteLeaveTheOffset) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(fd, "abcdef", 6, 10), 6);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  CHECK_EQ(Fstat(fd).st_size, 16);
  CHECK_TRUE(IsZero(PreadAll(fd, 10, 0)));
  CHECK_EQ(PreadAll(fd, 100, 12), "cdef");
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
  char byte;
  CHECK_ERRNO(pread(fd, &byte, 1, -1), EINVAL);
  CHECK_ERRNO(pwrite(fd, &byte, 1, -1), EINVAL);
  CHECK_EQ(pread(fd, &byte, 1, 1000), 0);
}

TEST_F(IoTest, VectorsAreScatteredAndGathered) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  std::string parts[3] = {"one", "", "three"};
  iovec out[3];
  for (int i = 0; i < 3; ++i) out[i] = {parts[i].data(), parts[i].size()};
  CHECK_EQ(writev(fd, out, 3), 8);
  CHECK_EQ(pwritev(fd, out, 3, 8), 8);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
  char first[5], second[20];
  iovec in[2] = {{first, 5}, {second, 20}};
  CHECK_EQ(preadv(fd, in, 2, 0), 16);
  CHECK_EQ(std::string(first, 5) + std::string(second, 11), "onethreeonethree");
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(readv(fd, in, 2), 16);
  CHECK_EQ(preadv2(fd, in, 1, 3, 0), 5);
  CHECK_EQ(std::string(first, 5), "three");
  CHECK_EQ(pwritev2(fd, out, 1, 0, RWF_DSYNC), 3);
  volatile int negative = -1;
  CHECK_ERRNO(writev(fd, out, negative), EINVAL);
  CHECK_EQ(writev(fd, out, 0), 0);
}

TEST_F(IoTest, AppendFlagOfPwritev2AppendsOnce) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(fd, "abc", 3, 0), 3);
  iovec part = {const_cast<char*>("def"), 3};
  CHECK_EQ(pwritev2(fd, &part, 1, 0, RWF_APPEND), 3);
  CHECK_EQ(ReadFile("f"), "abcdef");
}

TEST_F(IoTest, BadDescriptorsAndBuffersAreNamed) {
  char byte;
  CHECK_ERRNO(read(-1, &byte, 1), EBADF);
  CHECK_ERRNO(write(9999, &byte, 1), EBADF);
  CHECK_ERRNO(close(9999), EBADF);
  CHECK_ERRNO(fsync(-1), EBADF);
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDWR);
  void* forbidden = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK_ERRNO(read(fd, forbidden, 1), EFAULT);
  CHECK_ERRNO(write(fd, forbidden, 1), EFAULT);
  CHECK_EQ(ReadFile("f"), "content");
}

TEST_F(IoTest, SizesAroundPagesAreExact) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  for (size_t size :
       {1u, 511u, 512u, 4095u, 4096u, 4097u, 16383u, 16384u, 16385u, 65536u, 131071u, 1048577u}) {
    std::string data = Pattern(size, static_cast<unsigned>(size));
    CHECK_OK(ftruncate(fd, 0));
    CHECK_EQ(pwrite(fd, data.data(), size, 0), size);
    CHECK_EQ(Fstat(fd).st_size, size);
    CHECK_TRUE(PreadAll(fd, size + 10, 0) == data);
  }
}

TEST_F(IoTest, OverlappingWritesLeaveTheLastBytes) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  std::string model;
  unsigned state = 7;
  for (int i = 0; i < 200; ++i) {
    state = state * 1664525 + 1013904223;
    size_t offset = (state >> 8) % 100000, size = 1 + (state >> 4) % 9000;
    std::string data = Pattern(size, state);
    if (model.size() < offset + size) model.resize(offset + size);
    model.replace(offset, size, data);
    CHECK_EQ(pwrite(fd, data.data(), size, static_cast<off_t>(offset)), size);
  }
  CHECK_EQ(Fstat(fd).st_size, model.size());
  CHECK_TRUE(PreadAll(fd, model.size(), 0) == model);
  CHECK_TRUE(ReadFile("f") == model);
}

TEST_F(IoTest, WritesAcrossTheChunkBorder) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  std::string data = Pattern(10000);
  for (off_t border : {kChunk, 2 * kChunk}) {
    CHECK_EQ(pwrite(fd, data.data(), data.size(), border - 5000), data.size());
    CHECK_EQ(Fstat(fd).st_size, border + 5000);
    CHECK_TRUE(PreadAll(fd, data.size(), border - 5000) == data);
    CHECK_TRUE(IsZero(PreadAll(fd, 5000, border - 10000)));
  }
  CHECK_OK(ftruncate(fd, kChunk + 1));
  CHECK_EQ(PreadAll(fd, 100, kChunk - 1), data.substr(4999, 2));
}

TEST_F(IoTest, OffsetsBeyondFourGibibytes) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  std::string data = Pattern(8192);
  for (off_t base : {off_t{1} << 31, off_t{1} << 32, off_t{5} << 32}) {
    CHECK_EQ(pwrite(fd, data.data(), data.size(), base - 4096), data.size());
    CHECK_EQ(Stat("f").st_size, base + 4096);
    CHECK_TRUE(PreadAll(fd, data.size(), base - 4096) == data);
  }
  CHECK_TRUE(IsZero(PreadAll(fd, 4096, off_t{3} << 32)));
  CHECK_LT(Fstat(fd).st_blocks, 2048);
  CHECK_EQ(lseek(fd, -4096, SEEK_END), off_t{5} << 32);
}

TEST_F(IoTest, SizeIsVisibleWhileTheFileIsOpenForWriting) {
  Fd fd = OpenOk("f", O_WRONLY | O_CREAT);
  Fd reader = OpenOk("f", O_RDONLY);
  off_t size = 0;
  for (int i = 0; i < 20; ++i) {
    std::string data = Pattern(5000, static_cast<unsigned>(i));
    CHECK_EQ(write(fd, data.data(), data.size()), data.size());
    size += 5000;
    CHECK_EQ(Stat("f").st_size, size);
    CHECK_TRUE(PreadAll(reader, 10000, size - 5000) == data);
  }
}

TEST_F(IoTest, AnotherProcessReadsWhatWasWrittenBeforeClose) {
  Fd fd = OpenOk("f", O_WRONLY | O_CREAT);
  CHECK_EQ(write(fd, "unclosed", 8), 8);
  Child child([] { return ReadFile("f") == "unclosed" ? 0 : 1; });
  CHECK_EQ(child.Wait(), 0);
}

TEST_F(IoTest, FileSizeLimitIsEfbig) {
  Child child([] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {10000, 10000};
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
    Fd fd = OpenOk("f", O_RDWR | O_CREAT);
    std::string data = Pattern(20000);
    CHECK_EQ(write(fd, data.data(), data.size()), 10000);
    CHECK_ERRNO(write(fd, "x", 1), EFBIG);
    CHECK_ERRNO(ftruncate(fd, 10001), EFBIG);
    CHECK_EQ(Fstat(fd).st_size, 10000);
    return 0;
  });
  CHECK_EQ(child.Wait(), 0);
}

TEST_F(IoTest, OffsetsBeyondTheEndOfTheWorldAreRefused) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_ERRNO(pwrite(fd, "x", 1, INT64_MAX), EFBIG, EINVAL);
  CHECK_ERRNO(ftruncate(fd, INT64_MAX), EFBIG, EINVAL, 0);
  CHECK_OK(ftruncate(fd, 0));
  char byte;
  CHECK_EQ(KFS_ERRNO_OF(pread(fd, &byte, 1, INT64_MAX - 10)), 0);
}

TEST_F(IoTest, ConcurrentWritersOfDisjointRangesLoseNothing) {
  constexpr int kWriters = 4, kBlock = 1000, kBlocks = 50;
  WriteFile("f", "");
  auto codes = RunTogether(kWriters, [](int index) {
    Fd fd = OpenOk("f", O_WRONLY);
    std::string block(kBlock, static_cast<char>('a' + index));
    for (int i = 0; i < kBlocks; ++i) {
      if (pwrite(fd, block.data(), kBlock, (i * kWriters + index) * kBlock) != kBlock) return 1;
    }
    return 0;
  });
  for (int code : codes) CHECK_EQ(code, 0);
  std::string content = ReadFile("f");
  CHECK_EQ(content.size(), kWriters * kBlock * kBlocks);
  size_t wrong = 0;
  for (size_t i = 0; i < content.size(); ++i)
    wrong += content[i] != static_cast<char>('a' + i / kBlock % kWriters);
  CHECK_EQ(wrong, 0);
}

}  // namespace
}  // namespace kfs::posix_test
