#include "metaserver/cluster/acceptor.h"

#include <cassert>

#include "common/log.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::meta {

bool Lower(const pb::Ballot& a, const pb::Ballot& b) {
  return a.counter() != b.counter() ? a.counter() < b.counter() : a.member() < b.member();
}
bool Equal(const pb::Ballot& a, const pb::Ballot& b) {
  return a.counter() == b.counter() && a.member() == b.member();
}

Acceptor::Acceptor(MemberStore& store) : store_(store), record_(store.Load()) {
  checksum_ = Checksum(record_.conf());
}

// What is stored may be about a generation that has been decided since.
const pb::Ballot& Acceptor::promised() const {
  return record_.round() == generation() + 1 ? record_.promised() : pb::Ballot::default_instance();
}
const pb::Ballot& Acceptor::accepted() const {
  return record_.round() == generation() + 1 ? record_.accepted() : pb::Ballot::default_instance();
}

bool Acceptor::Promise(const pb::Ballot& ballot) {
  if (Lower(ballot, promised())) return false;
  if (Equal(ballot, promised())) return true;
  if (record_.round() != generation() + 1) {
    record_.set_round(generation() + 1);
    record_.clear_accepted();
    record_.clear_accepted_value();
  }
  *record_.mutable_promised() = ballot;
  store_.Save(record_);
  return true;
}

bool Acceptor::Accept(const pb::Ballot& ballot, const pb::ClusterConf& value) {
  assert(Before(value) == generation());
  if (Lower(ballot, promised())) return false;
  if (Equal(ballot, accepted())) return true;
  record_.set_round(generation() + 1);
  *record_.mutable_promised() = ballot;
  *record_.mutable_accepted() = ballot;
  *record_.mutable_accepted_value() = value;
  store_.Save(record_);
  return true;
}

Acceptor::Learned Acceptor::Learn(const pb::ClusterConf& decided) {
  if (decided.generation() < generation()) return Learned::kKnown;
  const std::string checksum = Checksum(decided);
  if (decided.generation() == generation()) {
    const bool apart = Apart(record_.conf(), decided);
    if (checksum == checksum_ || (apart && checksum < checksum_)) return Learned::kKnown;
    if (apart) return Adopt(decided, checksum);
    KFS_LOG(
        error,
        "cluster.conflict generation={} here=\"{}\" there=\"{}\" next=\"kfs peer why names the difference\"",
        generation(), record_.conf().command(), decided.command());
    return Learned::kConflict;
  }
  return Adopt(decided, checksum);
}

Acceptor::Learned Acceptor::Adopt(const pb::ClusterConf& decided, const std::string& checksum) {
  if (!HasRoom()) return Learned::kLater;
  const pb::ClusterConf before = record_.conf();
  *record_.mutable_conf() = decided;
  store_.Save(record_);
  checksum_ = checksum;
  KFS_LOG(info, "cluster.learned generation={} command=\"{}\" transaction={}", generation(),
          decided.command(), decided.transaction());
  if (on_learned_) on_learned_(before);
  return Learned::kNew;
}

}  // namespace kfs::meta
