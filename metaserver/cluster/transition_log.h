// The last transitions of one state machine, for 'kfs cluster transitions' and tests.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/log.h"

namespace kfs::meta {

class TransitionLog {
 public:
  struct Entry {
    MonoTime at;
    std::string_view from, event, to;  // names live for ever
  };

  // `subject`: "transaction 1f.. originator", "peer m2".
  void Add(MonoTime at, const std::string& subject, std::string_view from, std::string_view event,
           std::string_view to) {
    KFS_LOG(debug, "cluster.transition of={} Transitioning from '{}' to '{}' due to event '{}'", subject,
            from, to, event);
    Keep({at, from, event, to});
  }
  // No row for it: nothing happens, but nobody should be surprised silently.
  void Unexpected(MonoTime at, const std::string& subject, std::string_view state, std::string_view event) {
    ++unexpected_;
    Keep({at, state, event, "(unexpected)"});
    KFS_LOG(warn, "cluster.unexpected_event of={} state='{}' event='{}'", subject, state, event);
  }

  const std::deque<Entry>& entries() const { return entries_; }
  uint64_t unexpected() const { return unexpected_; }

 private:
  void Keep(Entry entry) {
    if (entries_.size() == kKept) entries_.pop_front();
    entries_.push_back(entry);
  }

  static constexpr size_t kKept = 64;
  std::deque<Entry> entries_;
  uint64_t unexpected_ = 0;
};

}  // namespace kfs::meta
