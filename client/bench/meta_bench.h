// What `kfs bench meta` does: drives metadata ops through the client library, many in flight, without FUSE,
// and measures rates and latencies. Each client has its own connection, session and worker thread, and a
// directory of its own, which is removed again at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/kfs_client.h"

namespace kfs {

struct BenchOptions {
  KfsClient::Options client;
  int clients = 1;
  int in_flight = 64;  // calls of each client
  double seconds = 3;  // of the create phase; the later phases visit what was created, at most as long
  uint64_t files_max = 1'000'000;  // of each client
};

struct BenchPhase {
  std::string name;
  uint64_t ops = 0, errors = 0;
  double seconds = 0, ops_per_second = 0;
  double p50_us = 0, p95_us = 0, p99_us = 0, max_us = 0;
  std::string first_error;  // for a person
};

struct BenchResult {
  std::vector<BenchPhase> phases;
  std::string ToText() const;  // a table
  std::string ToJson() const;
};

// Blocks until done. Fails when it cannot connect or make its directory; errors of single ops are counted.
Result<BenchResult> RunMetaBench(const BenchOptions& options);

}  // namespace kfs
