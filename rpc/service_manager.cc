#include "rpc/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace kfs {

Status TellServiceManager(std::string_view state) {
  const char* socket_name = std::getenv("NOTIFY_SOCKET");
  if (socket_name == nullptr || *socket_name == '\0') return {};
  const size_t size = std::strlen(socket_name);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if ((socket_name[0] != '/' && socket_name[0] != '@') || size >= sizeof(to.sun_path))
    return Status(EAFNOSUPPORT, std::string("NOTIFY_SOCKET=") + socket_name);
  std::memcpy(to.sun_path, socket_name, size);
  if (socket_name[0] == '@') to.sun_path[0] = '\0';  // an abstract one
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "a socket for NOTIFY_SOCKET");
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  const ssize_t sent = sendto(fd, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                              reinterpret_cast<const sockaddr*>(&to), length);
  const int err = errno;
  close(fd);
  return sent == static_cast<ssize_t>(state.size()) ? Status() : ErrnoStatus(err, "sending to NOTIFY_SOCKET");
}

}  // namespace kfs
