// Connects to servers as a mount would, several times each, and measures how long that takes. Blocks; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/doctor/surroundings.h"
#include "common/credentials.h"

namespace kfs::cli::doctor {

constexpr int kProbeRounds = 3;

struct ProbeTarget {
  std::string name;     // ReachedServer's
  std::string address;  // host:port
  pb::HelloRequest::Role role = pb::HelloRequest::ADMIN;
  pb::HelloRequest::Role server_role = pb::HelloRequest::METASERVER;
  Credentials credentials;  // empty: none that opens it, only a connection is made
  std::string volume;       // of a metaserver: where is it? Empty: not asked
};

struct ProbeAnswer {
  ReachedServer server;
  std::optional<Result<pb::LocateVolumeReply>> located;  // none: not asked, or not reached
};

// All at once, each for `patience` at most, whatever they do. In the order of `targets`.
std::vector<ProbeAnswer> ProbeAll(const std::vector<ProbeTarget>& targets, Duration patience);

}  // namespace kfs::cli::doctor
