#include "rpc/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <thread>

#include "rpc/event_loop_impl.h"

namespace kfs {
namespace {

constexpr char kUnixPrefix[] = "unix:";

Result<SocketAddress> UnixAddress(const std::string& text) {
  std::string path = text.substr(sizeof(kUnixPrefix) - 1);
  SocketAddress a;
  auto* un = reinterpret_cast<sockaddr_un*>(&a.storage);
  if (path.empty() || path.size() >= sizeof(un->sun_path)) {
    return Status(EINVAL, "'" + text + "': a Unix socket's path has 1 to 107 bytes");
  }
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
  a.size = sizeof(sockaddr_un);
  return a;
}

Result<std::vector<SocketAddress>> Lookup(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0)
    return Status(EHOSTUNREACH, fmt::format("cannot resolve host '{}': {}", host, gai_strerror(rc)));
  std::vector<SocketAddress> out;
  for (addrinfo* i = found; i != nullptr; i = i->ai_next) {
    SocketAddress a;
    std::memcpy(&a.storage, i->ai_addr, i->ai_addrlen);
    a.size = i->ai_addrlen;
    out.push_back(a);
  }
  freeaddrinfo(found);
  return out;
}

SocketAddress NameOf(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  SocketAddress a;
  a.size = sizeof(a.storage);
  if (get(fd, reinterpret_cast<sockaddr*>(&a.storage), &a.size) != 0) a.size = 0;
  return a;
}

}  // namespace

std::string SocketAddress::ToString() const {
  if (size == 0) return "?";
  char text[INET6_ADDRSTRLEN];
  switch (storage.ss_family) {
    case AF_INET: {
      auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
      inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
      return fmt::format("{}:{}", text, ntohs(in->sin_port));
    }
    case AF_INET6: {
      auto* in = reinterpret_cast<const sockaddr_in6*>(&storage);
      inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
      return fmt::format("[{}]:{}", text, ntohs(in->sin6_port));
    }
    case AF_UNIX:
      return std::string(kUnixPrefix) + reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
    default:
      return "?";
  }
}

Status SplitAddress(const std::string& text, uint16_t default_port, std::string* host, uint16_t* port) {
  std::string port_text;
  if (!text.empty() && text[0] == '[') {
    size_t close = text.find(']');
    if (close == std::string::npos) return Status(EINVAL, "'" + text + "': ']' is missing");
    *host = text.substr(1, close - 1);
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return Status(EINVAL, "'" + text + "': want [address]:port");
      port_text = text.substr(close + 2);
    }
  } else if (size_t colon = text.rfind(':'); colon != std::string::npos && text.find(':') == colon) {
    *host = text.substr(0, colon);
    port_text = text.substr(colon + 1);
  } else {
    *host = text;  // a name without a port, or a bare IPv6 address
  }
  if (host->empty()) return Status(EINVAL, "'" + text + "': the host is missing (want host:port)");
  if (port_text.empty()) {
    if (default_port == 0) return Status(EINVAL, "'" + text + "': the port is missing (want host:port)");
    *port = default_port;
    return {};
  }
  auto [end, ec] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), *port);
  if (ec != std::errc() || end != port_text.data() + port_text.size()) {
    return Status(EINVAL, "'" + text + "': '" + port_text + "' is not a port (0 to 65535)");
  }
  return {};
}

Result<SocketAddress> ParseNumericAddress(const std::string& text, uint16_t default_port) {
  if (text.starts_with(kUnixPrefix)) return UnixAddress(text);
  std::string host;
  uint16_t port = 0;
  KFS_RETURN_IF_ERROR(SplitAddress(text, default_port, &host, &port));
  auto found = Lookup(host, port, AI_NUMERICHOST);
  if (!found.ok()) return Status(EINVAL, "'" + text + "' is not a numeric address");
  return found->front();
}

void ResolveAddress(EventLoop& loop, const std::string& text, uint16_t default_port,
                    std::weak_ptr<void> alive, std::function<void(Result<std::vector<SocketAddress>>)> done) {
  std::string host;
  uint16_t port = 0;
  Result<std::vector<SocketAddress>> at_once = std::vector<SocketAddress>{};
  if (auto numeric = ParseNumericAddress(text, default_port); numeric.ok()) {
    at_once->push_back(*numeric);
  } else if (Status s = SplitAddress(text, default_port, &host, &port); !s.ok()) {
    at_once = s;
  } else {
    // getaddrinfo blocks, for many seconds if a name server is away. The thread may outlive its asker and the
    // loop: it keeps what it posts to.
    std::thread([impl = loop.shared_impl(), host, port, alive, done] {
      auto result = Lookup(host, port, 0);
      impl->Post([alive, result, done] {
        if (auto still = alive.lock()) done(result);
      });
    }).detach();
    return;
  }
  loop.Post([alive, at_once, done] {
    if (auto still = alive.lock()) done(at_once);
  });
}

Result<int> StartConnect(const SocketAddress& address) {
  int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "socket");
  if (address.storage.ss_family != AF_UNIX) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno != EINPROGRESS) {
    int err = errno;
    close(fd);
    return ErrnoStatus(err, "connect to " + address.ToString());
  }
  return fd;
}

int ConnectResult(int fd) {
  int err = 0;
  socklen_t size = sizeof(err);
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0) return errno;
  return err;
}

Result<int> ListenOn(const SocketAddress& address) {
  int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "socket");
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.storage.ss_family == AF_UNIX)
    unlink(reinterpret_cast<const sockaddr_un*>(&address.storage)->sun_path);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      listen(fd, 1024) != 0) {
    int err = errno;
    close(fd);
    std::string hint = err == EADDRINUSE ? " (another program listens there)" : "";
    return ErrnoStatus(err, "cannot listen on " + address.ToString() + hint);
  }
  return fd;
}

std::string LocalAddress(int fd) { return NameOf(fd, getsockname).ToString(); }
std::string PeerAddress(int fd) { return NameOf(fd, getpeername).ToString(); }

}  // namespace kfs
