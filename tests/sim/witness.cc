#include "witness.h"

#include <fmt/format.h>

#include <algorithm>

#include "metaserver/cluster/acceptor.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::sim {

void Witness::Founded(const pb::ClusterConf& conf) {
  decided_[conf.generation()] = {meta::Checksum(conf), ""};
}

std::string Witness::Stored(const pb::MemberRecord& before, const pb::MemberRecord& after) {
  if (after.conf().generation() > 0 && after.conf().generation() != before.conf().generation()) {
    if (std::string broken = Learnt(after); !broken.empty()) return broken;
  }
  const bool accepts = after.round() == after.conf().generation() + 1 && after.accepted().counter() != 0 &&
                       (after.round() != before.round() || !meta::Equal(after.accepted(), before.accepted()));
  return accepts ? Accepted(after) : "";
}

std::string Witness::Learnt(const pb::MemberRecord& record) {
  const pb::ClusterConf& conf = record.conf();
  const std::string checksum = meta::Checksum(conf);
  // Lost ones that turn up tell each other what they had decided, until they hear that they are out.
  if (auto gone = gone_.find(conf.generation()); gone != gone_.end() && gone->second == checksum) return "";
  auto [it, fresh] = decided_.try_emplace(conf.generation(), Decided{checksum, conf.transaction()});
  if (it->second.checksum != checksum)
    return fmt::format("{} applies another configuration under generation {}: \"{}\"", record.uuid(),
                       conf.generation(), conf.command());
  if (!fresh) return "";
  if (conf.follows() != 0) left_.clear();
  for (const auto& [ballot, vote] : rounds_[meta::Before(conf) + 1]) {
    if (vote.chosen && vote.checksum == checksum) return "";
  }
  return fmt::format("{} applies generation {}, which no majority has accepted: \"{}\"", record.uuid(),
                     conf.generation(), conf.command());
}

std::string Witness::Accepted(const pb::MemberRecord& record) {
  const pb::ClusterConf& value = record.accepted_value();
  const Ballot ballot(record.accepted().counter(), record.accepted().member());
  const std::string checksum = meta::Checksum(value);
  const auto broken = [&](std::string_view what) {
    return fmt::format("{} accepts \"{}\" for generation {} under {} of {}: {}", record.uuid(),
                       value.command(), value.generation(), ballot.first, ballot.second, what);
  };
  if (refused_.contains(value.transaction())) return broken("its caller was told that nothing has changed");
  if (vetoed_.contains({value.generation(), ballot}))
    return broken("its originator's bricks have refused it");
  proposed_.insert(value.transaction());
  std::map<Ballot, Vote>& round = rounds_[record.round()];
  Vote& vote = round.try_emplace(ballot, Vote{checksum, {}, false}).first->second;
  if (vote.checksum != checksum) return broken("another value goes under the same ballot");
  if (meta::HasVote(record.conf(), record.uuid(), record.incarnation())) vote.voters.insert(record.uuid());
  vote.chosen = vote.voters.size() >= Needed(record.conf());
  for (const auto& [other, theirs] : round) {
    const Vote& lower = other < ballot ? theirs : vote;
    const Vote& higher = other < ballot ? vote : theirs;
    if (lower.chosen && higher.checksum != lower.checksum)
      return broken(fmt::format("a majority has accepted another value under {} ballot {} of {}",
                                other < ballot ? "the lower" : "this one; there is the higher", other.first,
                                other.second));
  }
  return "";
}

size_t Witness::Needed(const pb::ClusterConf& conf) const {
  size_t left = 0;
  for (const pb::MemberConf& m : conf.member()) {
    if (left_.contains(m.uuid()) && meta::HasVote(conf, m.uuid(), m.incarnation())) ++left;
  }
  return left_.empty() ? meta::Majority(conf) : std::min(left, meta::Majority(conf));
}

void Witness::Lost(const std::vector<const pb::MemberRecord*>& left) {
  if (left.empty()) return;
  uint64_t newest = 0;
  for (const pb::MemberRecord* m : left) {
    left_.insert(m->uuid());
    newest = std::max(newest, m->conf().generation());
  }
  // What they will finish: it may have been decided.
  const pb::MemberRecord* highest = nullptr;
  for (const pb::MemberRecord* m : left) {
    if (m->conf().generation() != newest || m->round() != newest + 1 || m->accepted().counter() == 0)
      continue;
    if (highest == nullptr || meta::Lower(highest->accepted(), m->accepted())) highest = m;
  }
  const std::string kept = highest == nullptr ? "" : meta::Checksum(highest->accepted_value());
  for (auto it = decided_.upper_bound(newest); it != decided_.end();) {
    const bool known = it->first == newest + 1 && it->second.checksum == kept;
    if (!known) {
      acknowledged_.erase(it->second.transaction);
      gone_[it->first] = it->second.checksum;
    }
    it = known ? std::next(it) : decided_.erase(it);
  }
  rounds_.erase(rounds_.upper_bound(newest + 1), rounds_.end());
  std::erase_if(rounds_[newest + 1], [&](const auto& r) {
    const std::set<std::string>& voters = r.second.voters;
    return std::none_of(voters.begin(), voters.end(), [&](const auto& v) { return left_.contains(v); });
  });
}

std::string Witness::Refused(const std::string& id) {
  if (again_.contains(id)) return "";
  refused_.insert(id);
  return proposed_.contains(id) ? id + " is refused, but somebody has accepted it" : "";
}

void Witness::TriedAgain(const std::string& id) {
  again_.insert(id);
  refused_.erase(id);
}

std::string Witness::InTheEnd() const {
  std::set<std::string> made;
  for (const auto& [generation, what] : decided_) {
    if (!what.transaction.empty() && !made.insert(what.transaction).second)
      return what.transaction + " was made twice";
  }
  for (const std::string& id : acknowledged_) {
    if (!made.contains(id)) return id + " was acknowledged and is lost";
  }
  for (const std::string& id : refused_) {
    if (made.contains(id)) return id + " was refused and happened all the same";
  }
  return "";
}

}  // namespace kfs::sim
