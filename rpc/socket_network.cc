// Connecting by way of resolving, the Unix socket beside an address, and each address of a name in turn;
// accepting no more at once than leaves time for those who are served.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <utility>
#include <vector>

#include "common/log.h"
#include "rpc/address.h"
#include "rpc/asio_loop.h"
#include "rpc/local_socket.h"
#include "rpc/network.h"
#include "rpc/stall.h"
#include "rpc/unknown_peers.h"

namespace kfs {
namespace {

namespace asio = boost::asio;

// Connections taken from the queue at once; those that are served have their turn in between.
constexpr int kAcceptsAtOnce = 32;
constexpr auto kAcceptPause = std::chrono::milliseconds(1);
// Without descriptors a pending connection stays readable: no use in looking again at once.
constexpr auto kNoDescriptorPause = std::chrono::milliseconds(200);

class SocketDialing : public Network::Dialing {
 public:
  SocketDialing(EventLoop& loop, const std::string& address, Network::DialOptions options,
                Network::DialedFn done)
      : state_(std::make_shared<State>(loop, address, std::move(options), std::move(done))) {
    state_->Resolve();
  }
  ~SocketDialing() override { state_->GiveUp(); }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(EventLoop& l, const std::string& a, Network::DialOptions o, Network::DialedFn d)
        : loop(l), address(a), options(std::move(o)), done(std::move(d)) {}

    void Resolve() {
      ResolveAddress(loop, address, kMetaserverPort, std::weak_ptr<void>(shared_from_this()),
                     [this](Result<std::vector<SocketAddress>> found) {
                       if (!done) return;
                       if (!found.ok()) return Done(found.status());
                       addresses = std::move(*found);
                       Try(0);
                     });
    }
    void Try(size_t index) {
      const SocketAddress& to = addresses[index];
      std::string distrust;
      if (int local = ConnectLocally(options.socket_dir, to, &distrust); local >= 0) return Connected(local);
      if (!distrust.empty())
        KFS_LOG(warn, "net.local_socket_refused server=\"{}\" reason=\"{}\"", options.whom, distrust);
      auto fd = StartConnect(to);
      if (!fd.ok()) return Failed(index, fd.status().err());
      connecting = std::make_unique<asio::posix::stream_descriptor>(AsioContext(loop), *fd);
      connecting->async_wait(asio::posix::stream_descriptor::wait_write,
                             [self = shared_from_this(), index](const boost::system::error_code& error) {
                               if (error || !self->done) return;
                               TickBegins();
                               const int socket = self->connecting->release();
                               self->connecting.reset();
                               if (int err = ConnectResult(socket); err != 0) {
                                 close(socket);
                                 return self->Failed(index, err);
                               }
                               self->Connected(socket);
                             });
    }
    void Failed(size_t index, int err) {
      if (index + 1 < addresses.size()) return Try(index + 1);
      Done(Status(err, fmt::format("cannot connect to {} at {}", options.whom, addresses[index].ToString())));
    }
    void Connected(int fd) {
      if (options.hard_close) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      }
      Done(SocketStream(loop, fd));
    }
    void Done(Result<std::unique_ptr<ByteStream>> result) {
      auto keep = shared_from_this();
      std::exchange(done, nullptr)(std::move(result));
    }
    void GiveUp() {
      done = nullptr;
      connecting.reset();
    }

    EventLoop& loop;
    const std::string address;
    const Network::DialOptions options;
    Network::DialedFn done;  // null: nobody waits any more
    std::vector<SocketAddress> addresses;
    std::unique_ptr<asio::posix::stream_descriptor> connecting;
  };
  const std::shared_ptr<State> state_;
};

class SocketListener : public Network::Listener {
 public:
  SocketListener(EventLoop& loop, int fd, Network::AcceptFn accept)
      : state_(std::make_shared<State>(loop, fd, std::move(accept))) {}
  ~SocketListener() override { state_->Close(); }
  std::string address() const override { return state_->address; }

  // A server without a socket beside its address is as reachable as with one.
  void ListenBeside(const std::string& dir) {
    State& s = *state_;
    Result<SocketAddress> own = ParseNumericAddress(s.address, 0);
    if (dir.empty() || !own.ok() || own->storage.ss_family == AF_UNIX) return;
    Result<int> fd = ListenLocally(dir, *own, &s.local_path);
    if (!fd.ok()) {
      KFS_LOG(info, "server.no_local_socket address={} reason=\"{}\"", s.address, fd.status().ToString());
      return;
    }
    s.local_fd = *fd;
  }
  void Start() {
    auto start = [state = state_] { state->WatchSockets(); };
    if (state_->loop.InLoopThread()) return start();
    state_->loop.Post(start);
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(EventLoop& l, int f, Network::AcceptFn a)
        : loop(l), accept(std::move(a)), address(LocalAddress(f)), fd(f) {}

    void WatchSockets() {
      if (fd < 0) return;
      watch = loop.WatchReadable(fd, [this] { Accept(fd); });
      if (local_fd >= 0) local_watch = loop.WatchReadable(local_fd, [this] { Accept(local_fd); });
    }
    void Accept(int listener) {
      auto keep = shared_from_this();
      for (int i = 0; i < kAcceptsAtOnce && fd >= 0; ++i) {
        const int taken = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken < 0) {
          if (errno != EMFILE && errno != ENFILE && errno != ENOMEM) return;
          KFS_LOG(warn, "server.accept_failed address={} reason=\"{}\"", address, ErrnoText(errno));
          return Pause(kNoDescriptorPause);
        }
        if (listener == fd && !address.starts_with("unix:")) {
          const int on = 1;
          setsockopt(taken, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        accept(SocketStream(loop, taken), OriginOf(taken));
      }
      if (fd >= 0) Pause(kAcceptPause);
    }
    void Pause(Duration pause) {
      watch.reset();
      local_watch.reset();
      accept_pause = loop.RunAfter(pause, [this] { WatchSockets(); });
    }
    void Close() {
      watch.reset();
      local_watch.reset();
      accept_pause.Cancel();
      if (local_fd >= 0) {
        unlink(local_path.c_str());
        close(local_fd);
      }
      if (fd >= 0) close(fd);
      fd = local_fd = -1;
    }

    EventLoop& loop;
    const Network::AcceptFn accept;
    const std::string address;
    int fd = -1, local_fd = -1;  // TCP (or a Unix socket by name); the Unix socket beside it
    std::string local_path;
    std::unique_ptr<EventLoop::Watch> watch, local_watch;
    EventLoop::Timer accept_pause;
  };
  const std::shared_ptr<State> state_;
};

class Sockets : public Network {
 public:
  std::unique_ptr<Dialing> Dial(EventLoop& loop, const std::string& address, const DialOptions& options,
                                DialedFn done) override {
    return std::make_unique<SocketDialing>(loop, address, options, std::move(done));
  }
  Result<std::unique_ptr<Listener>> Listen(EventLoop& loop, const std::string& address,
                                           const std::string& socket_dir, AcceptFn accept) override {
    auto parsed = ParseNumericAddress(address, 0);
    if (!parsed.ok())
      return Status(EINVAL, "cannot listen on '" + address + "': want a numeric address and a port");
    Result<int> fd = ListenOn(*parsed);
    if (!fd.ok()) return fd.status();
    auto listener = std::make_unique<SocketListener>(loop, *fd, std::move(accept));
    listener->ListenBeside(socket_dir);
    listener->Start();
    return std::unique_ptr<Listener>(std::move(listener));
  }
};

}  // namespace

std::unique_ptr<Network> SocketNetwork() { return std::make_unique<Sockets>(); }

}  // namespace kfs
