// Ops that carry a command: whoever asked is noted in its words (cluster/asked_by.h), before anything is
// done.
#pragma once

#include <utility>

#include "proto/op_types.h"
#include "rpc/server.h"

namespace kfs::meta {

// What the tool says of its user, and what its connection has proven.
void NoteAsker(const IncomingCall& call, pb::CommandContext* ctx);

// As Server::Handle, for requests with a CommandContext.
template <typename Rpc, typename Fn>
void HandleCommand(Server& server, Fn fn) {
  server.Handle(Rpc::kOp, [fn](IncomingCallPtr call) {
    typename Rpc::Request request;
    if (!call->Parse(&request)) return;
    NoteAsker(*call, request.mutable_ctx());
    fn(std::move(call), std::as_const(request));
  });
}

// Longest words that are kept of a command, without who asked.
constexpr size_t kWordsMax = 500;
// With it.
constexpr size_t kCommandMax = 1000;

}  // namespace kfs::meta
