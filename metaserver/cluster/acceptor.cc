#include "metaserver/cluster/acceptor.h"

#include <algorithm>
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

Acceptor::Acceptor(MemberStore& store) : store_(store), record_(store.Load()), durable_(record_) {
  checksum_ = Checksum(record_.conf());
}

void Acceptor::Save() {
  const uint64_t save = ++saves_;
  store_.Save(record_, lifetime_.While([this, save] { Durable(save); }));
}

void Acceptor::Durable(uint64_t save) {
  saves_durable_ = std::max(saves_durable_, save);
  const Lifetime::Watch watch = lifetime_.watch();
  while (!watch.ended() && !waiting_.empty() && waiting_.front().first <= saves_durable_) {
    const std::function<void()> fn = std::move(waiting_.front().second);
    waiting_.pop_front();
    fn();  // may add to them, and end this
  }
}

void Acceptor::WhenDurable(std::function<void()> fn) {
  if (waiting_.empty() && saves_durable_ == saves_) return fn();
  waiting_.emplace_back(saves_, std::move(fn));
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
  Save();
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
  Save();
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
  *record_.mutable_conf() = decided;
  checksum_ = checksum;
  Save();
  WhenDurable([this, record = record_] {
    KFS_LOG(info, "cluster.learned generation={} command=\"{}\" transaction={}", record.conf().generation(),
            record.conf().command(), record.conf().transaction());
    Tell(record);
  });
  return Learned::kNew;
}

void Acceptor::Become(const pb::MemberRecord& record) {
  record_ = record;
  checksum_ = Checksum(record_.conf());
  Save();
  WhenDurable([this, record] { Tell(record); });
}

void Acceptor::Tell(const pb::MemberRecord& record) {
  const pb::ClusterConf before = durable_.conf();
  durable_ = record;
  if (on_learned_) on_learned_(before);
}

}  // namespace kfs::meta
