// lseek(2): positions and refusals. SEEK_HOLE and SEEK_DATA are in hole_test.cc.
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class LseekTest : public PosixTest {};

TEST_F(LseekTest, SetCurAndEnd) {
  WriteFile("f", "0123456789");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_EQ(lseek(fd, 4, SEEK_SET), 4);
  CHECK_EQ(lseek(fd, 3, SEEK_CUR), 7);
  CHECK_EQ(lseek(fd, -2, SEEK_CUR), 5);
  CHECK_EQ(lseek(fd, 0, SEEK_END), 10);
  CHECK_EQ(lseek(fd, -10, SEEK_END), 0);
  CHECK_EQ(lseek(fd, 100, SEEK_END), 110);
  char byte;
  CHECK_EQ(read(fd, &byte, 1), 0);
  CHECK_EQ(Fstat(fd).st_size, 10);
}

TEST_F(LseekTest, Refusals) {
  WriteFile("f", "0123456789");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
  CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
  CHECK_ERRNO(lseek(fd, -6, SEEK_CUR), EINVAL);
  CHECK_ERRNO(lseek(fd, -11, SEEK_END), EINVAL);
  CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
  CHECK_ERRNO(lseek(fd, INT64_MAX, SEEK_CUR), EOVERFLOW, EINVAL);
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
  CHECK_ERRNO(lseek(-1, 0, SEEK_SET), EBADF);
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_ERRNO(lseek(ends[0], 0, SEEK_CUR), ESPIPE);
}

TEST_F(LseekTest, FifoCannotSeek) {
  CHECK_OK(mkfifo("p", 0600));
  Fd fd = OpenOk("p", O_RDWR);
  char byte;
  CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
  CHECK_ERRNO(pread(fd, &byte, 1, 0), ESPIPE);
  CHECK_ERRNO(pwrite(fd, "x", 1, 0), ESPIPE);
}

TEST_F(LseekTest, WritePastTheEndLeavesZeros) {
  WriteFile("f", "abc");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_EQ(lseek(fd, 10000, SEEK_SET), 10000);
  CHECK_EQ(write(fd, "x", 1), 1);
  CHECK_EQ(Fstat(fd).st_size, 10001);
  CHECK_EQ(PreadAll(fd, 3, 0), "abc");
  CHECK_TRUE(IsZero(PreadAll(fd, 9997, 3)));
  CHECK_EQ(PreadAll(fd, 10, 10000), "x");
}

TEST_F(LseekTest, OffsetIsSharedWithAForkedChild) {
  WriteFile("f", "0123456789");
  Fd fd = OpenOk("f", O_RDONLY);
  Child child([&] { return lseek(fd, 6, SEEK_SET) == 6 ? 0 : 1; });
  CHECK_EQ(child.Wait(), 0);
  char byte;
  CHECK_EQ(read(fd, &byte, 1), 1);
  CHECK_EQ(byte, '6');
}

}  // namespace
}  // namespace kfs::posix_test
