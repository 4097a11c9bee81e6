// Serves the requests that come in a program, on connections that others have made to it and on those that it
// has made itself, by one table of handlers: is there such an op, may the one at the other end send it, does
// its connection have the session that it needs, whose turn is it, how long did it take.
//
// How many requests one connection may have in service, and their bytes, is bounded before they come here
// (rpc/connection.h). Held by shared_ptr. Loop's thread only.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "proto/ops.h"
#include "rpc/call_turns.h"
#include "rpc/connection.h"
#include "rpc/op_counts.h"

namespace kfs {

class Dispatcher {
 public:
  using Handler = std::function<void(IncomingCallPtr)>;

  struct Options {
    pb::HelloRequest::Role role = pb::HelloRequest::METASERVER;  // of the program
    std::string uuid, instance;                                  // told to those who Ping; empty: nothing
  };
  // It answers Ping by itself.
  Dispatcher(EventLoop& loop, Options options);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

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
  // Asked before a handler of an op that needs a session; an error is the answer. Without, none is refused.
  void CheckSession(std::function<Status(const Connection&)> check);

  // Every op that the table lets programs of this role serve has a handler, and no other has one: who serves
  // asks before it begins. Else ENOSYS, with their names.
  Status Complete() const;

  // No handler is called after it: whom they serve may be gone.
  void Stop() { stopped_ = true; }

  // REQUIRES: the connection is greeted; its hello says who is at the other end.
  void Dispatch(IncomingCallPtr call);

  const std::shared_ptr<OpCounts>& counts() const { return counts_; }
  uint64_t refused() const { return refused_; }  // no such op, or not to be sent by that role

 private:
  void Run(const OpInfo& info, IncomingCallPtr call);
  Status NotServed(const OpInfo& info) const;

  const Options options_;
  std::array<Handler, kOpNumbers> handlers_;  // by number
  CallTurns turns_;
  std::function<bool(Op)> in_turns_;
  std::function<Status(const Connection&)> check_session_;
  const std::shared_ptr<OpCounts> counts_;
  uint64_t refused_ = 0;
  bool stopped_ = false;
};

}  // namespace kfs
