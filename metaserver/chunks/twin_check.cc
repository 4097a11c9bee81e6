#include "metaserver/chunks/twin_check.h"

#include <fmt/format.h>

#include <utility>

#include "common/log.h"
#include "common/uuid.h"
#include "proto/op_types.h"
#include "rpc/connection.h"

namespace kfs::meta {
namespace {

bool Connected(const Chunkserver& s) { return s.up && s.connection != nullptr && !s.connection->closed(); }

}  // namespace

struct TwinCheck::Question {
  pb::RegisterChunkserverRequest request;
  std::string known;  // its address when the question began; may be empty
  std::function<void(Status)> done;
  struct Place {
    bool up = false;  // another member has it there
    Answerer who = Answerer::kNobody;
  };
  std::map<std::string, Place> asked;  // by address
  size_t open = 1;                     // of them, and the other members
  EventLoop::Timer timer;
};

TwinCheck::TwinCheck(EventLoop& loop, Chunkservers& chunkservers, Credentials credentials,
                     AskOthersFn ask_others)
    : loop_(loop),
      chunkservers_(chunkservers),
      credentials_(std::move(credentials)),
      ask_others_(std::move(ask_others)) {}

void TwinCheck::Admit(const pb::RegisterChunkserverRequest& request, std::function<void(Status)> done) {
  const Chunkserver* s = chunkservers_.FindUuid(request.uuid());
  if (s == nullptr) return done({});
  const bool same_process = !request.instance().empty() && request.instance() == s->instance;
  const bool same_place = request.address() == s->address;
  // Two processes that say they have one address are told apart by their instances.
  const bool told_apart = !request.instance().empty() && !s->instance.empty();
  if (same_process || (same_place && (!Connected(*s) || !told_apart))) return done({});
  if (!open_.insert(request.uuid()).second)
    return done(
        Status(EAGAIN, Code::kTryAgain, "whether another chunkserver has this uuid is being found out"));
  auto q = std::make_shared<Question>();
  q->request = request;
  q->known = s->address;
  q->done = std::move(done);
  if (Connected(*s)) return AskConnected(q, s->connection);
  AskAround(q);
}

void TwinCheck::AskConnected(const std::shared_ptr<Question>& q, const std::shared_ptr<Connection>& known) {
  const bool same_place = q->request.address() == q->known;
  const uint64_t seq = known->Call(Op::kPing, pb::PingRequest(), {},
                                   lifetime_.While([this, q, same_place](const Answer& answer) {
                                     q->timer.Cancel();
                                     if (answer.status.code() != Code::kConnectionLost)
                                       return Refuse(q, q->known);
                                     // Not within the connection's own end.
                                     loop_.Post(lifetime_.While([this, q, same_place] {
                                       if (same_place) return Accept(q);
                                       AskAround(q);
                                     }));
                                   }));
  q->timer = loop_.RunAfter(
      kAskFor, lifetime_.While([this, weak = std::weak_ptr<Question>(q), known, seq, same_place] {
        const auto q = weak.lock();
        if (q == nullptr) return;
        known->Forget(seq);
        if (same_place) return End(q, {});
        Later(q, fmt::format("chunkserver {} is connected from {}, and does not answer just now",
                             q->request.uuid(), q->known));
      }));
}

void TwinCheck::AskAround(const std::shared_ptr<Question>& q) {
  if (!q->known.empty()) AskAt(q, q->known, false);
  ask_others_(q->request.uuid(), lifetime_.While([this, q](const Sighting& s) { AskAt(q, s.address, s.up); }),
              lifetime_.While([this, q] { Closed(q); }));
}

void TwinCheck::AskAt(const std::shared_ptr<Question>& q, const std::string& address, bool up) {
  if (q->done == nullptr || address == q->request.address()) return;
  const auto [place, first] = q->asked.try_emplace(address);
  place->second.up |= up;
  if (!first) return;
  ++q->open;
  NetClient::Options net;
  net.name = "chunkserver " + address;
  net.addresses = {address};
  net.role = pb::HelloRequest::METASERVER;
  net.id = NewUuid(loop_.entropy());  // the answerer keeps one connection of each
  net.credentials = chunkservers_.ToMeet(q->request.uuid(), credentials_);
  net.server_role = pb::HelloRequest::CHUNKSERVER;
  const auto link = links_.insert(links_.end(), std::make_unique<NetClient>(loop_, std::move(net)));
  (*link)->Enqueue<rpc::Ping>({}, lifetime_.While([this, q, address, link](const Answer& answer) {
    pb::PingReply reply;
    const Status status = ParseAnswer(answer, &reply);
    Answerer who = (*link)->linked() ? Answerer::kSilent : Answerer::kNobody;
    if (status.ok()) {
      who = reply.uuid() != q->request.uuid()           ? Answerer::kNobody
            : reply.instance() == q->request.instance() ? Answerer::kSame
                                                        : Answerer::kTwin;
    }
    // Not within the client's own call.
    loop_.Post(lifetime_.While([this, q, address, who, link] {
      links_.erase(link);
      Answered(q, address, who);
    }));
  }),
                              kAskFor);
}

void TwinCheck::Answered(const std::shared_ptr<Question>& q, const std::string& address, Answerer who) {
  if (q->done == nullptr) return;  // refused already
  if (who == Answerer::kTwin) return Refuse(q, address);
  q->asked.at(address).who = who;
  Closed(q);
}

void TwinCheck::Closed(const std::shared_ptr<Question>& q) {
  if (q->done == nullptr || --q->open != 0) return;
  for (const auto& [address, place] : q->asked) {
    if (place.who == Answerer::kSilent) {
      return Later(q, fmt::format("chunkserver {} was at {}: somebody is there who does not answer; stop it",
                                  q->request.uuid(), address));
    }
    if (place.who == Answerer::kNobody && place.up) {
      return Later(
          q, fmt::format("chunkserver {} is up at {} for another metaserver, and does not answer this one",
                         q->request.uuid(), address));
    }
  }
  Accept(q);
}

void TwinCheck::Refuse(const std::shared_ptr<Question>& q, const std::string& address) {
  const MonoTime now = loop_.Now();
  MonoTime& said = said_[q->request.uuid()];
  if (said == MonoTime() || now - said > kSayAgainAfter) {  // who is refused may be started again each second
    said = now;
    KFS_LOG(
        error,
        "chunkserver.runs_twice uuid={} known={} refused={} next=\"one of the two is a copy of the other's "
        "data directory: stop it for good\"",
        q->request.uuid(), address, q->request.address());
  }
  End(q,
      Status(EEXIST, Code::kRunsTwice,
             fmt::format("chunkserver {} runs at {} already: the data directory of one of the two is a copy "
                         "of the other's. Stop one for good",
                         q->request.uuid(), address)));
}

void TwinCheck::Later(const std::shared_ptr<Question>& q, const std::string& why) {
  End(q, Status(EAGAIN, Code::kTryAgain, why));
}

// Unless the known one has come back meanwhile, or another has been taken.
void TwinCheck::Accept(const std::shared_ptr<Question>& q) {
  const Chunkserver* s = chunkservers_.FindUuid(q->request.uuid());
  if (s != nullptr && (s->address != q->known || Connected(*s)))
    return Later(
        q, fmt::format("chunkserver {} has registered from {} meanwhile", q->request.uuid(), s->address));
  if (s != nullptr && !q->known.empty() && q->known != q->request.address())
    KFS_LOG(info, "chunkserver.moved uuid={} from={} to={}", q->request.uuid(), q->known,
            q->request.address());
  End(q, {});
}

void TwinCheck::End(const std::shared_ptr<Question>& q, Status status) {
  open_.erase(q->request.uuid());
  q->timer.Cancel();
  std::exchange(q->done, nullptr)(std::move(status));
}

}  // namespace kfs::meta
