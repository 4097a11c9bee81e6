#include "metaserver/members/peer_ask.h"

#include <fmt/format.h>

namespace kfs::meta {
namespace {

constexpr auto kTimeout = std::chrono::seconds(3);
constexpr auto kTimeoutToReach = 2 * kTimeout;  // who is asked asks in turn

}  // namespace

void AskPeer(EventLoop& loop, const std::string& address, const std::string& self,
             const Credentials& credentials, std::function<void(PeerAnswer)> done,
             const pb::PeerAskRequest& request) {
  NetClient::Options net;
  net.name = "metaserver " + address;
  net.addresses = {address};
  net.role = pb::HelloRequest::METASERVER;
  net.id = self;
  net.credentials = credentials;
  net.connect_timeout = std::chrono::seconds(2);
  auto link = std::make_shared<NetClient>(loop, std::move(net));
  const auto began = std::chrono::steady_clock::now();
  NetClient* client = link.get();
  client->Enqueue<rpc::PeerAsk>(
      request,
      [link, address, began, done = std::move(done), &loop](Answer answer) mutable {
        PeerAnswer out;
        out.took = std::chrono::steady_clock::now() - began;
        out.status = ParseAnswer(answer, &out.reply);
        if (!out.status.ok()) {
          const Status why = link->last_error().ok() ? out.status : link->last_error();
          const std::string words = why.err() == ECONNREFUSED
                                        ? "the connection is refused, nothing listens there (ECONNREFUSED)"
                                        : why.message();
          out.status =
              Status(why.err(), fmt::format("{} does not answer as a metaserver: {}", address, words));
        }
        out.link = std::move(link);
        // Not within the client's own call: whoever is told may let go of it.
        loop.Post([out = std::move(out), done = std::move(done)]() mutable { done(std::move(out)); });
      },
      request.reach().empty() ? kTimeout : kTimeoutToReach);
}

}  // namespace kfs::meta
