// The server side: listens, greets (Hello with proof of a key that the keyring knows), checks that the op
// exists and that the peer's role may send it, and hands requests to the handlers by op. Everything on one
// loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/credentials.h"
#include "rpc/connection.h"
#include "rpc/keyring.h"
#include "rpc/op_counts.h"
#include "rpc/seen_peers.h"

namespace kfs {

struct ServerIdentity {
  pb::HelloRequest::Role role = pb::HelloRequest::METASERVER;
  std::string cluster_id;                  // empty: not yet known, accepts any
  std::shared_ptr<const Keyring> keyring;  // what opens it
  std::string uuid, instance;              // told in greetings, and to those who Ping; empty: nothing is told
  // A peer that connects anew sends again what it had under way: what still lies unread on its earlier
  // connection (same id and role) must not be executed after that, so a greeting closes it. Where sessions
  // say who is who (the metaserver), attaching does this instead.
  bool newest_connection_only = false;
  LinkPolicy policy = {};
  std::shared_ptr<SeenPeers> seen = {};  // null: remembered by this server alone
};

class Server {
 public:
  using Handler = std::function<void(IncomingCallPtr)>;

  Server(EventLoop& loop, ServerIdentity identity);
  ~Server();

  // "host:port"; port 0 takes a free one. Errors name the address.
  Status Listen(const std::string& address);
  std::string address() const;  // with the port taken

  // For a server that learns its cluster later; greetings from then on say it.
  void SetClusterId(std::string cluster_id);

  // One handler an op. A request for an op without one is answered with EOPNOTSUPP.
  void Handle(Op op, Handler handler);
  // Typed: parses first. fn(IncomingCallPtr, const Request&). REQUIRES: the request is not needed after fn
  // returns.
  template <typename Rpc, typename Fn>
  void Handle(Fn fn) {
    Handle(Rpc::kOp, [fn](IncomingCallPtr call) {
      typename Rpc::Request request;
      if (call->Parse(&request)) fn(std::move(call), request);
    });
  }
  // Ops whose handlers do their work at once: connections take turns at them (rpc/call_turns.h). Without,
  // Ping alone.
  void InTurns(std::function<bool(Op)> which);
  // Called after a connection ended.
  void OnDisconnect(std::function<void(const ConnectionPtr&)> fn);
  // Stops listening, calls no handler any more, and closes all connections after what is queued has been
  // sent.
  void Stop();

  const std::unordered_set<ConnectionPtr>& connections() const;
  // Of its requests; whoever serves requests on other connections may count there, too.
  const std::shared_ptr<OpCounts>& counts() const;
  uint64_t bad_frames() const;  // malformed input of any kind

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace kfs
