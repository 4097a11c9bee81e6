// Whether a chunkserver is where it says that it is. It comes to the metaservers by itself, so that its
// `advertise` is only found wrong by the clients that try to reach it there, and wait. The metaserver dials
// it there itself, soon after it has come up and now and then, and tells when it does not get through.
//
//   up -> Ping at its address -> its uuid        -> reached, again in kEvery
//                             -> no connection   -> again in kAgain; the second time: chunkserver.unreached
//                             -> another's uuid  -> likewise
//
// A metaserver is no client: where clients live in another network it may reach what they do not, and the
// other way round. So this is an alarm, and nothing is decided by it. Loop's thread.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "common/credentials.h"
#include "common/lifetime.h"
#include "metaserver/chunks/chunkservers.h"
#include "rpc/event_loop.h"
#include "rpc/net_client.h"

namespace kfs::meta {

class ReachCheck {
 public:
  static constexpr auto kEvery = std::chrono::seconds(60);
  static constexpr auto kAgain = std::chrono::seconds(3);
  static constexpr auto kAskFor = std::chrono::seconds(2);
  static constexpr size_t kAtOnce = 8;  // connections that are being tried

  // `chunkservers` outlives it.
  ReachCheck(EventLoop& loop, Clock& clock, Chunkservers& chunkservers, Credentials credentials);
  ~ReachCheck() { lifetime_.End(); }

  // Once a second: dials those whose turn it is.
  void OnTimer();

 private:
  struct Server {
    std::string address;  // that the rest is about
    MonoTime next{};
    bool asking = false;
    int failures = 0;
  };
  void Dial(ServerId id, Server& server);
  void Answered(ServerId id, const std::string& address, const std::string& trouble);

  EventLoop& loop_;
  Clock& clock_;
  Chunkservers& chunkservers_;
  const Credentials credentials_;
  std::map<ServerId, Server> servers_;  // those that are up
  std::list<std::unique_ptr<NetClient>> links_;
  Lifetime lifetime_;
};

}  // namespace kfs::meta
