#include "metaserver/service/session_service.h"

#include <algorithm>

#include "metaserver/executor/handlers.h"
#include "metaserver/members/cluster_keyring.h"

namespace kfs::meta {
namespace {

// A request of a connection as the executor sees it.
class NetCall : public OpCall {
 public:
  explicit NetCall(IncomingCallPtr incoming) : incoming_(std::move(incoming)) {
    trace = incoming_->trace().id;
  }
  Op op() const override { return incoming_->op(); }
  std::string_view body() const override { return incoming_->body(); }
  void Reply(std::string_view body) override { incoming_->ReplySerialized(body); }
  void Fail(const Status& status, uint64_t detail) override { incoming_->Fail(status, detail); }
  void Parked() override { incoming_->Parked(); }

 private:
  IncomingCallPtr incoming_;
};

// Of a connection that has a session.
struct Attachment {
  SessionPtr session;
  uint8_t lane = 0;
};

const Attachment* AttachmentOf(const ConnectionPtr& connection) {
  return static_cast<const Attachment*>(connection->context.get());
}

SessionPtr SessionOf(const ConnectionPtr& connection) {
  const Attachment* at = AttachmentOf(connection);
  return at == nullptr ? nullptr : at->session;
}

// REQUIRES: its connection has a session (Dispatcher::CheckSession).
CallPtr SessionCall(IncomingCallPtr incoming) {
  const Attachment at = *AttachmentOf(incoming->connection());
  auto call = std::make_shared<NetCall>(std::move(incoming));
  call->session = at.session;
  call->lane = at.lane;
  return call;
}

}  // namespace

void SessionService::Register() {
  Dispatcher& dispatcher = *server_.dispatcher();
  // The executor gives those of a session their turns.
  dispatcher.InTurns([](Op op) { return FindOp(static_cast<uint16_t>(op))->needs != Needs::kSession; });
  dispatcher.CheckSession([](const Connection& c) {
    if (c.context != nullptr) return Status();
    return Status(EACCES, Code::kNotAttached, "the connection has no session: open one first");
  });
  auto run = [this](IncomingCallPtr incoming) { executor_.Execute(SessionCall(std::move(incoming))); };
#define KFS_HANDLE(number, name, ...) dispatcher.Handle(Op::k##name, run);
  KFS_VOLUME_OPS(KFS_HANDLE)
#undef KFS_HANDLE
  server_.Handle<rpc::OpenSession>(
      [this](IncomingCallPtr incoming, const pb::OpenSessionRequest& request) { Open(incoming, request); });
  server_.Handle<rpc::Reclaim>([this](IncomingCallPtr incoming, const pb::ReclaimRequest& request) {
    CallPtr call = SessionCall(std::move(incoming));
    executor_.InTurn(call, [this, call, request] { executor_.Reclaim(call, request); });
  });
  server_.Handle<rpc::KeepAlive>([this](IncomingCallPtr incoming, const pb::KeepAliveRequest& request) {
    CallPtr call = SessionCall(std::move(incoming));
    executor_.InTurn(call, [this, call, request] { executor_.KeepAlive(call, request); });
  });
  server_.Handle<rpc::CloseSession>([this](IncomingCallPtr incoming, const pb::CloseSessionRequest&) {
    CallPtr call = SessionCall(std::move(incoming));
    call->session->closing = true;
    executor_.InTurn(call, [this, call] { executor_.CloseSession(call); });
  });
  server_.Handle<rpc::CancelOp>([this](IncomingCallPtr incoming, const pb::CancelOpRequest& request) {
    CallPtr call = SessionCall(std::move(incoming));
    executor_.InTurn(call, [this, call, request] { executor_.CancelOp(call, request); });
  });
}

void SessionService::Open(const IncomingCallPtr& incoming, const pb::OpenSessionRequest& request) {
  ConnectionPtr connection = incoming->connection();
  auto call = std::make_shared<NetCall>(incoming);
  if (SessionOf(connection) != nullptr) {
    return executor_.Refuse(call, Status(EINVAL, Code::kMalformed, "the connection has a session already"));
  }
  if (request.lane() != 0 && (connection->features & kFeatureLanes) == 0)
    return executor_.Refuse(call, Status(EINVAL, Code::kMalformed, "lanes were not agreed on"));
  // Of the volume that it is about, and whose key it has.
  const Volume* asked = executor_.FindVolume(request.volume());
  const uint32_t only = MountRightsOf(*connection).volume;
  const bool may = asked != nullptr && (only == 0 || only == asked->id().v);
  if (may && request.synced().volume() == asked->id().v) points_.Heard(request.synced());
  if (const Status s = points_.Vouched(); !s.ok()) return executor_.Refuse(call, s);
  SessionPtr session = executor_.OpenSession(call, request, connection->hello.host(), connection->hello.id(),
                                             MountRightsOf(*connection));
  if (session == nullptr) return;
  const auto lane = static_cast<uint8_t>(request.lane());
  session->lane(lane).connection = connection;
  connection->context = std::make_shared<Attachment>(Attachment{session, lane});
}

void SessionService::Disconnected(const ConnectionPtr& connection) {
  if (connection->context == nullptr) return;
  const auto [session, n] = *AttachmentOf(connection);
  Lane& lane = session->lane(n);
  if (lane.connection != connection) return;
  lane.connection.reset();
  connection->context.reset();
  executor_.Disconnected(*session, n, lane.connection_number);
}

void SessionService::OnTimer() {
  for (const auto& c : server_.connections()) {
    if (SessionPtr s = SessionOf(c)) s->last_heard = std::max(s->last_heard, c->last_received());
  }
}

}  // namespace kfs::meta
