// Histories by hand: calls are added in any order, each of a program and a mount of its own.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/sim/oracle/checker.h"
#include "tests/sim/oracle/model.h"

namespace kfs::sim {

class CheckerTest : public testing::Test {
 protected:
  Step& Add(Call call, int64_t began, int64_t ended) {
    Step step;
    step.call = call;
    step.program = step.client = static_cast<int>(history_.steps.size());
    step.began = began;
    step.ended = ended;
    history_.steps.push_back(step);
    return history_.steps.back();
  }
  void Name(Call call, int64_t began, int64_t ended, const std::string& name, int err, uint64_t got = 0) {
    Step& s = Add(call, began, ended);
    s.dir = Names::kRoot;
    s.name = name;
    s.err = err;
    s.got = got;
  }
  void Block(Call call, int64_t began, int64_t ended, uint64_t block, uint64_t value, uint64_t got = 0) {
    Step& s = Add(call, began, ended);
    s.ino = 7;
    s.block = block;
    s.value = value;
    s.got = got;
  }
  void Lock(Call call, int64_t began, int64_t ended, uint64_t owner, int err) {
    Step& s = Add(call, began, ended);
    s.ino = 7;
    s.owner = owner;
    s.err = err;
  }
  bool Right() { return Check(history_).ok; }

  History history_;
};

}  // namespace kfs::sim
