#include "metaserver/chunks/brick_phase.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "metaserver/chunks/disk_sums.h"
#include "metaserver/cluster/conf_options.h"
#include "proto/op_types.h"

namespace kfs::meta {
namespace {

using Options = std::map<std::string, int64_t>;

// What `conf` asks of all chunkservers.
Options OptionsOf(const pb::ClusterConf& conf) {
  Options out;
  for (const auto& [name, value] : conf.option()) {
    const ConfOption* option = FindConfOption(ConfOption::Of::kCluster, name);
    if (option == nullptr || !option->for_chunkservers()) continue;
    if (const int64_t number = ConfValue(*option, value); number >= 0) out[name] = number;
  }
  return out;
}

std::set<std::string> ChunkserversOf(const pb::ClusterConf& conf) {
  std::set<std::string> uuids;
  for (const auto& c : conf.chunkserver()) uuids.insert(c.uuid());
  return uuids;
}

pb::ChunkserverTerms Terms(const Options& options, bool leave) {
  pb::ChunkserverTerms terms;
  terms.set_leave(leave);
  terms.mutable_option()->insert(options.begin(), options.end());
  return terms;
}

}  // namespace

pb::ChunkserverTerms TermsOf(const pb::ClusterConf& conf, const std::string& uuid) {
  return Terms(OptionsOf(conf), std::none_of(conf.chunkserver().begin(), conf.chunkserver().end(),
                                             [&](const pb::ChunkserverConf& c) { return c.uuid() == uuid; }));
}

template <typename Rpc>
void BrickPhase::AskAll(const std::map<ServerId, typename Rpc::Request>& requests,
                        std::function<void(ServerId, Result<typename Rpc::Reply>)> each,
                        std::function<void()> done) {
  struct Round {
    size_t waiting = 0;
    EventLoop::Timer timer;
    std::function<void(ServerId, Result<typename Rpc::Reply>)> each;
    std::function<void()> done;  // empty: over
  };
  if (requests.empty()) return done();
  auto round = std::make_shared<Round>();
  round->waiting = requests.size();
  round->each = std::move(each);
  round->done = std::move(done);
  const auto finish = [round] {
    if (!round->done) return;
    auto tell = std::move(round->done);
    round->done = nullptr;
    round->timer.Cancel();
    tell();
  };
  round->timer = loop_.RunAfter(kTimeout, lifetime_.While([finish] { finish(); }));
  for (const auto& [id, request] : requests) {
    chunkservers_.Request(id, Rpc::kOp, request,
                          lifetime_.While([round, finish, id = id](Status s, const std::string& body) {
                            if (!round->done) return;
                            typename Rpc::Reply reply;
                            if (s.ok() && !reply.ParseFromString(body))
                              s = Status(EPROTO, "its answer cannot be understood");
                            if (s.ok()) {
                              round->each(id, std::move(reply));
                            } else {
                              round->each(id, s);
                            }
                            if (--round->waiting == 0) finish();
                          }));
  }
}

std::string BrickPhase::NameOf(ServerId id) const {
  const Chunkserver* s = chunkservers_.Find(id);
  return fmt::format("chunkserver {} ({})", id.v, s == nullptr ? "gone" : s->address);
}

void BrickPhase::Report(pb::MemberReport report, std::function<void(pb::MemberReport)> done) {
  auto out = std::make_shared<pb::MemberReport>(std::move(report));
  std::map<ServerId, pb::QueryDisksRequest> requests;
  std::map<ServerId, int> rows;
  for (const auto& [id, s] : chunkservers_.all()) {
    requests[id];
    rows[id] = out->chunkserver_size();
    auto* c = out->add_chunkserver();
    c->set_id(id.v);
    c->set_address(s.address);
    c->set_up(chunkservers_.IsUp(id));
    c->set_reason(c->up() ? "no answer in time" : "not connected");
  }
  const MonoTime began = clock_.MonoNow();
  const auto answered = [this, out, began, rows = std::move(rows)](ServerId id,
                                                                   Result<pb::QueryDisksReply> reply) {
    auto& c = *out->mutable_chunkserver(rows.at(id));
    if (!reply.ok()) return c.set_reason(reply.status().message());
    c.clear_reason();
    c.set_asked_micros(
        std::chrono::duration_cast<std::chrono::microseconds>(clock_.MonoNow() - began).count());
    c.set_generation(reply->generation());
    *c.mutable_disk() = reply->disk();
  };
  AskAll<rpc::QueryDisks>(requests, answered, [out, done = std::move(done)] {
    ShortenDisks(out.get());
    done(*out);
  });
}

void BrickPhase::Prepare(const pb::ClusterConf& now, const pb::ClusterConf& next, const pb::Ballot& ballot,
                         std::function<void(Status)> done) {
  std::map<ServerId, pb::PrepareConfRequest> requests;
  const Options options = OptionsOf(next);
  const bool new_options = options != OptionsOf(now);
  const std::set<std::string> were = ChunkserversOf(now), stay = ChunkserversOf(next);
  // Who leaves and has not said yet that it may.
  auto silent = std::make_shared<std::set<ServerId>>();
  for (const auto& [id, s] : chunkservers_.all()) {
    const bool leave = !stay.contains(s.uuid);
    if (!new_options && leave != were.contains(s.uuid)) continue;
    const bool up = chunkservers_.IsUp(id);
    if (leave) {
      chunkservers_.PauseUse(id);
      if (up && chunkservers_.PlacedLately(s))
        return done(Status(EBUSY, fmt::format("files were just put on {}", NameOf(id))));
      if (up) silent->insert(id);
    }
    if (!up) continue;
    pb::PrepareConfRequest& request = requests[id];
    request.set_generation(next.generation());
    request.set_ballot(ballot.counter());
    request.set_originator(ballot.member());
    *request.mutable_terms() = Terms(options, leave);
  }
  auto refusal = std::make_shared<Status>();
  const auto answered = [this, silent, refusal](ServerId id, const Result<pb::Empty>& reply) {
    const int err = reply.ok() ? 0 : reply.status().err();
    // Whoever is of an earlier version has no objections.
    const bool refused = err == EINVAL || err == EBUSY || err == EAGAIN;
    if (refused) *refusal = Status(err, fmt::format("{}: {}", NameOf(id), reply.status().message()));
    if (err == 0 || err == EOPNOTSUPP) silent->erase(id);
  };
  AskAll<rpc::PrepareConf>(requests, answered, [this, silent, refusal, done = std::move(done)] {
    if (refusal->ok() && !silent->empty()) {
      *refusal = Status(EBUSY, fmt::format("{} is up, but has not said in time that it holds nothing",
                                           NameOf(*silent->begin())));
    }
    done(*refusal);
  });
}

void BrickPhase::Decided(const pb::ClusterConf& conf) {
  const Options options = OptionsOf(conf);
  const std::set<std::string> stay = ChunkserversOf(conf);
  for (const auto& [id, s] : chunkservers_.all()) {
    pb::LearnConfRequest request;
    request.set_generation(conf.generation());
    *request.mutable_terms() = Terms(options, !stay.contains(s.uuid));
    // Whoever does not hear it hears it with a heartbeat's answer.
    chunkservers_.Request(id, Op::kLearnConf, request, [](const Status&, const std::string&) {});
  }
}

}  // namespace kfs::meta
