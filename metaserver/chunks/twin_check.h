// Whether a chunkserver that registers is the one whose uuid it has. A copy of a data directory, started
// beside the original, has it too: new chunks would go to either, and be lost with the one that is stopped.
//
//   Admit -> the known one, at the address that is known -> yes, at once
//         -> another, while the known one is connected   -> does it answer there (Ping)? kRunsTwice : later
//         -> another, the known one is not connected     -> who answers at the addresses at which we, and
//              the other members, know it: the uuid in another process -> kRunsTwice
//                                          somebody who says nothing   -> later
//                                          nobody                      -> it has moved: yes
//
// The address decides, not who comes first: after a restart of the metaserver a copy gets no further than
// before. Loop's thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/lifetime.h"
#include "metaserver/chunks/chunkservers.h"
#include "rpc/event_loop.h"
#include "rpc/net_client.h"

namespace kfs::meta {

class TwinCheck {
 public:
  // All of it, so that one that is just being started has a chance to answer. A chunkserver that has moved
  // waits so long.
  static constexpr auto kAskFor = std::chrono::seconds(2);
  static constexpr auto kSayAgainAfter = std::chrono::minutes(1);

  // What another member knows of it.
  struct Sighting {
    std::string address;
    bool up = false;
  };
  using SeenFn = std::function<void(const Sighting&)>;
  // Asks the other members: `seen` for each that knows it, then `done`, once, in a bounded time.
  using AskOthersFn = std::function<void(const std::string& uuid, SeenFn seen, std::function<void()> done)>;

  // `chunkservers` outlives it.
  TwinCheck(EventLoop& loop, Chunkservers& chunkservers, Credentials credentials, AskOthersFn ask_others);
  ~TwinCheck() { lifetime_.End(); }

  // `done` comes once (not when this has gone meanwhile), within some seconds: OK, to be registered before
  // anything else happens; EEXIST/kRunsTwice; EAGAIN/kTryAgain. One that is not known is nobody's twin.
  void Admit(const pb::RegisterChunkserverRequest& request, std::function<void(Status)> done);

 private:
  struct Question;
  enum class Answerer { kNobody, kSilent, kSame, kTwin };

  void AskConnected(const std::shared_ptr<Question>& q, const std::shared_ptr<Connection>& known);
  void AskAround(const std::shared_ptr<Question>& q);
  void AskAt(const std::shared_ptr<Question>& q, const std::string& address, bool up);
  void Closed(const std::shared_ptr<Question>& q);
  void Answered(const std::shared_ptr<Question>& q, const std::string& address, Answerer who);
  void Refuse(const std::shared_ptr<Question>& q, const std::string& address);
  void Later(const std::shared_ptr<Question>& q, const std::string& why);
  void Accept(const std::shared_ptr<Question>& q);
  void End(const std::shared_ptr<Question>& q, Status status);

  EventLoop& loop_;
  Chunkservers& chunkservers_;
  const Credentials credentials_;
  const AskOthersFn ask_others_;
  std::set<std::string> open_;                   // uuids about which a question is under way: one at a time
  std::map<std::string, MonoTime> said_;         // by uuid: when a refusal was logged
  std::list<std::unique_ptr<NetClient>> links_;  // to those who are asked
  Lifetime lifetime_;
};

}  // namespace kfs::meta
