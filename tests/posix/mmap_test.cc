// mmap(2): shared and private, coherent with read and write, SIGBUS past the end.
#include <signal.h>
#include <sys/mman.h>

#include <cstring>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

constexpr size_t kPage = 4096;

class MmapTest : public PosixTest {
 protected:
  // Null when it fails, which is a failed assertion.
  static char* Map(int fd, size_t size, int protection, int flags, off_t offset = 0) {
    void* memory = mmap(nullptr, size, protection, flags, fd, offset);
    CHECK_ERRNO((memory == MAP_FAILED ? -1 : 0), 0);
    return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
  }
};

TEST_F(MmapTest, PrivateMappingReadsTheFile) {
  std::string data = Pattern(3 * kPage + 100);
  WriteFile("f", data);
  Fd fd = OpenOk("f", O_RDONLY);
  char* map = Map(fd, data.size(), PROT_READ, MAP_PRIVATE);
  REQUIRE_TRUE(map != nullptr);
  fd.Close();  // the mapping holds the file
  CHECK_TRUE(std::string(map, data.size()) == data);
  CHECK_TRUE(IsZero(std::string(map + data.size(), kPage - 100)));
  CHECK_OK(munmap(map, data.size()));
}

TEST_F(MmapTest, SharedWritesReachTheFile) {
  WriteFile("f", Pattern(4 * kPage));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  memcpy(map + kPage - 3, "across", 6);
  CHECK_EQ(PreadAll(fd, 6, kPage - 3), "across");  // before any msync
  CHECK_OK(msync(map, 4 * kPage, MS_SYNC));
  CHECK_EQ(ReadFile("f").substr(kPage - 3, 6), "across");
  memcpy(map + 3 * kPage, "late", 4);
  CHECK_OK(munmap(map, 4 * kPage));
  fd.Close();
  CHECK_EQ(ReadFile("f").substr(3 * kPage, 4), "late");
}

TEST_F(MmapTest, SharedMappingSeesWrites) {
  WriteFile("f", std::string(2 * kPage, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 2 * kPage, PROT_READ, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  CHECK_EQ(map[100], 'a');
  CHECK_EQ(pwrite(fd, "b", 1, 100), 1);
  CHECK_EQ(map[100], 'b');
  Fd other = OpenOk("f", O_WRONLY);
  CHECK_EQ(pwrite(other, "c", 1, kPage + 5), 1);
  CHECK_EQ(map[kPage + 5], 'c');
}

TEST_F(MmapTest, SharedMappingIsSeenByAnotherProcess) {
  WriteFile("f", std::string(kPage, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  map[0] = 'p';
  Child child([] {
    Fd mine = OpenOk("f", O_RDWR);
    char* mapped = Map(mine, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    if (mapped == nullptr || mapped[0] != 'p') return 1;
    mapped[1] = 'c';
    return 0;
  });
  CHECK_EQ(child.Wait(), 0);
  CHECK_EQ(map[1], 'c');
  CHECK_EQ(PreadAll(fd, 2, 0), "pc");
}

TEST_F(MmapTest, PrivateWritesStayPrivate) {
  WriteFile("f", std::string(kPage, 'a'));
  Fd fd = OpenOk("f", O_RDONLY);
  char* map = Map(fd, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  REQUIRE_TRUE(map != nullptr);
  map[0] = 'x';
  CHECK_EQ(map[0], 'x');
  CHECK_TRUE(ReadFile("f") == std::string(kPage, 'a'));
}

TEST_F(MmapTest, ProtectionMustFitTheOpenMode) {
  WriteFile("f", std::string(kPage, 'a'));
  Fd reader = OpenOk("f", O_RDONLY), writer = OpenOk("f", O_WRONLY), directory = OpenOk(".", O_RDONLY);
  auto Try = [](int fd, int protection, int flags) {
    return mmap(nullptr, kPage, protection, flags, fd, 0) == MAP_FAILED ? -1 : 0;
  };
  CHECK_ERRNO(Try(reader, PROT_READ | PROT_WRITE, MAP_SHARED), EACCES);
  CHECK_ERRNO(Try(writer, PROT_WRITE, MAP_SHARED), EACCES);
  CHECK_ERRNO(Try(writer, PROT_READ, MAP_PRIVATE), EACCES);
  CHECK_ERRNO(Try(directory, PROT_READ, MAP_PRIVATE), ENODEV, EACCES);
  CHECK_ERRNO(Try(-1, PROT_READ, MAP_PRIVATE), EBADF);
  CHECK_ERRNO((mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, reader, 1) == MAP_FAILED ? -1 : 0), EINVAL);
}

TEST_F(MmapTest, AccessPastTheLastPageIsSigbus) {
  WriteFile("f", std::string(100, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  CHECK_EQ(map[kPage - 1], 0);
  Child reader([&] { return static_cast<volatile char*>(map)[kPage + 1]; });
  CHECK_EQ(reader.Wait(), 256 + SIGBUS);
  Child writer([&] {
    static_cast<volatile char*>(map)[2 * kPage] = 'x';
    return 0;
  });
  CHECK_EQ(writer.Wait(), 256 + SIGBUS);
  CHECK_OK(ftruncate(fd, 3 * kPage));  // now the pages are there
  Child again([&] { return static_cast<volatile char*>(map)[kPage + 1]; });
  CHECK_EQ(again.Wait(), 0);
}

TEST_F(MmapTest, TruncationTakesMappedPagesAway) {
  WriteFile("f", std::string(3 * kPage, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  CHECK_EQ(map[2 * kPage], 'a');
  CHECK_OK(ftruncate(fd, kPage));
  Child reader([&] { return static_cast<volatile char*>(map)[2 * kPage]; });
  CHECK_EQ(reader.Wait(), 256 + SIGBUS);
  CHECK_OK(ftruncate(fd, 3 * kPage));
  CHECK_EQ(map[2 * kPage], 0);
  CHECK_EQ(map[0], 'a');
}

TEST_F(MmapTest, WritesPastTheEndWithinThePageDoNotGrowTheFile) {
  WriteFile("f", std::string(100, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  map[50] = 'b';
  map[200] = 'x';
  CHECK_OK(msync(map, kPage, MS_SYNC));
  CHECK_OK(munmap(map, kPage));
  CHECK_EQ(Fstat(fd).st_size, 100);
  CHECK_EQ(PreadAll(fd, kPage, 0), std::string(50, 'a') + "b" + std::string(49, 'a'));
}

TEST_F(MmapTest, MappingOutlivesUnlink) {
  WriteFile("f", std::string(2 * kPage, 'a'));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  fd.Close();
  CHECK_OK(unlink("f"));
  CHECK_EQ(map[kPage], 'a');
  map[kPage] = 'b';
  CHECK_OK(msync(map, 2 * kPage, MS_SYNC));
  CHECK_EQ(map[kPage], 'b');
}

TEST_F(MmapTest, HolesReadAsZerosAndCanBeFilled) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  CHECK_OK(ftruncate(fd, 1 << 20));
  char* map = Map(fd, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  CHECK_EQ(map[500000], 0);
  memcpy(map + 500000, "filled", 6);
  CHECK_OK(msync(map, 1 << 20, MS_SYNC));
  CHECK_EQ(PreadAll(fd, 6, 500000), "filled");
  CHECK_OK(munmap(map, 1 << 20));
}

TEST_F(MmapTest, MappingAtAnOffset) {
  std::string data = Pattern(8 * kPage);
  WriteFile("f", data);
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, 5 * kPage);
  REQUIRE_TRUE(map != nullptr);
  CHECK_TRUE(std::string(map, 2 * kPage) == data.substr(5 * kPage, 2 * kPage));
  map[1] = '!';
  CHECK_EQ(PreadAll(fd, 1, 5 * kPage + 1), "!");
}

TEST_F(MmapTest, MsyncUpdatesTheModificationTime) {
  WriteFile("f", std::string(kPage, 'a'));
  timespec old[2] = {{1000, 0}, {1000, 0}};
  CHECK_OK(utimensat(AT_FDCWD, "f", old, 0));
  Fd fd = OpenOk("f", O_RDWR);
  char* map = Map(fd, kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  REQUIRE_TRUE(map != nullptr);
  map[0] = 'b';
  CHECK_OK(msync(map, kPage, MS_SYNC));
  CHECK_GT(Stat("f").st_mtim.tv_sec, 1000);
}

}  // namespace
}  // namespace kfs::posix_test
