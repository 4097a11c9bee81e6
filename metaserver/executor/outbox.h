// What may leave only once the log has acknowledged what it rests on: answers, messages to chunkservers and
// mounts, grants. One for each volume; things leave in the order in which they came, whatever they are. With
// a log that acknowledges at once nothing is ever in it.
//
// It holds what answers to calls that are in service (rpc/connection.h bounds these), or follows from a
// change that has been made (Executor::Admit makes none while the log is far behind). Loop's thread only.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "common/status.h"
#include "metaserver/store/journal.h"

namespace kfs::meta {

class Outbox {
 public:
  // OK: what it rests on stays; else why that is not known, and it must not leave.
  using Fn = std::function<void(const Status&)>;

  // REQUIRES: `rests_on` is not less than that of those before.
  void Add(LogPosition rests_on, Fn fn) { waiting_.emplace_back(rests_on, std::move(fn)); }
  void Release(LogPosition acknowledged) {
    while (!waiting_.empty() && waiting_.front().first <= acknowledged) LetGo({});
  }
  void Fail(const Status& why) {
    while (!waiting_.empty()) LetGo(why);
  }
  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }

 private:
  void LetGo(const Status& s) {
    const Fn fn = std::move(waiting_.front().second);
    waiting_.pop_front();
    fn(s);  // may add
  }

  std::deque<std::pair<LogPosition, Fn>> waiting_;
};

}  // namespace kfs::meta
