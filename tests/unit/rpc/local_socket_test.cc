// Links by Unix sockets on one machine, and sockets that somebody else has put there.
#include "rpc/local_socket.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "proto/op_types.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

class LocalSocketTest : public RpcFixture {
 protected:
  void SetUp() override {
    ASSERT_EQ(chmod(temp_.path().c_str(), 0755), 0);
    Serve();
  }
  void Serve() {
    StartServer("127.0.0.1:0", {.role = pb::HelloRequest::METASERVER,
                                .cluster_id = "cluster-a",
                                .keyring = RootKeyring(kTestSecret),
                                .policy = {.tls = TlsMode::kRequired, .socket_dir = dir_}});
  }
  Status Ask(const std::string& secret = kTestSecret) {
    OnLoop(client_thread_.loop(), [&] { client_.reset(); });
    NetClient::Options options = ClientOptions();
    options.credentials = Credentials::Root(secret).With({.tls = TlsMode::kRequired, .socket_dir = dir_});
    MakeClient(options);
    pb::ReadlinkRequest request;
    request.set_ino(1);
    return Send<rpc::Readlink>(request, std::chrono::seconds(10)).get().status;
  }
  std::string Kind() {
    std::string kind;
    OnLoop(server_thread_.loop(), [&] {
      for (const auto& c : server_->connections()) kind = c->stream().kind();
    });
    return kind;
  }
  std::string SocketPath() {
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) return entry.path();
    return {};
  }
  // Runs `fn` in a child of another user; its exit code.
  static int AsAnother(const std::function<int()>& fn) {
    const pid_t pid = fork();
    if (pid == 0) _exit(setgid(12345) != 0 || setuid(12345) != 0 ? 77 : fn());
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TempDir temp_;
  const std::string dir_ = temp_.File("sockets");
};

TEST_F(LocalSocketTest, ProgramsOfOneMachineFindEachOther) {
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "unix");
}

TEST_F(LocalSocketTest, TheKeyIsProvenAllTheSame) {
  EXPECT_EQ(Ask("quite another secret").code(), Code::kBadProof);
}

TEST_F(LocalSocketTest, AServerThatListensOnAllAddressesIsFound) {
  StopServer();
  StartServer("0.0.0.0:0", {.role = pb::HelloRequest::METASERVER,
                            .cluster_id = "cluster-a",
                            .keyring = RootKeyring(kTestSecret),
                            .policy = {.tls = TlsMode::kRequired, .socket_dir = dir_}});
  address_ = "127.0.0.1" + address_.substr(address_.rfind(':'));
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "unix");
}

TEST_F(LocalSocketTest, TheSocketGoesWithItsServer) {
  ASSERT_FALSE(SocketPath().empty());
  StopServer();
  EXPECT_EQ(SocketPath(), "");
}

TEST_F(LocalSocketTest, WhatAKilledServerLeftIsPassedOver) {
  const std::string path = SocketPath();
  ASSERT_TRUE(std::filesystem::remove(path));
  const int fd = *ListenOn(*ParseNumericAddress("unix:" + path, 0));
  close(fd);  // the file stays
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "tls");
}

TEST_F(LocalSocketTest, ADirectoryThatOthersMayWriteToIsNotTrusted) {
  ASSERT_EQ(chmod(dir_.c_str(), 0777), 0);
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "tls");
  StopServer();
  Serve();
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "tls") << "nor does a server put its socket there";
}

TEST_F(LocalSocketTest, ASquattedSocketIsPassedOver) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a socket of another user";
  const std::string path = SocketPath();
  ASSERT_TRUE(std::filesystem::remove(path));
  // Somebody else listens there: from a time when the directory was open to all.
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  ASSERT_EQ(chmod(dir_.c_str(), 0777), 0);
  const pid_t squatter = fork();
  if (squatter == 0) {
    if (setuid(12345) != 0) _exit(77);
    auto fd = ListenOn(*ParseNumericAddress("unix:" + path, 0));
    char byte = fd.ok() ? 'y' : 'n';
    if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  char byte = 'n';
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  ASSERT_EQ(chmod(dir_.c_str(), 0755), 0);
  std::string why;
  EXPECT_EQ(ConnectLocally(dir_, *ParseNumericAddress(address_, 0), &why), -1);
  EXPECT_NE(why.find("12345"), std::string::npos) << why;
  EXPECT_TRUE(Ask().ok());
  EXPECT_EQ(Kind(), "tls");
  ASSERT_EQ(write(done[1], &byte, 1), 1);
  waitpid(squatter, nullptr, 0);
  for (const int fd : {ready[0], ready[1], done[0], done[1]}) close(fd);
}

TEST_F(LocalSocketTest, AnotherUsersDirectoryCountsOnlyWhereRootHasPutIt) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make another user's directory";
  ASSERT_EQ(chmod(temp_.path().c_str(), 0777), 0);
  ASSERT_EQ(chown(dir_.c_str(), 23456, 23456), 0);
  std::string why;
  EXPECT_EQ(ConnectLocally(dir_, *ParseNumericAddress(address_, 0), &why), -1);
  EXPECT_NE(why.find("23456"), std::string::npos) << why;
  EXPECT_EQ(AsAnother([&] {
              std::string reason;
              return ConnectLocally(dir_, *ParseNumericAddress(address_, 0), &reason) == -1 && !reason.empty()
                         ? 0
                         : 1;
            }),
            0);
}

}  // namespace
}  // namespace kfs
