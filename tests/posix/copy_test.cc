// copy_file_range(2), sendfile(2) and splice(2).
#include <sys/sendfile.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class CopyTest : public PosixTest {
 protected:
  // Copies until the source ends; the bytes copied, or -1.
  static ssize_t CopyAll(int from, off_t* at, int to, off_t* where, size_t size) {
    ssize_t total = 0;
    while (size > 0) {
      ssize_t n = copy_file_range(from, at, to, where, size, 0);
      if (n < 0) return -1;
      if (n == 0) break;
      total += n;
      size -= static_cast<size_t>(n);
    }
    return total;
  }
};

TEST_F(CopyTest, CopiesAWholeFile) {
  std::string data = Pattern(1000001);
  WriteFile("a", data);
  Fd from = OpenOk("a", O_RDONLY), to = OpenOk("b", O_RDWR | O_CREAT);
  CHECK_EQ(CopyAll(from, nullptr, to, nullptr, 5000000), data.size());
  CHECK_EQ(lseek(from, 0, SEEK_CUR), data.size());
  CHECK_EQ(lseek(to, 0, SEEK_CUR), data.size());
  CHECK_TRUE(ReadFile("b") == data);
  CHECK_EQ(copy_file_range(from, nullptr, to, nullptr, 100, 0), 0);
}

TEST_F(CopyTest, OffsetsAreUsedAndAdvanced) {
  std::string data = Pattern(100000);
  WriteFile("a", data);
  WriteFile("b", std::string(50000, 'b'));
  Fd from = OpenOk("a", O_RDONLY), to = OpenOk("b", O_RDWR);
  off_t at = 12345, where = 23456;
  CHECK_EQ(CopyAll(from, &at, to, &where, 34567), 34567);
  CHECK_EQ(at, 12345 + 34567);
  CHECK_EQ(where, 23456 + 34567);
  CHECK_EQ(lseek(from, 0, SEEK_CUR), 0);
  CHECK_EQ(lseek(to, 0, SEEK_CUR), 0);
  std::string content = ReadFile("b");
  CHECK_EQ(content.size(), 23456 + 34567);
  CHECK_TRUE(content.substr(0, 23456) == std::string(23456, 'b'));
  CHECK_TRUE(content.substr(23456) == data.substr(12345, 34567));
}

TEST_F(CopyTest, WithinOneFile) {
  std::string data = Pattern(20000);
  WriteFile("f", data);
  Fd from = OpenOk("f", O_RDONLY), to = OpenOk("f", O_RDWR);
  off_t at = 0, where = 30000;
  CHECK_EQ(CopyAll(from, &at, to, &where, 10000), 10000);
  CHECK_TRUE(PreadAll(to, 10000, 30000) == data.substr(0, 10000));
  CHECK_TRUE(IsZero(PreadAll(to, 10000, 20000)));
  at = 0;
  where = 5000;
  CHECK_ERRNO(copy_file_range(from, &at, to, &where, 10000, 0), EINVAL);  // the ranges overlap
}

TEST_F(CopyTest, Refusals) {
  WriteFile("a", "content");
  WriteFile("b", "");
  CHECK_OK(mkfifo("p", 0644));
  Fd reader = OpenOk("a", O_RDONLY), writer = OpenOk("b", O_WRONLY),
     appender = OpenOk("b", O_WRONLY | O_APPEND);
  Fd directory = OpenOk(".", O_RDONLY), fifo = OpenOk("p", O_RDWR);
  CHECK_ERRNO(copy_file_range(writer, nullptr, writer, nullptr, 1, 0), EBADF);
  CHECK_ERRNO(copy_file_range(reader, nullptr, reader, nullptr, 1, 0), EBADF);
  CHECK_ERRNO(copy_file_range(reader, nullptr, appender, nullptr, 1, 0), EBADF);
  CHECK_ERRNO(copy_file_range(directory, nullptr, writer, nullptr, 1, 0), EISDIR);
  CHECK_ERRNO(copy_file_range(fifo, nullptr, writer, nullptr, 1, 0), EINVAL);
  CHECK_ERRNO(copy_file_range(reader, nullptr, writer, nullptr, 1, 1), EINVAL);
  off_t negative = -1;
  CHECK_ERRNO(copy_file_range(reader, &negative, writer, nullptr, 1, 0), EINVAL, EOVERFLOW);
  CHECK_EQ(copy_file_range(reader, nullptr, writer, nullptr, 0, 0), 0);
  CHECK_EQ(Stat("b").st_size, 0);
}

TEST_F(CopyTest, AcrossTheChunkBorder) {
  constexpr off_t kChunk = 64 << 20;
  std::string data = Pattern(50000);
  Fd from = OpenOk("a", O_RDWR | O_CREAT), to = OpenOk("b", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(from, data.data(), data.size(), kChunk - 25000), data.size());
  off_t at = kChunk - 25000, where = kChunk - 10000;
  CHECK_EQ(CopyAll(from, &at, to, &where, data.size()), data.size());
  CHECK_TRUE(PreadAll(to, data.size(), kChunk - 10000) == data);
}

TEST_F(CopyTest, CopyIsIndependentOfItsSource) {
  WriteFile("a", std::string(10000, 'a'));
  Fd from = OpenOk("a", O_RDWR), to = OpenOk("b", O_RDWR | O_CREAT);
  CHECK_EQ(CopyAll(from, nullptr, to, nullptr, 10000), 10000);
  CHECK_EQ(pwrite(from, "changed", 7, 0), 7);
  CHECK_EQ(PreadAll(to, 7, 0), "aaaaaaa");
  CHECK_EQ(pwrite(to, "other", 5, 100), 5);
  CHECK_EQ(PreadAll(from, 5, 100), "aaaaa");
}

TEST_F(CopyTest, UnsyncedWritesAreCopied) {
  Fd from = OpenOk("a", O_RDWR | O_CREAT), to = OpenOk("b", O_RDWR | O_CREAT);
  std::string data = Pattern(70000);
  CHECK_EQ(write(from, data.data(), data.size()), data.size());
  off_t at = 0;
  CHECK_EQ(CopyAll(from, &at, to, nullptr, data.size()), data.size());
  CHECK_TRUE(PreadAll(to, data.size() + 1, 0) == data);
}

TEST_F(CopyTest, SendfileCopiesToAPipeAndToAFile) {
  std::string data = Pattern(30000);
  WriteFile("a", data);
  Fd from = OpenOk("a", O_RDONLY), to = OpenOk("b", O_RDWR | O_CREAT);
  int ends[2];
  CHECK_OK(pipe(ends));
  off_t at = 1000;
  CHECK_EQ(sendfile(ends[1], from, &at, 4000), 4000);
  CHECK_EQ(at, 5000);
  std::string buffer(4000, '\0');
  CHECK_EQ(read(ends[0], buffer.data(), 4000), 4000);
  CHECK_TRUE(buffer == data.substr(1000, 4000));
  CHECK_EQ(lseek(from, 0, SEEK_CUR), 0);
  CHECK_EQ(sendfile(to, from, nullptr, 30000), 30000);
  CHECK_TRUE(ReadFile("b") == data);
  CHECK_EQ(sendfile(to, from, nullptr, 30000), 0);
  CHECK_ERRNO(sendfile(from, from, nullptr, 1), EBADF);
}

TEST_F(CopyTest, SpliceMovesBetweenPipeAndFile) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  int ends[2];
  CHECK_OK(pipe(ends));
  CHECK_EQ(write(ends[1], "through a pipe", 14), 14);
  loff_t where = 5000;
  CHECK_EQ(splice(ends[0], nullptr, fd, &where, 14, 0), 14);
  CHECK_EQ(PreadAll(fd, 100, 5000), "through a pipe");
  CHECK_EQ(Fstat(fd).st_size, 5014);
  loff_t at = 5008;
  CHECK_EQ(splice(fd, &at, ends[1], nullptr, 6, 0), 6);
  char buffer[6];
  CHECK_EQ(read(ends[0], buffer, 6), 6);
  CHECK_EQ(std::string(buffer, 6), "a pipe");
}

}  // namespace
}  // namespace kfs::posix_test
