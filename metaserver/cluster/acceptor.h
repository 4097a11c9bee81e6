// What one member has promised, accepted and learned: the part of the protocol that safety rests on (P7). For
// each generation it is single-decree Paxos with a majority of the members of the generation before it:
//
//   lock    Promise: from now on nothing under a lower ballot; tells what it has accepted, if anything
//   commit  Accept: this value under this ballot, unless a higher one was promised
//   unlock  Learn: this configuration is decided
//
// What is changed counts at once for what this member decides next, and is stored in the order of the calls.
// Nobody else may hear of it, or see what follows from it, before it is durable: whatever leaves this member goes
// through WhenDurable (durable_env.h). Should the process end first, nobody has heard of what is lost. Loop's
// thread only.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "common/lifetime.h"
#include "common/status.h"
#include "metaserver/cluster/member_store.h"

namespace kfs::meta {

// a < b
bool Lower(const pb::Ballot& a, const pb::Ballot& b);
bool Equal(const pb::Ballot& a, const pb::Ballot& b);

class Acceptor {
 public:
  explicit Acceptor(MemberStore& store);

  // Runs `fn` once all that was changed so far is durable, in the order of these calls: at once, if it is. Not run
  // when this has gone before.
  void WhenDurable(std::function<void()> fn);
  size_t waiting() const { return waiting_.size(); }
  // What others may be told: who this is, and the configuration, as they are on disk.
  const pb::MemberRecord& durable() const { return durable_; }

  const std::string& uuid() const { return record_.uuid(); }
  uint64_t incarnation() const { return record_.incarnation(); }
  const pb::ClusterConf& conf() const { return record_.conf(); }
  uint64_t generation() const { return record_.conf().generation(); }
  const std::string& checksum() const { return checksum_; }

  // About what follows conf().
  const pb::Ballot& promised() const;
  const pb::Ballot& accepted() const;
  // REQUIRES: accepted() is not none.
  const pb::ClusterConf& accepted_value() const { return record_.accepted_value(); }

  // False: a higher ballot was promised.
  bool Promise(const pb::Ballot& ballot);
  // REQUIRES: value follows conf().
  bool Accept(const pb::Ballot& ballot, const pb::ClusterConf& value);

  // Without room it promises nothing and learns nothing; it catches up when there is some.
  bool HasRoom() const { return store_.HasRoom(); }

  enum class Learned { kNew, kKnown, kConflict, kLater };
  // kConflict: another configuration is known under that generation. Nothing is changed then; somebody must
  // look at it (kfs peer why). But when the two have no member in common each has given up the other's
  // members: the one with the higher checksum is taken.
  Learned Learn(const pb::ClusterConf& decided);

  // Goes on as another member, of another cluster. REQUIRES: nothing has been asked of it yet.
  void Become(const pb::MemberRecord& record);

  // Called after durable().conf() has changed.
  void OnLearned(std::function<void(const pb::ClusterConf& before)> fn) { on_learned_ = std::move(fn); }

 private:
  Learned Adopt(const pb::ClusterConf& decided, const std::string& checksum);
  void Save();
  void Tell(const pb::MemberRecord& record);
  void Durable(uint64_t save);

  MemberStore& store_;
  pb::MemberRecord record_;
  std::string checksum_;
  std::function<void(const pb::ClusterConf&)> on_learned_;
  pb::MemberRecord durable_;
  uint64_t saves_ = 0, saves_durable_ = 0;
  std::deque<std::pair<uint64_t, std::function<void()>>> waiting_;  // and for which save
  Lifetime lifetime_;
};

}  // namespace kfs::meta
