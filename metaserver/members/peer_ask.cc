#include "metaserver/members/peer_ask.h"

#include <fmt/format.h>

#include <optional>

#include "proto/op_types.h"

namespace kfs::meta {
namespace {

constexpr auto kTimeout = std::chrono::seconds(3);
constexpr auto kTimeoutToReach = 2 * kTimeout;  // who is asked asks in turn

bool Nobody(const Status& why) { return why.err() == ECONNREFUSED || why.err() == EHOSTUNREACH; }

// One reason, the one that says most: `link` why there is no connection, `answer` what became of the
// question.
Status WhyNoAnswer(const std::string& address, const Status& answer, const Status& link) {
  if (answer.err() == EOPNOTSUPP || answer.err() == EPERM)
    return Status(EPROTOTYPE, fmt::format("{} is a server of KFS, but no metaserver (a chunkserver?): name a "
                                          "metaserver's port",
                                          address));
  if (link.ok() && (answer.err() == ETIMEDOUT || answer.err() == ECANCELED))
    return Status(ETIMEDOUT, fmt::format("{} does not answer as a metaserver: no answer in time", address));
  const Status& why = link.ok() ? answer : link;
  if (why.err() == ECONNREFUSED)
    return Status(ECONNREFUSED, fmt::format("{} does not answer as a metaserver: the connection is refused, "
                                            "nothing listens there (ECONNREFUSED)",
                                            address));
  return Status(why.err(), fmt::format("{} does not answer as a metaserver: {}", address, why.message()));
}

}  // namespace

void AskPeer(EventLoop& loop, const std::string& address, const std::string& self,
             const Credentials& credentials, std::function<void(PeerAnswer)> done,
             const pb::PeerAskRequest& request, Duration patience) {
  NetClient::Options net;
  net.name = "metaserver " + address;
  net.addresses = {address};
  net.role = pb::HelloRequest::METASERVER;
  net.id = self;
  net.credentials = credentials;
  net.connect_timeout = std::chrono::seconds(2);
  auto link = std::make_shared<NetClient>(loop, std::move(net));
  const MonoTime began = loop.Now();
  NetClient* client = link.get();
  auto watch = std::make_shared<EventLoop::Timer>();
  const uint64_t id = client->Enqueue<rpc::PeerAsk>(
      request,
      [link, watch, address, began, done = std::move(done), &loop](Answer answer) mutable {
        watch->Cancel();
        PeerAnswer out;
        out.took = loop.Now() - began;
        out.status = ParseAnswer(answer, &out.reply);
        if (!out.status.ok()) {
          out.status = WhyNoAnswer(address, out.status, link->last_error());
        }
        out.link = std::move(link);
        // Not within the client's own call: whoever is told may let go of it.
        loop.Post([out = std::move(out), done = std::move(done)]() mutable { done(std::move(out)); });
      },
      patience != Duration::zero() ? patience
      : request.reach().empty()    ? Duration(kTimeout)
                                   : Duration(kTimeoutToReach));
  // Not in the function itself, of which each run is a copy.
  const auto first = std::make_shared<std::optional<MonoTime>>();
  *watch = loop.RunEvery(std::chrono::milliseconds(20), [client, id, first, &loop] {
    if (client->linked() || !Nobody(client->last_error())) return first->reset();
    const MonoTime now = loop.Now();
    if (!*first) *first = now;
    if (now - **first >= kNobodyGrace) client->Cancel(id);
  });
}

}  // namespace kfs::meta
