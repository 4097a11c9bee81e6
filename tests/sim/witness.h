// Sees what every member stores and what every caller is told, and says when that breaks what was promised
// (P7): each generation is one configuration, once and for all; what was acknowledged is there, once; what
// was refused is not.
//
// It also sees what no member can: which value a majority has accepted, before anybody has learnt it. From
// then on nothing else may be accepted under a higher ballot. That shows a broken promise at once; by what is
// learnt it shows only if those who know are away just then.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proto/cluster.pb.h"

namespace kfs::sim {

class Witness {
 public:
  // Where the history begins.
  void Founded(const pb::ClusterConf& conf);
  // A member has stored `after`. Gives what that breaks; empty: nothing.
  std::string Stored(const pb::MemberRecord& before, const pb::MemberRecord& after);

  // The originator of the ballot has heard that bricks refuse: nothing may be changed under it.
  void Vetoed(uint64_t generation, const pb::Ballot& ballot) {
    vetoed_.insert({generation, {ballot.counter(), ballot.member()}});
  }

  // What callers are told about a transaction.
  void Acknowledged(const std::string& id) { acknowledged_.insert(id); }
  std::string Refused(const std::string& id);
  // It is tried once more: that one try was refused says nothing about the other.
  void TriedAgain(const std::string& id);

  // Only these members are left. What nobody of them has learnt or accepted is gone, acknowledged or not,
  // until the others have been given up all that are left decide.
  void Lost(const std::vector<const pb::MemberRecord*>& left);

  // Whether all that callers were told is true, now that all is known.
  std::string InTheEnd() const;

  uint64_t newest() const { return decided_.rbegin()->first; }  // generation that somebody has learnt
  uint64_t generations() const { return decided_.size(); }

 private:
  using Ballot = std::pair<uint64_t, std::string>;
  struct Decided {
    std::string checksum, transaction;
  };
  struct Vote {
    std::string checksum;
    std::set<std::string> voters;
    bool chosen = false;
  };

  std::string Learnt(const pb::MemberRecord& record);
  std::string Accepted(const pb::MemberRecord& record);
  size_t Needed(const pb::ClusterConf& conf) const;

  std::map<uint64_t, Decided> decided_;                // by generation
  std::map<uint64_t, std::map<Ballot, Vote>> rounds_;  // by the generation after the one that is changed
  std::set<std::pair<uint64_t, Ballot>> vetoed_;       // by generation
  std::set<std::string> left_;                         // none: nobody is lost
  std::map<uint64_t, std::string> gone_;               // checksums of what only the lost had learnt
  std::set<std::string> proposed_;                     // transactions that somebody has accepted
  std::set<std::string> acknowledged_, refused_, again_;
};

}  // namespace kfs::sim
