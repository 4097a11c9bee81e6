// An executor's surroundings without a loop: the test ends ticks itself, and puts in what it is about.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "metaserver/executor/executor.h"

namespace kfs::meta {

class TestExecutorEnv : public ExecutorEnv {
 public:
  void ScheduleTick() override {}
  void ScheduleNextTick() override {}
  bool CanFetch() const override { return static_cast<bool>(fetch); }
  void Fetch(Db& db, std::vector<std::string> keys, std::function<void()> done) override {
    fetch(db, std::move(keys), std::move(done));
  }
  void ForgetFetches(Db&) override {}
  bool CanDrain() const override { return static_cast<bool>(drain); }
  void Drain(Session& session, Ino ino, std::function<void()> done) override {
    drain(session, ino, std::move(done));
  }
  void CloseConnection(Session& session, uint8_t lane, const Status& why) override {
    if (close_connection) close_connection(session, lane, why);
  }
  Status WhyNotHere(const std::string& volume) override {
    return where ? where(volume) : Status(ENOENT, "there is no volume \"" + volume + "\"");
  }
  void Damaged(VolumeId volume) override {
    if (damaged) damaged(volume);
  }
  bool SyncedTo(const Volume&, pb::SyncPoint*) override { return false; }

  std::function<void(Db&, std::vector<std::string> keys, std::function<void()> done)> fetch;
  std::function<void(Session&, Ino, std::function<void()> done)> drain;
  std::function<void(Session&, uint8_t lane, const Status& why)> close_connection;
  std::function<Status(const std::string& volume)> where;
  std::function<void(VolumeId)> damaged;
};

}  // namespace kfs::meta
