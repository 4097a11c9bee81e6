// A clock that stands still until told, and a request without a connection.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "metaserver/base/call.h"

namespace kfs::meta {

// Threads that open volumes look at it, too.
class TestClock : public Clock {
 public:
  TimeNs WallNow() const override { return wall; }
  MonoTime MonoNow() const override {
    if (per_look == Duration::zero()) return mono;
    mono = mono.load() + per_look;
    return mono;
  }
  void Advance(Duration d) {
    wall += d.count();
    mono = mono.load() + d;
  }
  std::atomic<TimeNs> wall = 1700000000ll * 1000000000;
  mutable std::atomic<MonoTime> mono{MonoTime(std::chrono::hours(1))};
  Duration per_look{};  // it goes on by itself, when asked
};

// A request and what became of it.
class TestCall : public OpCall {
 public:
  TestCall(Op op, std::string body) : op_(op), body_(std::move(body)) {}
  Op op() const override { return op_; }
  std::string_view body() const override { return body_; }
  void Reply(std::string_view body) override {
    ASSERT_FALSE(answered) << "answered twice";
    answered = true;
    reply = body;
  }
  void Fail(const Status& s, uint64_t) override {
    ASSERT_FALSE(answered) << "answered twice";
    answered = true;
    status = s;
  }
  bool answered = false;
  Status status;
  std::string reply;

 private:
  Op op_;
  std::string body_;
};
using TestCallPtr = std::shared_ptr<TestCall>;

}  // namespace kfs::meta
