// The metrics page (Prometheus, pull). The loop's thread hands over a snapshot now and then; the page's
// thread shows the last one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/status.h"

namespace kfs::meta {

struct Sample {
  std::string name, help;
  bool counter = false;  // else a gauge
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  // Serves http://ADDRESS/metrics.
  Status Listen(const std::string& address);
  void Set(std::vector<Sample> samples);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kfs::meta
