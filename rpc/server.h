// The server side: listens, greets (Hello with proof of a key that the keyring knows), and hands the requests
// of those who have greeted to its dispatcher, by which it also serves those that come on connections which
// the program has made itself. Everything on one loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "common/credentials.h"
#include "rpc/connection.h"
#include "rpc/dispatcher.h"
#include "rpc/keyring.h"
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
  Server(EventLoop& loop, ServerIdentity identity);
  ~Server();

  // "host:port"; port 0 takes a free one. Errors name the address.
  Status Listen(const std::string& address);
  std::string address() const;  // with the port taken

  // For a server that learns its cluster later; greetings from then on say it.
  void SetClusterId(std::string cluster_id);

  // Where handlers are registered. Hello and HelloProof are the server's own.
  const std::shared_ptr<Dispatcher>& dispatcher() const;
  template <typename Rpc, typename Fn>
  void Handle(Fn fn) {
    dispatcher()->Handle<Rpc>(std::move(fn));
  }
  void Handle(Op op, Dispatcher::Handler handler) { dispatcher()->Handle(op, std::move(handler)); }
  // Called after a connection ended.
  void OnDisconnect(std::function<void(const ConnectionPtr&)> fn);
  // Stops listening, calls no handler any more, and closes all connections after what is queued has been
  // sent.
  void Stop();

  const std::unordered_set<ConnectionPtr>& connections() const;
  const std::shared_ptr<OpCounts>& counts() const { return dispatcher()->counts(); }
  uint64_t bad_frames() const;  // malformed input of any kind

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace kfs
