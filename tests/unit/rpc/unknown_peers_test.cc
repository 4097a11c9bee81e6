#include "rpc/unknown_peers.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "proto/op_types.h"
#include "rpc/address.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

class UnknownPeersTest : public RpcFixture {
 protected:
  ConnectionPtr Make() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    close(fds[0]);
    ConnectionPtr c;
    OnLoop(server_thread_.loop(), [&] {
      c = Connection::Adopt(server_thread_.loop(), SocketStream(server_thread_.loop(), fds[1]), {});
    });
    return c;
  }
  // A client of the fixture's server that says nothing.
  int Silent(const char* from) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {}, .sin_zero = {}};
    inet_pton(AF_INET, from, &address.sin_addr);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))));
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  static bool Closed(int fd) {
    char c;
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EINTR);
  }
  size_t Connections() {
    size_t n = 0;
    OnLoop(server_thread_.loop(), [&] { n = server_->connections().size(); });
    return n;
  }
};

TEST_F(UnknownPeersTest, TheOldestOfAnOriginGoesFirst) {
  UnknownPeers peers;
  std::vector<ConnectionPtr> all;
  const ConnectionPtr other = Make();
  EXPECT_TRUE(peers.Add(other, "10.0.0.2", MonoTime{}).empty());
  for (size_t i = 0; i < UnknownPeers::kOfOriginMax; ++i) {
    all.push_back(Make());
    ASSERT_TRUE(peers.Add(all.back(), "10.0.0.1", MonoTime{}).empty());
  }
  EXPECT_EQ(peers.Add(Make(), "10.0.0.1", MonoTime{}), std::vector{all[0]}) << "not that of another";
  peers.Remove(all[0].get());
  peers.Remove(all[1].get());  // it has greeted
  EXPECT_TRUE(peers.Add(Make(), "10.0.0.1", MonoTime{}).empty());
  EXPECT_EQ(peers.Add(Make(), "10.0.0.1", MonoTime{}), std::vector{all[2]});
  EXPECT_EQ(peers.GreetingOf(all[1].get()), nullptr);
  ASSERT_NE(peers.GreetingOf(other.get()), nullptr);
}

TEST_F(UnknownPeersTest, OriginsAreMachinesOrUsers) {
  const int fd = Silent("127.0.0.9");
  while (Connections() < 1) std::this_thread::yield();
  EXPECT_EQ(OriginOf(fd), "127.0.0.1");  // its peer's
  close(fd);
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  EXPECT_EQ(OriginOf(fds[0]), "uid " + std::to_string(geteuid()));
  close(fds[0]);
  close(fds[1]);
}

TEST_F(UnknownPeersTest, ACrowdThatSaysNothingKeepsNobodyOut) {
  std::vector<int> crowd;
  for (size_t i = 0; i < UnknownPeers::kOfOriginMax + 50; ++i) crowd.push_back(Silent("127.0.0.9"));
  const int other = Silent("127.0.0.10");
  auto closed = [&] { return std::ranges::count_if(crowd, Closed); };
  while (closed() < 50) std::this_thread::yield();
  EXPECT_FALSE(Closed(other));
  EXPECT_TRUE(Closed(crowd.front()));
  EXPECT_FALSE(Closed(crowd.back()));
  MakeClient(ClientOptions());
  EXPECT_TRUE(Send<rpc::Readlink>(pb::ReadlinkRequest()).get().status.ok());
  EXPECT_LE(Connections(), UnknownPeers::kOfOriginMax + 2);
  for (int fd : crowd) close(fd);
  close(other);
}

}  // namespace
}  // namespace kfs
