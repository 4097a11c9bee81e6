// An executor's surroundings in a part, unless who derives from it says more: ticks are always his. No
// record is fetched, no kernel has queued releases, no connection is there, and the one volume stays.
#pragma once

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "metaserver/executor/executor_env.h"

namespace kfs::sim {

class PartsEnv : public meta::ExecutorEnv {
 public:
  bool CanFetch() const override { return false; }
  void Fetch(meta::Db&, std::vector<std::string>, std::function<void()>) override {}
  void ForgetFetches(meta::Db&) override {}
  bool CanDrain() const override { return false; }
  void Drain(meta::Session&, Ino, std::function<void()>) override {}
  void CloseConnection(meta::Session&, uint8_t, const Status&) override {}
  Status WhyNotHere(const std::string& volume) override {
    return Status(ENOENT, "there is no volume \"" + volume + "\"");
  }
  void Damaged(VolumeId) override {}
  bool SyncedTo(const meta::Volume&, pb::SyncPoint*) override { return false; }
};

}  // namespace kfs::sim
