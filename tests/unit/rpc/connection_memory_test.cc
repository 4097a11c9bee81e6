// What peers make a program keep, all of them together.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <list>

#include "common/limits.h"
#include "rpc/event_loop_impl.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

constexpr size_t kKeptOfAllMax = 512u << 20, kKeptAlways = 64u << 10;

// Many connections whose requests nobody answers yet; all on the loop of the server.
class ConnectionMemoryTest : public RpcFixture {
 protected:
  struct Peer {
    int fd = -1;
    ConnectionPtr connection;
    std::list<IncomingCallPtr> calls;
    size_t arrived = 0;
  };

  void TearDown() override {
    OnLoop(loop_, [&] {
      for (Peer& p : peers_) {
        p.calls.clear();
        p.connection->Close(Status(ECANCELED, "test"));
        p.connection.reset();
        close(p.fd);
      }
    });
    EXPECT_EQ(Kept(), 0u);  // nothing of a closed connection counts for ever
    RpcFixture::TearDown();
  }
  Peer& Connect() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    EXPECT_EQ(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    Peer& p = peers_.emplace_back();
    p.fd = fds[0];
    OnLoop(loop_, [&] {
      p.connection = Connection::Adopt(loop_, SocketStream(loop_, fds[1]),
                                       {.on_request =
                                            [&p](IncomingCallPtr call) {
                                              ++p.arrived;
                                              p.calls.push_back(std::move(call));
                                            },
                                        .on_close = {}});
      p.connection->greeted = true;
    });
    return p;
  }
  static void Send(const Peer& p, const std::string& bytes) {
    ASSERT_EQ(write(p.fd, bytes.data(), bytes.size()), ssize_t(bytes.size()));
  }
  // `count` requests that cost their sender little, and may have large answers.
  static std::string Listings(uint64_t count) {
    pb::ReaddirRequest request;
    request.set_max_bytes(kReaddirBytesMax);
    std::string bytes;
    for (uint64_t seq = 1; seq <= count; ++seq) bytes += *EncodeFrame(Op::kReaddir, 0, seq, request, 0);
    return bytes;
  }
  size_t Kept() {
    size_t n = 0;
    OnLoop(loop_, [&] { n = *loop_.impl().kept_for_peers; });
    return n;
  }

  EventLoop& loop_ = server_thread_.loop();
  std::list<Peer> peers_;
};

TEST_F(ConnectionMemoryTest, OfAllConnectionsIsBoundedAndEachGoesOn) {
  constexpr size_t kGreedy = 100, kEach = 60;  // nearly 16 MiB each
  for (size_t i = 0; i < kGreedy; ++i) Send(Connect(), Listings(kEach));
  const auto in_service = [&](const Peer& p) {
    size_t n = 0;
    OnLoop(loop_, [&] { n = p.connection->requests_in_service(); });
    return n;
  };
  while (Kept() < kKeptOfAllMax || in_service(peers_.back()) == 0) std::this_thread::yield();
  Peer& modest = Connect();
  Send(modest, Listings(3));
  while (in_service(modest) == 0) std::this_thread::yield();
  const size_t kept_max = kKeptOfAllMax + (kGreedy + 1) * (kKeptAlways + kReaddirBytesMax + 512);
  for (int i = 0; i < 100; ++i) EXPECT_LE(Kept(), kept_max);
  EXPECT_EQ(in_service(modest), 1u);
  // One after the other, while the others have what they have.
  for (size_t n = 1; n <= 3; ++n) {
    size_t arrived = 0;
    while (arrived < n) OnLoop(loop_, [&] { arrived = modest.arrived; });
    OnLoop(loop_, [&] {
      modest.calls.front()->Fail(Status(ENOENT, "test"));
      modest.calls.pop_front();
    });
  }
  // All are served in the end.
  const auto all = [&] {
    size_t n = 0;
    OnLoop(loop_, [&] {
      for (Peer& p : peers_) {
        for (const IncomingCallPtr& call : p.calls) call->Fail(Status(ENOENT, "test"));
        p.calls.clear();
        n += p.arrived;
      }
    });
    return n;
  };
  while (all() < kGreedy * kEach + 3) std::this_thread::yield();
}

TEST_F(ConnectionMemoryTest, ABodyThatIsOnlyAnnouncedTakesNone) {
  constexpr size_t kPeers = 200;
  std::string header(kFrameHeaderSize, '\0');
  EncodeHeader({.op = static_cast<uint16_t>(Op::kGetattr), .seq = 1, .body_size = kFrameBodyMax},
               header.data());
  const uint64_t before = loop_.ResidentBytes();
  for (size_t i = 0; i < kPeers; ++i) Send(Connect(), header + "x");
  const auto heard = [&] {
    bool all = true;
    OnLoop(loop_, [&] {
      for (const Peer& p : peers_) {
        int unread = 0;
        all = all && ioctl(p.fd, TIOCOUTQ, &unread) == 0 && unread == 0;
      }
    });
    return all;
  };
  while (!heard()) std::this_thread::yield();
  EXPECT_LT(loop_.ResidentBytes(), before + kPeers * (kFrameBodyMax / 4));
}

}  // namespace
}  // namespace kfs
