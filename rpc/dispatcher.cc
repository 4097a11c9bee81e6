#include "rpc/dispatcher.h"

#include <fmt/format.h>

#include "common/log.h"
#include "rpc/stall.h"

namespace kfs {

Dispatcher::Dispatcher(EventLoop& loop, Options options)
    : options_(std::move(options)), turns_(loop), counts_(std::make_shared<OpCounts>(loop)) {
  Handle(Op::kPing, [this](const IncomingCallPtr& call) {
    pb::PingReply reply;
    reply.set_uuid(options_.uuid);
    reply.set_instance(options_.instance);
    call->Reply(reply);
  });
}

void Dispatcher::Handle(Op op, Handler handler) { handlers_[static_cast<size_t>(op)] = std::move(handler); }
void Dispatcher::InTurns(std::function<bool(Op)> which) { in_turns_ = std::move(which); }
void Dispatcher::CheckSession(std::function<Status(const Connection&)> check) {
  check_session_ = std::move(check);
}

Status Dispatcher::Complete() const {
  std::string missing, beyond;
  for (uint16_t number = 0; number < kOpNumbers; ++number) {
    const OpInfo* info = FindOp(number);
    if (info == nullptr) continue;
    const bool due = (info->servers & (1u << options_.role)) != 0;
    const bool there = handlers_[number] != nullptr;
    if (due && !there) missing += " " + std::string(info->name);
    if (there && !due) beyond += " " + std::string(info->name);
  }
  if (missing.empty() && beyond.empty()) return {};
  return Status(ENOSYS, fmt::format("ops (proto/ops.h) of a {} without a handler:{}; with one, of others:{}",
                                    pb::HelloRequest::Role_Name(options_.role), missing, beyond));
}

void Dispatcher::Dispatch(IncomingCallPtr call) {
  if (stopped_) return;  // dropped
  const OpInfo* info = FindOp(static_cast<uint16_t>(call->op()));
  if (info == nullptr) {
    ++refused_;
    return call->Fail(Status(EOPNOTSUPP, fmt::format("there is no op {}", static_cast<int>(call->op()))));
  }
  const Connection& from = *call->connection();
  if ((info->senders & (1u << from.hello.role())) == 0) {
    ++refused_;
    const std::string& role = pb::HelloRequest::Role_Name(from.hello.role());
    KFS_LOG(info, "op.refused op={} peer={} trace={:08x} reason=\"a {} may not send it\"", info->name,
            from.peer_address(), call->trace().id, role);
    return call->Fail(Status(EPERM, fmt::format("{} may not be sent by a {}", info->name, role)));
  }
  if (info->op != Op::kPing && (!in_turns_ || !in_turns_(info->op))) return Run(*info, std::move(call));
  turns_.Run(&from, [this, info, call = std::move(call)] {
    if (!stopped_ && !call->connection()->closed())
      Run(*info, call);  // else nobody listens, and nobody is there for it
  });
}

void Dispatcher::Run(const OpInfo& info, IncomingCallPtr call) {
  const Handler& handler = handlers_[static_cast<size_t>(info.op)];
  if (handler == nullptr) return call->Fail(NotServed(info));
  call->CountIn(counts_);
  if (info.needs == Needs::kSession && check_session_) {
    if (const Status s = check_session_(*call->connection()); !s.ok()) return call->Fail(s);
  }
  const RanPart part(info.name, /*around=*/true);
  handler(std::move(call));
}

Status Dispatcher::NotServed(const OpInfo& info) const {
  switch (options_.role) {
    case pb::HelloRequest::CHUNKSERVER:
      return Status(EOPNOTSUPP,
                    fmt::format("this is a chunkserver, which does not serve {}: name a metaserver's address "
                                "(port 7400 unless its option listen says another)",
                                info.name));
    case pb::HelloRequest::METASERVER:
      return Status(EOPNOTSUPP, fmt::format("this server does not serve {}", info.name));
    default:
      return Status(EOPNOTSUPP, fmt::format("a client does not serve {}", info.name));
  }
}

}  // namespace kfs
