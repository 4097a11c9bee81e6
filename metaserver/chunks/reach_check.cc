#include "metaserver/chunks/reach_check.h"

#include <fmt/format.h>

#include "common/log.h"
#include "common/uuid.h"
#include "proto/op_types.h"

namespace kfs::meta {

ReachCheck::ReachCheck(EventLoop& loop, Clock& clock, Chunkservers& chunkservers, Credentials credentials)
    : loop_(loop), clock_(clock), chunkservers_(chunkservers), credentials_(std::move(credentials)) {}

void ReachCheck::OnTimer() {
  const MonoTime now = clock_.MonoNow();
  std::erase_if(servers_, [&](const auto& s) { return !chunkservers_.IsUp(s.first); });
  for (const auto& [id, s] : chunkservers_.all()) {
    // A socket's path is only found on its own machine.
    if (!chunkservers_.IsUp(id) || s.address.empty() || s.address.starts_with("unix:")) continue;
    Server& server = servers_[id];
    if (server.address != s.address) server = {.address = s.address, .next = now};
    if (server.asking || now < server.next || links_.size() >= kAtOnce) continue;
    Dial(id, server);
  }
}

void ReachCheck::Dial(ServerId id, Server& server) {
  server.asking = true;
  NetClient::Options net;
  net.name = "chunkserver " + server.address;
  net.addresses = {server.address};
  net.role = pb::HelloRequest::METASERVER;
  net.id = NewUuid(loop_.entropy());  // the answerer keeps one connection of each
  net.server_role = pb::HelloRequest::CHUNKSERVER;
  const std::string uuid = chunkservers_.Find(id)->uuid;
  net.credentials = chunkservers_.ToMeet(uuid, credentials_);
  const auto link = links_.insert(links_.end(), std::make_unique<NetClient>(loop_, std::move(net)));
  (*link)->Enqueue<rpc::Ping>(
      {}, lifetime_.While([this, id, uuid, address = server.address, link](const Answer& answer) {
        pb::PingReply reply;
        const Status status = ParseAnswer(answer, &reply);
        std::string trouble;
        if (status.ok()) {
          if (reply.uuid() != uuid)
            trouble = reply.uuid().empty() ? "another server answers there"
                                           : "another chunkserver (" + reply.uuid() + ") answers there";
        } else if (!(*link)->linked()) {  // else somebody is there, and has no time to answer
          const Status why = (*link)->last_error();
          trouble = why.ok() ? "no connection in time" : why.message();
        }
        // Not within the client's own call.
        loop_.Post(lifetime_.While([this, id, address, trouble, link] {
          links_.erase(link);
          Answered(id, address, trouble);
        }));
      }),
      kAskFor);
}

void ReachCheck::Answered(ServerId id, const std::string& address, const std::string& trouble) {
  const auto it = servers_.find(id);
  const Chunkserver* s = chunkservers_.Find(id);
  if (it == servers_.end() || s == nullptr || it->second.address != address) return;  // it has moved or gone
  Server& server = it->second;
  server.asking = false;
  server.failures = trouble.empty() ? 0 : server.failures + 1;
  server.next = clock_.MonoNow() + (server.failures == 1 ? Duration(kAgain) : Duration(kEvery));
  if (server.failures == 1) return;  // it may just be starting
  const bool known = !s->unreached.empty();
  chunkservers_.SetUnreached(
      id, trouble.empty()
              ? ""
              : fmt::format("not reached at {}, where clients look for it: {}", address, trouble));
  if (!trouble.empty() && !known) {
    KFS_LOG(
        warn,
        "chunkserver.unreached id={} address={} reason=\"{}\" next=\"set its advertise to an address that "
        "clients reach, and let them through\"",
        id.v, address, trouble);
  } else if (trouble.empty() && known) {
    KFS_LOG(info, "chunkserver.reached id={} address={}", id.v, address);
  }
}

}  // namespace kfs::meta
