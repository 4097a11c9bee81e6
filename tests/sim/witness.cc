#include "witness.h"

#include <fmt/format.h>

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
  auto [it, fresh] = decided_.try_emplace(conf.generation(), Decided{checksum, conf.transaction()});
  if (it->second.checksum != checksum)
    return fmt::format("{} applies another configuration under generation {}: \"{}\"", record.uuid(),
                       conf.generation(), conf.command());
  if (!fresh) return "";
  for (const auto& [ballot, vote] : rounds_[conf.generation()]) {
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
  std::map<Ballot, Vote>& round = rounds_[value.generation()];
  Vote& vote = round.try_emplace(ballot, Vote{checksum, {}, false}).first->second;
  if (vote.checksum != checksum) return broken("another value goes under the same ballot");
  if (meta::HasVote(record.conf(), record.uuid(), record.incarnation())) vote.voters.insert(record.uuid());
  vote.chosen = vote.voters.size() >= meta::Majority(record.conf());
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
