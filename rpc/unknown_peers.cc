#include "rpc/unknown_peers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace kfs {

std::string OriginOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char text[INET6_ADDRSTRLEN] = "";
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "?";
  if (address.ss_family == AF_INET) {
    in_addr in{};
    std::memcpy(&in, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in, sin_addr), sizeof(in));
    return inet_ntop(AF_INET, &in, text, sizeof(text)) == nullptr ? "?" : text;
  }
  if (address.ss_family == AF_INET6) {
    in6_addr in{};
    std::memcpy(&in, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in6, sin6_addr), sizeof(in));
    std::memset(in.s6_addr + 8, 0, 8);  // a machine may have as many addresses of these as it likes
    return inet_ntop(AF_INET6, &in, text, sizeof(text)) == nullptr ? "?" : text;
  }
  ucred peer{};
  socklen_t peer_size = sizeof(peer);
  if (address.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0)
    return fmt::format("uid {}", peer.uid);
  return "?";
}

std::vector<ConnectionPtr> UnknownPeers::Add(const ConnectionPtr& connection, const std::string& origin,
                                             MonoTime now) {
  std::vector<ConnectionPtr> gone;
  std::set<uint64_t>& of_origin = by_origin_[origin];
  if (of_origin.size() >= kOfOriginMax) {
    gone.push_back(peers_.at(*of_origin.begin()).connection);
  } else if (peers_.size() >= kMax) {
    gone.push_back(peers_.begin()->second.connection);
  }
  const uint64_t number = next_++;
  of_origin.insert(number);
  numbers_[connection.get()] = number;
  peers_[number] = {.connection = connection, .origin = origin, .greeting = {}, .since = now};
  return gone;
}

void UnknownPeers::Remove(const Connection* connection) {
  auto number = numbers_.find(connection);
  if (number == numbers_.end()) return;
  auto peer = peers_.find(number->second);
  auto of_origin = by_origin_.find(peer->second.origin);
  of_origin->second.erase(number->second);
  if (of_origin->second.empty()) by_origin_.erase(of_origin);
  numbers_.erase(number);
  peers_.erase(peer);
}

std::vector<ConnectionPtr> UnknownPeers::WaitingSince(MonoTime before) const {
  std::vector<ConnectionPtr> late;
  for (auto it = peers_.begin(); it != peers_.end() && it->second.since <= before; ++it)
    late.push_back(it->second.connection);
  return late;
}

UnknownPeers::Greeting* UnknownPeers::GreetingOf(const Connection* connection) {
  auto number = numbers_.find(connection);
  return number == numbers_.end() ? nullptr : &peers_.at(number->second).greeting;
}

}  // namespace kfs
