#include "rpc/call_turns.h"

#include <algorithm>
#include <utility>

namespace kfs {
namespace {

// What each is taken to use at least: it is read, and answered, too.
constexpr Duration kLeastOfCall = std::chrono::microseconds(2);

}  // namespace

void CallTurns::RunNow(Caller& caller, const Fn& fn) {
  const auto began = loop_.clock().MonoNow();
  fn();
  const Duration took = std::max<Duration>(loop_.clock().MonoNow() - began, kLeastOfCall);
  caller.used += took;
  used_ += took;
}

void CallTurns::TickBegins() {
  if (std::exchange(in_tick_, true)) return;
  loop_.AtTickEnd(lifetime_.While([this] { TickEnds(); }));
}

void CallTurns::TickEnds() {
  in_tick_ = false;
  used_ = {};
  std::erase_if(callers_, [](const auto& entry) { return entry.second.waiting.empty(); });
  for (auto& [who, caller] : callers_) caller.used = {};
  if (order_.empty() || std::exchange(posted_, true)) return;
  loop_.Post(lifetime_.While([this] { Continue(); }));
}

void CallTurns::Run(const void* who, Fn fn) {
  TickBegins();
  Caller& caller = callers_[who];  // stays where it is, whatever comes and goes beside it
  if (caller.waiting.empty() && caller.used < kAtOnce && used_ < kTick) return RunNow(caller, fn);
  if (caller.waiting.empty()) order_.push_back(who);
  caller.waiting.push_back(std::move(fn));
  ++waiting_;
}

void CallTurns::Continue() {
  posted_ = false;
  TickBegins();
  while (!order_.empty() && used_ < kTick) {
    const void* who = order_.front();
    order_.pop_front();
    Caller& caller = callers_.at(who);
    const Fn fn = std::move(caller.waiting.front());
    --waiting_;
    // It counts as waiting until it has run: what it may bring with it comes behind it.
    RunNow(caller, fn);
    caller.waiting.pop_front();
    if (!caller.waiting.empty()) order_.push_back(who);
  }
}

}  // namespace kfs
