// "host:port", "[::1]:port" or "unix:/path": resolving, connecting, listening. Sockets are raw, non-blocking
// descriptors.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <vector>

#include "common/status.h"
#include "rpc/event_loop.h"

namespace kfs {

constexpr uint16_t kMetaserverPort = 7400;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string ToString() const;
};

// Splits "host:port"; the port may be left out where `default_port` is not 0. Errors name the text.
Status SplitAddress(const std::string& text, uint16_t default_port, std::string* host, uint16_t* port);

// "host" of "host:port".
inline std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

// Numeric addresses and Unix paths only, at once. EINVAL when it is a name to be looked up.
Result<SocketAddress> ParseNumericAddress(const std::string& text, uint16_t default_port);

// Looks names up on a helper thread; `done` runs on the loop's thread, unless `alive` has gone by then.
void ResolveAddress(EventLoop& loop, const std::string& text, uint16_t default_port,
                    std::weak_ptr<void> alive, std::function<void(Result<std::vector<SocketAddress>>)> done);

// Starts a non-blocking connect; the descriptor becomes writable when it is done. Errors of the start only.
Result<int> StartConnect(const SocketAddress& address);
// What became of it: 0 or an errno.
int ConnectResult(int fd);

Result<int> ListenOn(const SocketAddress& address);

std::string LocalAddress(int fd);
std::string PeerAddress(int fd);

}  // namespace kfs
