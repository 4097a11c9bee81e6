// Transactions that one member has begun and that have ended: for 'kfs cluster transitions' and for whoever
// asks what became of a command. In memory only.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "metaserver/cluster/originator.h"

namespace kfs::meta {

class History {
 public:
  struct Entry {
    std::string id, words;
    bool read = false;
    Outcome::Kind kind = Outcome::kNothingChanged;
    Status status;
    uint64_t generation = 0;
    MonoTime started, ended;
    TransitionLog log;
    // What each member said, or that it was unreachable; a refusal, if it refused in any phase.
    std::map<std::string, std::string> answers;
  };

  void Add(const Originator& ended, const Outcome& outcome, MonoTime now) {
    if (entries_.size() == kKept) entries_.pop_front();
    entries_.push_back({.id = ended.id(),
                        .words = ended.command().words,
                        .read = ended.command().read,
                        .kind = outcome.kind,
                        .status = outcome.status,
                        .generation = outcome.generation,
                        .started = ended.started(),
                        .ended = now,
                        .log = ended.log(),
                        .answers = ended.Answers()});
  }
  // Oldest first.
  const std::deque<Entry>& entries() const { return entries_; }
  const Entry* Find(const std::string& id) const {
    for (auto it = entries_.rbegin(); it != entries_.rend(); ++it) {
      if (it->id == id) return &*it;
    }
    return nullptr;
  }

  static constexpr size_t kKept = 64;

 private:
  std::deque<Entry> entries_;
};

}  // namespace kfs::meta
