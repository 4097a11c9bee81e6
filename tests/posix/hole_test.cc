// Sparse files: SEEK_HOLE, SEEK_DATA and every mode of fallocate(2) of P1.
// Data is synced before it is looked for, because file systems with delayed allocation may say "hole" until
// then.
#include <linux/falloc.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr off_t kPage = 4096;
constexpr off_t kMiB = 1 << 20;

class HoleTest : public PosixTest {
 protected:
  // A file of four MiB of data.
  Fd FullFile() {
    data_ = Pattern(4 * kMiB);
    WriteFile("f", data_);
    Fd fd = OpenOk("f", O_RDWR);
    CHECK_OK(fsync(fd));
    return fd;
  }
  bool ContentIs(int fd, const std::string& wanted) { return PreadAll(fd, wanted.size() + 1, 0) == wanted; }
  std::string data_;
};

TEST_F(HoleTest, DataAmongHolesIsFoundExactly) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(ftruncate(fd, 16 * kMiB));
  std::string page = Pattern(kPage);
  for (off_t at : {1 * kMiB, 5 * kMiB, 9 * kMiB}) CHECK_EQ(pwrite(fd, page.data(), kPage, at), kPage);
  CHECK_OK(fsync(fd));
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1 * kMiB);
  CHECK_EQ(lseek(fd, 1 * kMiB, SEEK_DATA), 1 * kMiB);
  CHECK_EQ(lseek(fd, 1 * kMiB + 10, SEEK_DATA), 1 * kMiB + 10);
  CHECK_EQ(lseek(fd, 1 * kMiB, SEEK_HOLE), 1 * kMiB + kPage);
  CHECK_EQ(lseek(fd, 1 * kMiB + kPage, SEEK_DATA), 5 * kMiB);
  CHECK_EQ(lseek(fd, 6 * kMiB, SEEK_DATA), 9 * kMiB);
  CHECK_EQ(lseek(fd, 9 * kMiB, SEEK_HOLE), 9 * kMiB + kPage);
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
  CHECK_EQ(lseek(fd, 6 * kMiB + 3, SEEK_HOLE), 6 * kMiB + 3);
  CHECK_ERRNO(lseek(fd, 10 * kMiB, SEEK_DATA), ENXIO);
}

TEST_F(HoleTest, SeekMovesTheOffset) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(fd, "data", 4, kMiB), 4);
  CHECK_OK(fsync(fd));
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), kMiB);
  char buffer[4];
  CHECK_EQ(read(fd, buffer, 4), 4);
  CHECK_EQ(std::string(buffer, 4), "data");
}

TEST_F(HoleTest, EndOfFileIsAHoleAndBeyondItIsEnxio) {
  WriteFile("f", "0123456789");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(fsync(fd));
  CHECK_EQ(lseek(fd, 0, SEEK_DATA), 0);
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 10);
  CHECK_EQ(lseek(fd, 9, SEEK_HOLE), 10);
  CHECK_ERRNO(lseek(fd, 10, SEEK_DATA), ENXIO);
  CHECK_ERRNO(lseek(fd, 10, SEEK_HOLE), ENXIO);
  CHECK_ERRNO(lseek(fd, 11, SEEK_HOLE), ENXIO);
  CHECK_ERRNO(lseek(fd, -1, SEEK_DATA), ENXIO, EINVAL);
  CHECK_OK(ftruncate(fd, 0));
  CHECK_ERRNO(lseek(fd, 0, SEEK_DATA), ENXIO);
  CHECK_ERRNO(lseek(fd, 0, SEEK_HOLE), ENXIO);
}

TEST_F(HoleTest, AllocateGrowsTheFileWithZeros) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(fallocate(fd, 0, 0, kMiB));
  CHECK_EQ(Fstat(fd).st_size, kMiB);
  CHECK_EQ(PreadAll(fd, 3, 0), "abc");
  CHECK_TRUE(IsZero(PreadAll(fd, kMiB, 3)));
  CHECK_OK(fallocate(fd, 0, 2 * kMiB, 100));
  CHECK_EQ(Fstat(fd).st_size, 2 * kMiB + 100);
  CHECK_OK(fallocate(fd, 0, 0, 10));  // within the file: nothing changes
  CHECK_EQ(Fstat(fd).st_size, 2 * kMiB + 100);
  CHECK_EQ(PreadAll(fd, 3, 0), "abc");
  CHECK_EQ(posix_fallocate(fd, 3 * kMiB, 1), 0);
  CHECK_EQ(Fstat(fd).st_size, 3 * kMiB + 1);
}

TEST_F(HoleTest, AllocateKeepSizeKeepsTheSize) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, kMiB));
  CHECK_EQ(Fstat(fd).st_size, 3);
  CHECK_EQ(ReadFile("f"), "abc");
  CHECK_OK(ftruncate(fd, 1000));
  CHECK_TRUE(IsZero(PreadAll(fd, 997, 3)));
}

TEST_F(HoleTest, PunchHoleZeroesExactlyItsRange) {
  Fd fd = FullFile();
  struct Range {
    off_t offset, length;
  };
  for (Range r : {Range{kMiB, kMiB}, Range{100, 50}, Range{kPage - 10, 20}, Range{3 * kMiB + 7, 3 * kPage},
                  Range{4 * kMiB - 5, 5}}) {
    CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r.offset, r.length));
    data_.replace(static_cast<size_t>(r.offset), static_cast<size_t>(r.length), static_cast<size_t>(r.length),
                  '\0');
    CHECK_TRUE(ContentIs(fd, data_));
  }
  CHECK_EQ(Fstat(fd).st_size, 4 * kMiB);
  CHECK_OK(fsync(fd));
  CHECK_EQ(lseek(fd, 0, SEEK_HOLE), kMiB);
  CHECK_EQ(lseek(fd, kMiB, SEEK_DATA), 2 * kMiB);
}

TEST_F(HoleTest, PunchedSpaceIsGivenBack) {
  Fd fd = FullFile();
  blkcnt_t before = Fstat(fd).st_blocks;
  CHECK_GE(before, 4 * kMiB / 512);
  CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kMiB, 2 * kMiB));
  CHECK_OK(fsync(fd));
  CHECK_LE(Fstat(fd).st_blocks, before - 2 * kMiB / 512 + 64);
}

TEST_F(HoleTest, PunchHoleBeyondTheEndChangesNothing) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 1000));
  CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1, 1000));
  CHECK_EQ(ReadFile("f"), std::string("a\0\0", 3));
}

TEST_F(HoleTest, HoleCanBeWrittenAgain) {
  Fd fd = FullFile();
  CHECK_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * kMiB));
  CHECK_EQ(pwrite(fd, "back", 4, 2 * kMiB + 100), 4);
  CHECK_EQ(PreadAll(fd, 4, 2 * kMiB + 100), "back");
  CHECK_TRUE(IsZero(PreadAll(fd, 2 * kMiB + 100, 0)));
  CHECK_TRUE(IsZero(PreadAll(fd, kPage, 2 * kMiB + 104)));
}

TEST_F(HoleTest, ZeroRangeZeroesExactlyItsRange) {
  Fd fd = FullFile();
  if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, kPage) != 0 && errno == EOPNOTSUPP) {
    GTEST_SKIP() << "FALLOC_FL_ZERO_RANGE is not supported here";
  }
  data_.replace(0, kPage, kPage, '\0');
  CHECK_TRUE(ContentIs(fd, data_));
  CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, kMiB + 10, 2 * kPage));
  data_.replace(kMiB + 10, 2 * kPage, 2 * kPage, '\0');
  CHECK_TRUE(ContentIs(fd, data_));
  CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 4 * kMiB - 100, kMiB));
  data_.replace(4 * kMiB - 100, 100, 100, '\0');
  CHECK_EQ(Fstat(fd).st_size, 4 * kMiB);
  CHECK_TRUE(ContentIs(fd, data_));
  CHECK_OK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 4 * kMiB - 100, kMiB));
  CHECK_EQ(Fstat(fd).st_size, 5 * kMiB - 100);
  data_.resize(5 * kMiB - 100);
  CHECK_TRUE(ContentIs(fd, data_));
}

TEST_F(HoleTest, FallocateRefusals) {
  WriteFile("f", "abc");
  CHECK_OK(mkfifo("p", 0644));
  Fd fd = OpenOk("f", O_RDWR), reader = OpenOk("f", O_RDONLY), directory = OpenOk(".", O_RDONLY);
  Fd fifo = OpenOk("p", O_RDWR);
  CHECK_ERRNO(fallocate(fd, 0, -1, 10), EINVAL);
  CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
  CHECK_ERRNO(fallocate(fd, 0, 0, -1), EINVAL);
  CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP, EINVAL);  // needs KEEP_SIZE
  CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 10),
              EOPNOTSUPP, EINVAL);
  CHECK_ERRNO(fallocate(fd, 0x8000, 0, 10), EOPNOTSUPP, EINVAL);
  CHECK_ERRNO(fallocate(fd, 0, INT64_MAX - 10, 100), EFBIG);
  CHECK_ERRNO(fallocate(reader, 0, 0, 10), EBADF);
  CHECK_ERRNO(fallocate(directory, 0, 0, 10), EBADF, EISDIR, ENODEV);
  CHECK_ERRNO(fallocate(fifo, 0, 0, 10), ESPIPE);
  CHECK_ERRNO(fallocate(-1, 0, 0, 10), EBADF);
  CHECK_EQ(ReadFile("f"), "abc");
}

}  // namespace
}  // namespace kfs::posix_test
