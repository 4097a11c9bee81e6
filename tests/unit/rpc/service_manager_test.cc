// What systemd is told.
#include "rpc/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  void TearDown() override {
    unsetenv("NOTIFY_SOCKET");
    if (fd_ >= 0) close(fd_);
  }
  // As systemd does: '@' begins an abstract name.
  void Listen(const std::string& name) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    ASSERT_LT(name.size(), sizeof(at.sun_path));
    std::memcpy(at.sun_path, name.data(), name.size());
    if (name[0] == '@') at.sun_path[0] = '\0';
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&at), length), 0) << strerror(errno);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  std::string Heard() {
    char text[64];
    const ssize_t n = recv(fd_, text, sizeof(text), MSG_DONTWAIT);
    return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
  }

  const TempDir temp_;
  int fd_ = -1;
};

TEST_F(ServiceManagerTest, HearsWhatItAskedFor) {
  Listen(temp_.File("notify"));
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
  EXPECT_EQ(Heard(), "READY=1");
  EXPECT_TRUE(TellServiceManager("STOPPING=1").ok());
  EXPECT_EQ(Heard(), "STOPPING=1");
}

TEST_F(ServiceManagerTest, HearsOnAnAbstractSocket) {
  Listen("@kfs-test-" + std::to_string(getpid()));
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
  EXPECT_EQ(Heard(), "READY=1");
}

TEST_F(ServiceManagerTest, NobodyAsks) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
  setenv("NOTIFY_SOCKET", "", 1);
  EXPECT_TRUE(TellServiceManager("READY=1").ok());
}

TEST_F(ServiceManagerTest, WhatCannotBeReachedIsAnError) {
  setenv("NOTIFY_SOCKET", temp_.File("nobody").c_str(), 1);
  EXPECT_EQ(TellServiceManager("READY=1").err(), ENOENT);
  setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
  EXPECT_EQ(TellServiceManager("READY=1").err(), EAFNOSUPPORT);
  setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  EXPECT_EQ(TellServiceManager("READY=1").err(), EAFNOSUPPORT);
}

}  // namespace
}  // namespace kfs
