// open(2): every flag of P1 and the errno of every refusal.
#include <sys/uio.h>

#include <cstdlib>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class OpenTest : public PosixTest {};

TEST_F(OpenTest, MissingFileIsEnoent) {
  CHECK_ERRNO(open("missing", O_RDONLY), ENOENT);
  CHECK_ERRNO(open("missing", O_RDWR | O_TRUNC), ENOENT);
  CHECK_ERRNO(open("missing/file", O_RDWR | O_CREAT, 0644), ENOENT);
  CHECK_ERRNO(open("", O_RDONLY), ENOENT);
  CHECK_ERRNO(open("", O_WRONLY | O_CREAT, 0644), ENOENT);
}

TEST_F(OpenTest, ComponentThatIsNoDirectoryIsEnotdir) {
  WriteFile("file", "x");
  CHECK_ERRNO(open("file/below", O_RDONLY), ENOTDIR);
  CHECK_ERRNO(open("file/below", O_WRONLY | O_CREAT, 0644), ENOTDIR);
  CHECK_ERRNO(open("file/", O_RDONLY), ENOTDIR);
  CHECK_ERRNO(open("file/.", O_RDONLY), ENOTDIR);
  CHECK_ERRNO(open("file/..", O_RDONLY), ENOTDIR);
  CHECK_ERRNO(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR);
  CHECK_FALSE(Exists("new"));
}

TEST_F(OpenTest, CreateMakesAnEmptyRegularFileWithTheMaskedMode) {
  umask(027);
  Fd fd = OpenOk("f", O_WRONLY | O_CREAT, 0777);
  struct stat st = Fstat(fd);
  CHECK_TRUE(S_ISREG(st.st_mode));
  CHECK_EQ(st.st_mode & 07777, 0750);
  CHECK_EQ(st.st_size, 0);
  CHECK_EQ(st.st_nlink, 1);
  CHECK_EQ(st.st_blocks, 0);
  CHECK_EQ(st.st_uid, geteuid());
  umask(0);
  OpenOk("g", O_WRONLY | O_CREAT, 0666).Close();
  CHECK_EQ(Mode("g"), 0666);
  umask(0777);
  OpenOk("h", O_WRONLY | O_CREAT, 0666).Close();
  CHECK_EQ(Mode("h"), 0);
}

TEST_F(OpenTest, CreateKeepsSetuidSetgidAndStickyOfTheMode) {
  OpenOk("suid", O_WRONLY | O_CREAT, 04755).Close();
  CHECK_EQ(Mode("suid"), 04755);
  OpenOk("sgid", O_WRONLY | O_CREAT, 02755).Close();
  CHECK_EQ(Mode("sgid"), 02755);
  OpenOk("sticky", O_WRONLY | O_CREAT, 01755).Close();
  CHECK_EQ(Mode("sticky"), 01755);
}

TEST_F(OpenTest, CreateOfAnExistingFileKeepsItsModeAndContent) {
  WriteFile("f", "content", 0640);
  OpenOk("f", O_RDWR | O_CREAT, 0777).Close();
  CHECK_EQ(Mode("f"), 0640);
  CHECK_EQ(ReadFile("f"), "content");
}

TEST_F(OpenTest, ModeWithoutWriteBitsDoesNotHinderTheCreator) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT | O_EXCL, 0000);
  CHECK_EQ(write(fd, "abc", 3), 3);
  CHECK_EQ(PreadAll(fd, 3, 0), "abc");
  CHECK_EQ(Mode("f"), 0);
}

TEST_F(OpenTest, ExclusiveCreateRefusesWhateverIsThere) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("nowhere", "dangling"));
  CHECK_OK(symlink("f", "good"));
  CHECK_OK(mkfifo("p", 0644));
  for (const char* name : {"f", "d", "dangling", "good", "p"}) {
    CHECK_ERRNO(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
  }
  CHECK_FALSE(Exists("nowhere"));
  CHECK_EQ(ReadFile("f"), "x");
}

TEST_F(OpenTest, CreateThroughADanglingSymlinkMakesItsTarget) {
  CHECK_OK(symlink("target", "link"));
  OpenOk("link", O_WRONLY | O_CREAT, 0644).Close();
  CHECK_TRUE(Exists("target"));
  CHECK_TRUE(S_ISLNK(Lstat("link").st_mode));
}

TEST_F(OpenTest, TruncateEmptiesAnExistingFile) {
  WriteFile("f", Pattern(100000));
  Fd fd = OpenOk("f", O_WRONLY | O_TRUNC);
  CHECK_EQ(Fstat(fd).st_size, 0);
  CHECK_EQ(Stat("f").st_size, 0);
  CHECK_EQ(Stat("f").st_blocks, 0);
  CHECK_EQ(write(fd, "new", 3), 3);
  CHECK_EQ(ReadFile("f"), "new");
}

TEST_F(OpenTest, DirectoryCannotBeOpenedForWriting) {
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO(open("d", O_WRONLY), EISDIR);
  CHECK_ERRNO(open("d", O_RDWR), EISDIR);
  CHECK_ERRNO(open("d", O_RDONLY | O_CREAT, 0644), EISDIR);
  CHECK_ERRNO(open("d", O_RDONLY | O_TRUNC), EISDIR);
  CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
  Fd fd = OpenOk("d", O_RDONLY);
  char byte;
  CHECK_ERRNO(read(fd, &byte, 1), EISDIR);
  CHECK_ERRNO(pread(fd, &byte, 1, 0), EISDIR);
  CHECK_ERRNO(write(fd, "x", 1), EBADF);
  CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
}

TEST_F(OpenTest, DirectoryFlagAcceptsOnlyDirectories) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  CHECK_OK(symlink("d", "to-d"));
  CHECK_OK(symlink("f", "to-f"));
  CHECK_ERRNO(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK_ERRNO(open("to-f", O_RDONLY | O_DIRECTORY), ENOTDIR);
  CHECK_ERRNO(open("missing", O_RDONLY | O_DIRECTORY), ENOENT);
  OpenOk("d", O_RDONLY | O_DIRECTORY);
  OpenOk("to-d", O_RDONLY | O_DIRECTORY);
  CHECK_ERRNO(open("to-d", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR);
}

TEST_F(OpenTest, NofollowRefusesASymlinkOnlyAtTheEnd) {
  WriteFile("f", "x");
  CHECK_OK(mkdir("d", 0755));
  WriteFile("d/f", "y");
  CHECK_OK(symlink("f", "to-f"));
  CHECK_OK(symlink("d", "to-d"));
  CHECK_ERRNO(open("to-f", O_RDONLY | O_NOFOLLOW), ELOOP);
  CHECK_ERRNO(open("to-f", O_WRONLY | O_CREAT | O_NOFOLLOW, 0644), ELOOP);
  CHECK_ERRNO(open("to-d", O_RDONLY | O_NOFOLLOW), ELOOP);
  OpenOk("to-d/f", O_RDONLY | O_NOFOLLOW);
  OpenOk("f", O_RDONLY | O_NOFOLLOW);
}

TEST_F(OpenTest, PathDescriptorNamesTheFileButReadsNothing) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_PATH);
  char byte;
  CHECK_ERRNO(read(fd, &byte, 1), EBADF);
  CHECK_ERRNO(write(fd, "x", 1), EBADF);
  CHECK_ERRNO(fchmod(fd, 0600), EBADF);
  CHECK_ERRNO(ftruncate(fd, 0), EBADF);
  CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
  CHECK_EQ(Fstat(fd).st_size, 7);
  std::string proc = "/proc/self/fd/" + std::to_string(fd);
  CHECK_EQ(ReadFile(proc), "content");
  CHECK_OK(rename("f", "g"));
  CHECK_EQ(Fstat(fd).st_ino, Stat("g").st_ino);
}

TEST_F(OpenTest, PathDescriptorOfASymlinkIsTheSymlink) {
  CHECK_OK(symlink("target", "link"));
  Fd fd = OpenOk("link", O_PATH | O_NOFOLLOW);
  CHECK_TRUE(S_ISLNK(Fstat(fd).st_mode));
  char target[16];
  CHECK_EQ(readlinkat(fd, "", target, sizeof target), 6);
}

TEST_F(OpenTest, PathDescriptorOfADirectoryServesAsBase) {
  CHECK_OK(mkdir("d", 0755));
  Fd fd = OpenOk("d", O_PATH | O_DIRECTORY);
  Fd file(openat(fd, "f", O_WRONLY | O_CREAT, 0644));
  CHECK_GE(file, 0);
  CHECK_TRUE(Exists("d/f"));
  CHECK_OK(fchdir(fd));
  CHECK_TRUE(Exists("f"));
}

TEST_F(OpenTest, RelativeToADescriptorThatIsNoDirectoryIsEnotdir) {
  WriteFile("f", "x");
  Fd fd = OpenOk("f", O_RDONLY);
  CHECK_ERRNO(openat(fd, "g", O_WRONLY | O_CREAT, 0644), ENOTDIR);
  CHECK_ERRNO(mkdirat(fd, "g", 0755), ENOTDIR);
  CHECK_ERRNO(openat(-5, "g", O_RDONLY), EBADF);
  Fd absolute(openat(-5, Path("f").c_str(), O_RDONLY));
  CHECK_GE(absolute, 0);
}

TEST_F(OpenTest, ReadOnlyDescriptorRefusesEveryWrite) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_RDONLY);
  iovec part = {const_cast<char*>("x"), 1};
  CHECK_ERRNO(write(fd, "x", 1), EBADF);
  CHECK_ERRNO(pwrite(fd, "x", 1, 0), EBADF);
  CHECK_ERRNO(writev(fd, &part, 1), EBADF);
  CHECK_ERRNO(ftruncate(fd, 0), EINVAL, EBADF);
  CHECK_ERRNO(fallocate(fd, 0, 0, 10), EBADF);
  CHECK_EQ(ReadFile("f"), "content");
}

TEST_F(OpenTest, WriteOnlyDescriptorRefusesEveryRead) {
  WriteFile("f", "content");
  Fd fd = OpenOk("f", O_WRONLY);
  char byte;
  iovec part = {&byte, 1};
  CHECK_ERRNO(read(fd, &byte, 1), EBADF);
  CHECK_ERRNO(pread(fd, &byte, 1, 0), EBADF);
  CHECK_ERRNO(readv(fd, &part, 1), EBADF);
}

TEST_F(OpenTest, DirectIoIsAcceptedAndCoherent) {
  constexpr size_t kSize = 65536;
  Fd fd = OpenOk("f", O_RDWR | O_CREAT | O_DIRECT);
  void* buffer = nullptr;
  ASSERT_EQ(posix_memalign(&buffer, 4096, kSize), 0);
  std::string data = Pattern(kSize);
  data.copy(static_cast<char*>(buffer), kSize);
  CHECK_EQ(pwrite(fd, buffer, kSize, 0), kSize);
  CHECK_EQ(ReadFile("f"), data);
  Fd plain = OpenOk("f", O_WRONLY);
  CHECK_EQ(pwrite(plain, "changed", 7, 4096), 7);
  CHECK_EQ(pread(fd, buffer, 4096, 4096), 4096);
  CHECK_EQ(std::string(static_cast<char*>(buffer), 7), "changed");
  CHECK_EQ(pread(fd, buffer, 4096, kSize), 0);
  CHECK_EQ(fcntl(fd, F_GETFL) & O_DIRECT, O_DIRECT);
  free(buffer);
}

TEST_F(OpenTest, AppendAndNonblockFlagsAreReportedAndChangeable) {
  Fd fd = OpenOk("f", O_RDWR | O_CREAT | O_APPEND);
  CHECK_EQ(fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE), O_APPEND | O_RDWR);
  CHECK_EQ(write(fd, "abc", 3), 3);
  CHECK_OK(fcntl(fd, F_SETFL, 0));
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(write(fd, "X", 1), 1);
  CHECK_EQ(ReadFile("f"), "Xbc");
  CHECK_OK(fcntl(fd, F_SETFL, O_APPEND));
  CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
  CHECK_EQ(write(fd, "d", 1), 1);
  CHECK_EQ(ReadFile("f"), "Xbcd");
}

TEST_F(OpenTest, NoatimeBelongsToTheOwner) {
  NEEDS_ROOT();
  WriteFile("f", "x", 0666);
  OpenOk("f", O_RDONLY | O_NOATIME);
  CHECK_ERRNO_AS(kNobody, open("f", O_RDONLY | O_NOATIME), EPERM);
  CHECK_OK(chown("f", kNobody.uid, kNobody.gid));
  CHECK_OK_AS(kNobody, open("f", O_RDONLY | O_NOATIME));
}

TEST_F(OpenTest, DuplicatesShareTheOffsetAndSecondOpensDoNot) {
  WriteFile("f", "abcdef");
  Fd first = OpenOk("f", O_RDONLY);
  Fd duplicate(dup(first));
  Fd second = OpenOk("f", O_RDONLY);
  char byte;
  CHECK_EQ(read(first, &byte, 1), 1);
  CHECK_EQ(read(duplicate, &byte, 1), 1);
  CHECK_EQ(byte, 'b');
  CHECK_EQ(read(second, &byte, 1), 1);
  CHECK_EQ(byte, 'a');
  CHECK_EQ(lseek(first, 0, SEEK_CUR), 2);
}

TEST_F(OpenTest, CreatRefusedInADirectoryWithoutWritePermission) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO_AS(kNobody, open("d/f", O_WRONLY | O_CREAT, 0644), EACCES);
  CHECK_ERRNO_AS(kNobody, open("d/f", O_WRONLY | O_CREAT | O_EXCL, 0644), EACCES);
  WriteFile("d/there", "x");
  CHECK_OK(chmod("d/there", 0666));
  CHECK_OK_AS(kNobody, open("d/there", O_WRONLY | O_CREAT, 0644));
  CHECK_ERRNO_AS(kNobody, open("d/there", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
  CHECK_OK(chmod("d", 0700));
  CHECK_ERRNO_AS(kNobody, open("d/there", O_RDONLY), EACCES);
  CHECK_ERRNO_AS(kNobody, open("d/missing", O_RDONLY), EACCES);
}

TEST_F(OpenTest, ReadOnlyWithTruncateNeedsWritePermission) {
  NEEDS_ROOT();
  WriteFile("f", "content", 0644);
  CHECK_ERRNO_AS(kNobody, open("f", O_RDONLY | O_TRUNC), EACCES);
  CHECK_ERRNO_AS(kNobody, open("f", O_WRONLY | O_TRUNC), EACCES);
  CHECK_EQ(ReadFile("f"), "content");
}

}  // namespace
}  // namespace kfs::posix_test
