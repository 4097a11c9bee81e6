// fsync(2) and its family: accepted wherever POSIX accepts them, and nothing changes by them.
#include <sys/mman.h>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class SyncTest : public PosixTest {};

TEST_F(SyncTest, FilesInEveryOpenMode) {
  WriteFile("f", "content");
  for (int mode : {O_RDONLY, O_WRONLY, O_RDWR}) {
    Fd fd = OpenOk("f", mode);
    CHECK_OK(fsync(fd));
    CHECK_OK(fdatasync(fd));
  }
  CHECK_EQ(ReadFile("f"), "content");
}

TEST_F(SyncTest, Directories) {
  CHECK_OK(mkdir("d", 0755));
  Fd fd = OpenOk("d", O_RDONLY | O_DIRECTORY);
  CHECK_OK(fsync(fd));
  CHECK_OK(fdatasync(fd));
  WriteFile("d/f", "x");
  CHECK_OK(fsync(fd));
  CHECK_OK(rename("d/f", "d/g"));
  CHECK_OK(fsync(fd));
  CHECK_OK(unlink("d/g"));
  CHECK_OK(rmdir("d"));
  CHECK_OK(fsync(fd));  // removed, but open
}

TEST_F(SyncTest, ManyWritesAndSyncs) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT);
  std::string model;
  for (int i = 0; i < 20; ++i) {
    std::string data = Pattern(3000, static_cast<unsigned>(i));
    CHECK_EQ(write(fd, data.data(), data.size()), data.size());
    model += data;
    CHECK_OK(i % 2 != 0 ? fsync(fd) : fdatasync(fd));
    CHECK_EQ(Fstat(fd).st_size, model.size());
  }
  CHECK_TRUE(ReadFile("f") == model);
}

TEST_F(SyncTest, SynchronousOpenFlags) {
  for (int flag : {O_SYNC, O_DSYNC}) {
    Fd fd = OpenOk("f", O_RDWR | O_CREAT | O_TRUNC | flag);
    CHECK_EQ(fcntl(fd, F_GETFL) & flag, flag);
    CHECK_EQ(write(fd, "content", 7), 7);
    CHECK_EQ(pwrite(fd, "C", 1, 0), 1);
    CHECK_EQ(ReadFile("f"), "Content");
  }
}

TEST_F(SyncTest, Refusals) {
  CHECK_OK(mkfifo("p", 0600));
  Fd fifo = OpenOk("p", O_RDWR), path = OpenOk(".", O_PATH);
  CHECK_ERRNO(fsync(fifo), EINVAL);
  CHECK_ERRNO(fdatasync(fifo), EINVAL);
  CHECK_ERRNO(fsync(path), EBADF);
  CHECK_ERRNO(fsync(-1), EBADF);
}

TEST_F(SyncTest, WholeFileSystemAndRanges) {
  WriteFile("f", Pattern(100000));
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(syncfs(fd));
  CHECK_OK(sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
  CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
  CHECK_OK(readahead(fd, 0, 4096));
  CHECK_TRUE(PreadAll(fd, 100000, 0) == Pattern(100000));
}

TEST_F(SyncTest, UnlinkedFile) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDWR);
  CHECK_OK(unlink("f"));
  CHECK_EQ(write(fd, "C", 1), 1);
  CHECK_OK(fsync(fd));
  CHECK_EQ(PreadAll(fd, 10, 0), "Content");
}

TEST_F(SyncTest, ByADescriptorThatDidNotWrite) {
  WriteFile("f", "");
  Fd reader = OpenOk("f", O_RDONLY), writer = OpenOk("f", O_WRONLY);
  CHECK_EQ(write(writer, "content", 7), 7);
  CHECK_OK(fsync(reader));
  CHECK_EQ(PreadAll(reader, 10, 0), "content");
}

}  // namespace
}  // namespace kfs::posix_test
