// truncate(2) and ftruncate(2).
#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class TruncateTest : public PosixTest {};

TEST_F(TruncateTest, GrowsWithZerosAndKeepsTheContent) {
  for (size_t size : {1u, 100u, 4096u, 5000u, 100000u}) {
    std::string data = Pattern(size);
    WriteFile("f", data);
    CHECK_OK(truncate("f", static_cast<off_t>(size) + 50000));
    std::string content = ReadFile("f");
    CHECK_EQ(content.size(), size + 50000);
    CHECK_TRUE(content.substr(0, size) == data);
    CHECK_TRUE(IsZero(content.substr(size)));
  }
}

TEST_F(TruncateTest, ShrinksAndCutsExactly) {
  std::string data = Pattern(100000);
  WriteFile("f", data);
  for (size_t size : {99999u, 65536u, 65535u, 4097u, 4096u, 4095u, 1u, 0u}) {
    CHECK_OK(truncate("f", static_cast<off_t>(size)));
    CHECK_EQ(Stat("f").st_size, size);
    CHECK_TRUE(ReadFile("f") == data.substr(0, size));
  }
  CHECK_EQ(Stat("f").st_blocks, 0);
}

TEST_F(TruncateTest, ShrinkThenGrowReadsZeros) {
  WriteFile("f", Pattern(20000));
  Fd fd = OpenOk("f", O_RDWR);
  for (off_t size : {10001, 5000, 4096, 3, 0}) {
    std::string kept = PreadAll(fd, static_cast<size_t>(size), 0);
    CHECK_OK(ftruncate(fd, size));
    CHECK_OK(ftruncate(fd, 20000));
    CHECK_TRUE(PreadAll(fd, static_cast<size_t>(size), 0) == kept);
    CHECK_TRUE(IsZero(PreadAll(fd, static_cast<size_t>(20000 - size), size)));
  }
}

TEST_F(TruncateTest, ShrinkThenWriteBeyondReadsZerosBetween) {
  WriteFile("f", Pattern(20000));
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(ftruncate(fd, 1234));
  CHECK_EQ(pwrite(fd, "x", 1, 15000), 1);
  CHECK_TRUE(IsZero(PreadAll(fd, 15000 - 1234, 1234)));
  CHECK_EQ(Fstat(fd).st_size, 15001);
}

TEST_F(TruncateTest, OpenReadersSeeTheNewEnd) {
  WriteFile("f", "0123456789");
  Fd reader = OpenOk("f", O_RDONLY);
  CHECK_EQ(PreadAll(reader, 100, 0), "0123456789");
  CHECK_OK(truncate("f", 4));
  CHECK_EQ(PreadAll(reader, 100, 0), "0123");
  CHECK_EQ(Fstat(reader).st_size, 4);
  CHECK_EQ(lseek(reader, 8, SEEK_SET), 8);
  char byte;
  CHECK_EQ(read(reader, &byte, 1), 0);
}

TEST_F(TruncateTest, OffsetsOfDescriptorsStay) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(write(fd, "0123456789", 10), 10);
  CHECK_OK(ftruncate(fd, 0));
  CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
  CHECK_EQ(write(fd, "x", 1), 1);
  CHECK_EQ(Fstat(fd).st_size, 11);
  CHECK_TRUE(IsZero(PreadAll(fd, 10, 0)));
}

TEST_F(TruncateTest, Refusals) {
  WriteFile("f", "content");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(mkfifo("p", 0644));
  Fd reader = OpenOk("f", O_RDONLY);
  Fd writer = OpenOk("f", O_WRONLY);
  CHECK_ERRNO(truncate("f", -1), EINVAL);
  CHECK_ERRNO(ftruncate(writer, -1), EINVAL);
  CHECK_ERRNO(ftruncate(reader, 0), EINVAL, EBADF);
  CHECK_ERRNO(truncate("d", 0), EISDIR);
  CHECK_ERRNO(truncate("p", 0), EINVAL);
  CHECK_ERRNO(truncate("missing", 0), ENOENT);
  CHECK_ERRNO(truncate("f/x", 0), ENOTDIR);
  CHECK_ERRNO(truncate("", 0), ENOENT);
  CHECK_ERRNO(ftruncate(-1, 0), EBADF);
  CHECK_EQ(ReadFile("f"), "content");
}

TEST_F(TruncateTest, PathNeedsWritePermissionAndDescriptorDoesNot) {
  NEEDS_ROOT();
  WriteFile("f", "content");
  CHECK_ERRNO_AS(kNobody, truncate("f", 0), EACCES);
  CHECK_OK(chmod("f", 0666));
  CHECK_OK_AS(kNobody, truncate("f", 3));
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(chmod("f", 0));
  CHECK_OK_AS(kNobody, ftruncate(fd, 1));
  CHECK_EQ(Stat("f").st_size, 1);
}

TEST_F(TruncateTest, OwnerWithoutWritePermissionIsRefused) {
  NEEDS_ROOT();
  WriteFile("f", "content");
  CHECK_OK(chown("f", kAlice.uid, kAlice.gid));
  CHECK_OK(chmod("f", 0444));
  CHECK_ERRNO_AS(kAlice, truncate("f", 0), EACCES);
  CHECK_ERRNO_AS(kAlice, open("f", O_WRONLY), EACCES);
  CHECK_OK(truncate("f", 0));  // root passes permission bits
}

TEST_F(TruncateTest, HugeSizesCostNothing) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(ftruncate(fd, off_t{1} << 40));
  CHECK_EQ(Stat("f").st_size, off_t{1} << 40);
  CHECK_LT(Fstat(fd).st_blocks, 2048);
  CHECK_TRUE(IsZero(PreadAll(fd, 4096, (off_t{1} << 40) - 4096)));
  CHECK_OK(ftruncate(fd, 5));
  CHECK_EQ(Fstat(fd).st_size, 5);
}

TEST_F(TruncateTest, AcrossTheChunkBorder) {
  constexpr off_t kChunk = 64 << 20;
  std::string data = Pattern(8192);
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_EQ(pwrite(fd, data.data(), data.size(), kChunk - 4096), data.size());
  CHECK_OK(ftruncate(fd, kChunk));
  CHECK_OK(ftruncate(fd, kChunk + 4096));
  CHECK_TRUE(PreadAll(fd, 4096, kChunk - 4096) == data.substr(0, 4096));
  CHECK_TRUE(IsZero(PreadAll(fd, 4096, kChunk)));
}

}  // namespace
}  // namespace kfs::posix_test
