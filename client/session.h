// The mount's session at the metaserver: opened on the first connection, attached again on later ones, told
// to a restarted metaserver (Reclaim), kept alive at a third of its time to live, and replaced, loudly, when
// the metaserver no longer knows it.
//
//   connected -> OpenSession(id, key) -+- same incarnation ------------------------> ready: pending calls are
//                                      |                                             sent
//                                      +- another incarnation -> Reclaim... -------> ready
//                                      +- expired meanwhile -> all held is lost ...-> as above
//                                      +- kUnknownSession -> on_lost -> OpenSession() -> ready
//
// Worker's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/held_state.h"
#include "client/op_ids.h"
#include "rpc/net_client.h"

namespace kfs {

class Session : public std::enable_shared_from_this<Session> {
 public:
  struct Options {
    std::string volume;
    std::string mountpoint;
  };
  struct Hooks {
    std::function<void()> on_attached;              // each time, before `ready`
    std::function<void()> on_lost;                  // pending mutations must end now
    std::function<void()> on_held_lost;             // those that rest on an open file or a lock must
    std::function<void(const Status&)> on_refused;  // no session at the first try: Connect fails
  };

  Session(EventLoop& loop, Options options, Hooks hooks);

  // What NetClient::OnConnected wants.
  void Attach(const ConnectionPtr& connection, NetClient::ReadyFn ready);
  // Starts to keep the session alive over `net`.
  void KeepAlive(std::shared_ptr<NetClient> net);
  void Stop();

  OpIds& ids() { return ids_; }
  // Called for each op id given out.
  void IdGiven(uint64_t id);
  HeldState& held() { return held_; }
  uint64_t id() const { return session_; }
  uint64_t incarnation() const { return incarnation_; }
  uint64_t attaches() const { return attaches_; }
  uint64_t chunk_size() const { return chunk_size_; }
  uint32_t volume() const { return volume_; }

 private:
  struct Attaching;
  void Open(const std::shared_ptr<Attaching>& a);
  void OnOpened(const std::shared_ptr<Attaching>& a, const Answer& answer);
  void Reclaim(const std::shared_ptr<Attaching>& a);
  void Ready(const std::shared_ptr<Attaching>& a);
  void HeldLost(const std::string& why);
  void Lost(const Status& why);
  void SendKeepAlive();

  EventLoop& loop_;
  const Options options_;
  Hooks hooks_;
  std::weak_ptr<NetClient> net_;
  OpIds ids_;
  HeldState held_;
  uint64_t session_ = 0;
  std::string key_;
  uint64_t incarnation_ = 0;
  uint32_t expiries_ = 0;
  uint64_t attaches_ = 0;
  uint64_t chunk_size_ = 0;
  uint32_t volume_ = 0;
  Duration ttl_{};
  EventLoop::Timer keep_alive_;
  bool keep_alive_pending_ = false;
};

}  // namespace kfs
