// FIFOs, sockets bound to a name, and device nodes.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <cstring>

#include "posix_env.h"

namespace kfs::posix_test {
namespace {

class SpecialFileTest : public PosixTest {
 protected:
  static sockaddr_un Address(const char* name) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, name, sizeof(address.sun_path) - 1);
    return address;
  }
  static int Bind(int fd, const char* name) {
    sockaddr_un address = Address(name);
    return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  static int Connect(int fd, const char* name) {
    sockaddr_un address = Address(name);
    return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
};

TEST_F(SpecialFileTest, FifoHasItsTypeAndMaskedMode) {
  umask(027);
  CHECK_OK(mkfifo("p", 0666));
  struct stat st = Stat("p");
  CHECK_TRUE(S_ISFIFO(st.st_mode));
  CHECK_EQ(st.st_mode & 07777, 0640);
  CHECK_EQ(st.st_size, 0);
  CHECK_EQ(st.st_nlink, 1);
  CHECK_ERRNO(mkfifo("p", 0666), EEXIST);
  CHECK_ERRNO(mkfifo("missing/p", 0666), ENOENT);
  CHECK_ERRNO(mkfifo("p/q", 0666), ENOTDIR);
  CHECK_OK(unlink("p"));
}

TEST_F(SpecialFileTest, FifoNonblockingOpens) {
  CHECK_OK(mkfifo("p", 0600));
  CHECK_ERRNO(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
  Fd reader = OpenOk("p", O_RDONLY | O_NONBLOCK);
  char buffer[16];
  CHECK_EQ(read(reader, buffer, sizeof buffer), 0);  // no writer: end of file
  Fd writer = OpenOk("p", O_WRONLY | O_NONBLOCK);
  CHECK_ERRNO(read(reader, buffer, sizeof buffer), EAGAIN);
  CHECK_EQ(write(writer, "hello", 5), 5);
  CHECK_EQ(read(reader, buffer, sizeof buffer), 5);
  CHECK_EQ(std::string(buffer, 5), "hello");
  writer.Close();
  CHECK_EQ(read(reader, buffer, sizeof buffer), 0);
}

TEST_F(SpecialFileTest, FifoOpenWaitsForTheOtherEnd) {
  CHECK_OK(mkfifo("p", 0600));
  Child reader([] {
    Fd fd(open("p", O_RDONLY));
    char buffer[16];
    return read(fd, buffer, sizeof buffer) == 4 && memcmp(buffer, "data", 4) == 0 && read(fd, buffer, 1) == 0
               ? 0
               : 1;
  });
  CHECK_TRUE(WaitBlockedIn(reader.pid(), SYS_openat));
  Fd writer = OpenOk("p", O_WRONLY);
  CHECK_EQ(write(writer, "data", 4), 4);
  writer.Close();
  CHECK_EQ(reader.Wait(), 0);
}

TEST_F(SpecialFileTest, FifoWithoutReaderIsEpipe) {
  signal(SIGPIPE, SIG_IGN);
  CHECK_OK(mkfifo("p", 0600));
  Fd reader = OpenOk("p", O_RDONLY | O_NONBLOCK);
  Fd writer = OpenOk("p", O_WRONLY);
  reader.Close();
  CHECK_ERRNO(write(writer, "x", 1), EPIPE);
}

TEST_F(SpecialFileTest, FifoOpenForBothNeverWaits) {
  CHECK_OK(mkfifo("p", 0600));
  Fd fd = OpenOk("p", O_RDWR);
  CHECK_EQ(write(fd, "abc", 3), 3);
  char buffer[3];
  CHECK_EQ(read(fd, buffer, 3), 3);
  CHECK_OK(unlink("p"));
  CHECK_EQ(write(fd, "def", 3), 3);  // lives on without a name
}

TEST_F(SpecialFileTest, TwoNamesOfAFifoAreOnePipe) {
  CHECK_OK(mkfifo("p", 0600));
  CHECK_OK(link("p", "q"));
  Fd a = OpenOk("p", O_RDWR);
  Fd b = OpenOk("q", O_RDONLY | O_NONBLOCK);
  CHECK_EQ(write(a, "abc", 3), 3);
  char buffer[3];
  CHECK_EQ(read(b, buffer, 3), 3);
}

TEST_F(SpecialFileTest, StreamSocketIsBoundAndConnected) {
  Fd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(Bind(listener, "sock"));
  CHECK_TRUE(S_ISSOCK(Lstat("sock").st_mode));
  CHECK_EQ(Mode("sock"), 0755);
  CHECK_OK(listen(listener, 4));
  Fd client(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(Connect(client, "sock"));
  Fd server(accept(listener, nullptr, nullptr));
  CHECK_EQ(write(client, "ping", 4), 4);
  char buffer[4];
  CHECK_EQ(read(server, buffer, 4), 4);
  CHECK_ERRNO(open("sock", O_RDONLY), ENXIO);
  Fd second(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERRNO(Bind(second, "sock"), EADDRINUSE);
}

TEST_F(SpecialFileTest, SocketFollowsRenameAndEndsWithItsListener) {
  Fd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(Bind(listener, "sock"));
  CHECK_OK(listen(listener, 4));
  CHECK_OK(rename("sock", "moved"));
  Fd client(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(Connect(client, "moved"));
  Fd second(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_ERRNO(Connect(second, "sock"), ENOENT);
  listener.Close();
  CHECK_ERRNO(Connect(second, "moved"), ECONNREFUSED);
  CHECK_TRUE(Exists("moved"));
  WriteFile("plain", "x");
  CHECK_ERRNO(Connect(second, "plain"), ECONNREFUSED);
}

TEST_F(SpecialFileTest, SocketPermissionIsEnforced) {
  NEEDS_ROOT();
  Fd listener(socket(AF_UNIX, SOCK_STREAM, 0));
  CHECK_OK(Bind(listener, "sock"));
  CHECK_OK(listen(listener, 4));
  CHECK_ERRNO_AS(kNobody, Connect(socket(AF_UNIX, SOCK_STREAM, 0), "sock"), EACCES);
  CHECK_OK(chmod("sock", 0777));
  CHECK_OK_AS(kNobody, Connect(socket(AF_UNIX, SOCK_STREAM, 0), "sock"));
  CHECK_OK(mkdir("d", 0755));
  CHECK_ERRNO_AS(kNobody, Bind(socket(AF_UNIX, SOCK_STREAM, 0), "d/sock"), EACCES);
}

TEST_F(SpecialFileTest, DatagramSocketReceives) {
  Fd receiver(socket(AF_UNIX, SOCK_DGRAM, 0)), sender(socket(AF_UNIX, SOCK_DGRAM, 0));
  CHECK_OK(Bind(receiver, "sock"));
  sockaddr_un address = Address("sock");
  CHECK_EQ(sendto(sender, "data", 4, 0, reinterpret_cast<sockaddr*>(&address), sizeof address), 4);
  char buffer[16];
  CHECK_EQ(recv(receiver, buffer, sizeof buffer, MSG_DONTWAIT), 4);
}

TEST_F(SpecialFileTest, DeviceNodesKeepTheirNumbers) {
  NEEDS_ROOT();
  if (mknod("probe", S_IFCHR | 0600, makedev(1, 3)) != 0 && errno == EPERM)
    GTEST_SKIP() << "mknod is not allowed here";
  struct Case {
    const char* name;
    mode_t type;
    dev_t number;
  };
  for (const Case& c : {Case{"null", S_IFCHR, makedev(1, 3)}, Case{"block", S_IFBLK, makedev(8, 17)},
                        Case{"wide", S_IFCHR, makedev(300, 70000)}}) {
    CHECK_OK(mknod(c.name, c.type | 0640, c.number));
    struct stat st = Stat(c.name);
    CHECK_EQ(st.st_mode, c.type | 0640);
    CHECK_EQ(st.st_rdev, c.number);
    CHECK_EQ(st.st_size, 0);
    CHECK_ERRNO(mknod(c.name, c.type | 0640, c.number), EEXIST);
    CHECK_OK(link(c.name, "other"));
    CHECK_EQ(Stat("other").st_rdev, c.number);
    CHECK_OK(unlink("other"));
  }
}

TEST_F(SpecialFileTest, DeviceNodesAreForRootAndOthersAreNot) {
  NEEDS_ROOT();
  CHECK_OK(mkdir("d", 0777));
  CHECK_OK(chmod("d", 0777));
  CHECK_ERRNO_AS(kNobody, mknod("d/c", S_IFCHR | 0600, makedev(1, 3)), EPERM);
  CHECK_ERRNO_AS(kNobody, mknod("d/b", S_IFBLK | 0600, makedev(8, 1)), EPERM);
  CHECK_OK_AS(kNobody, mknod("d/p", S_IFIFO | 0600, 0));
  CHECK_OK_AS(kNobody, mknod("d/r", S_IFREG | 0600, 0));
  CHECK_OK_AS(kNobody, mknod("d/s", S_IFSOCK | 0600, 0));
  CHECK_OK_AS(kNobody, mknod("d/z", 0600, 0));  // no type: a regular file
  CHECK_TRUE(S_ISREG(Stat("d/z").st_mode));
  CHECK_TRUE(S_ISSOCK(Stat("d/s").st_mode));
  CHECK_EQ(Stat("d/p").st_uid, kNobody.uid);
  CHECK_ERRNO(mknod("d/dir", S_IFDIR | 0700, 0), EPERM);
  CHECK_ERRNO(mknod("d/link", S_IFLNK | 0700, 0), EINVAL);
}

}  // namespace
}  // namespace kfs::posix_test
