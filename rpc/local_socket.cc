#include "rpc/local_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace kfs {
namespace {

// "4026531840"; empty where /proc is not there.
std::string NetworkNamespace() {
  struct stat st;
  return stat("/proc/self/ns/net", &st) == 0 ? std::to_string(st.st_ino) : std::string();
}

SocketAddress AnyOf(SocketAddress a, int family) {
  const in_port_t port = a.storage.ss_family == AF_INET
                             ? reinterpret_cast<sockaddr_in*>(&a.storage)->sin_port
                             : reinterpret_cast<sockaddr_in6*>(&a.storage)->sin6_port;
  SocketAddress any;
  any.storage.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&any.storage)->sin_port = port;
    any.size = sizeof(sockaddr_in);
  } else {
    reinterpret_cast<sockaddr_in6*>(&any.storage)->sin6_port = port;
    any.size = sizeof(sockaddr_in6);
  }
  return any;
}

bool IsInternet(const SocketAddress& a) {
  return a.size != 0 && (a.storage.ss_family == AF_INET || a.storage.ss_family == AF_INET6);
}

// Whether the address is one of this machine's: the kernel would then speak to it from that very address, but
// for the many of 127.0.0.0/8.
bool IsOurs(const SocketAddress& a) {
  if (a.storage.ss_family == AF_INET) {
    const in_addr_t address = reinterpret_cast<const sockaddr_in*>(&a.storage)->sin_addr.s_addr;
    if (ntohl(address) >> 24 == IN_LOOPBACKNET) return true;
  }
  const int fd = socket(a.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&a.storage), a.size) == 0;
  const std::string local = connected ? LocalAddress(fd) : std::string();
  close(fd);
  return HostOf(local) == HostOf(a.ToString());
}

Result<SocketAddress> PathOf(const std::string& dir, const SocketAddress& tcp) {
  const std::string ns = NetworkNamespace();
  if (ns.empty()) return Status(ENOENT, "/proc/self/ns/net cannot be read");
  return ParseNumericAddress("unix:" + dir + "/" + ns + "-" + tcp.ToString(), 0);
}

bool OnlyOwnerWrites(const struct stat& st) { return S_ISDIR(st.st_mode) && (st.st_mode & 022) == 0; }

// Whose sockets in the directory count; EACCES: nobody's.
Result<uid_t> OwnerOf(const std::string& dir) {
  struct stat st, parent;
  if (lstat(dir.c_str(), &st) != 0) return ErrnoStatus(errno, dir);
  if (!OnlyOwnerWrites(st))
    return Status(EACCES, dir + " can be written to by others than its owner: chmod 755 it");
  if (st.st_uid == 0 || st.st_uid == geteuid()) return st.st_uid;
  // Somebody else's: then root must have put it there.
  const std::string above = std::filesystem::path(dir).parent_path();
  if (lstat(above.c_str(), &parent) == 0 && OnlyOwnerWrites(parent) && parent.st_uid == 0) return st.st_uid;
  return Status(EACCES, fmt::format("{} belongs to uid {}, whom root has not put there", dir, st.st_uid));
}

int ConnectTo(const SocketAddress& path, uid_t owner, std::string* why) {
  const auto* un = reinterpret_cast<const sockaddr_un*>(&path.storage);
  struct stat st;
  if (lstat(un->sun_path, &st) != 0) return -1;
  Result<int> fd = StartConnect(path);
  if (!fd.ok()) return -1;  // the server was killed: its address tells more
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == owner && st.st_uid == owner)
    return *fd;
  close(*fd);
  *why = fmt::format("the socket {} is uid {}'s, not that of the directory's owner, {}", un->sun_path,
                     peer.uid, owner);
  return -1;
}

}  // namespace

Result<int> ListenLocally(const std::string& dir, const SocketAddress& tcp, std::string* path) {
  if (!IsInternet(tcp)) return Status(EAFNOSUPPORT, "no TCP address");
  if (mkdir(dir.c_str(), 0755) == 0 && chmod(dir.c_str(), 0755) != 0) return ErrnoStatus(errno, dir);
  Result<uid_t> owner = OwnerOf(dir);
  if (!owner.ok()) return owner.status();
  if (*owner != geteuid())
    return Status(EACCES, fmt::format("{} belongs to uid {}, we run as {}", dir, *owner, geteuid()));
  Result<SocketAddress> at = PathOf(dir, tcp);
  if (!at.ok()) return at.status();
  Result<int> fd = ListenOn(*at);
  if (!fd.ok()) return fd.status();
  *path = reinterpret_cast<const sockaddr_un*>(&at->storage)->sun_path;
  if (chmod(path->c_str(), 0666) == 0) return fd;  // keys, not modes, say who may
  const int err = errno;
  close(*fd);
  return ErrnoStatus(err, *path);
}

int ConnectLocally(const std::string& dir, const SocketAddress& tcp, std::string* why) {
  if (dir.empty() || !IsInternet(tcp) || access(dir.c_str(), X_OK) != 0 || !IsOurs(tcp)) return -1;
  Result<uid_t> owner = OwnerOf(dir);
  if (!owner.ok()) {
    *why = owner.status().message();
    return -1;
  }
  for (const SocketAddress& a : {tcp, AnyOf(tcp, tcp.storage.ss_family), AnyOf(tcp, AF_INET6)}) {
    Result<SocketAddress> path = PathOf(dir, a);
    if (!path.ok()) return -1;
    if (int fd = ConnectTo(*path, *owner, why); fd >= 0 || !why->empty()) return fd;
  }
  return -1;
}

}  // namespace kfs
