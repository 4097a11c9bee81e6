// What the checks of `kfs doctor` look at: this machine, its KFS mounts, and what the servers have answered.
// Plain data; a test fills in what it is about.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/doctor/machine_files.h"
#include "cli/health.h"
#include "cli/local_mounts.h"
#include "common/clock.h"
#include "proto/meta.pb.h"

namespace kfs::cli::doctor {

// A server that was connected to, several times one after the other.
struct ReachedServer {
  bool metaserver = false;
  std::string name;                // "metaserver m1:7400", "chunkserver 3 (m2:7401)"
  Status status;                   // not ok: why it was not reached, perhaps after some connections
  bool greeted = false;            // false: connected only, no key that we have opens it
  std::vector<Duration> took;      // to connect and to greet, each time
  std::vector<Duration> answered;  // to answer a call, each time; empty: not greeted
  std::string software;            // "kfs 0.1.0"; empty: not greeted
  std::string link;                // "tls", "unix", "plain"; empty: not greeted
};

struct Asked {
  // Not ok: no server could be asked anything for a reason of our own (the key's file).
  Status key;
  // The key is a mount's: metaservers tell it where its volume is, and nothing of the cluster.
  bool mount_key = false;
  std::vector<MemberAnswer> members;  // empty with a mount's key
  TimeNs answered = 0;                // this machine's wall clock when they had
  std::vector<ReachedServer> servers;
  std::string volume;  // that was asked for; empty: none
  // What the first metaserver that answered says of it.
  std::optional<Result<pb::LocateVolumeReply>> located;
};

struct Surroundings {
  MachineFiles files;
  bool root = true;                   // this process is the superuser's
  std::string path;                   // where programs are looked for beside the usual places, $PATH
  std::vector<LocalMount> mounts;     // those that are to be looked at
  Status mounts_known;                // not ok: why the machine's mounts are not known
  Duration boot_time{}, mono_time{};  // CLOCK_BOOTTIME, CLOCK_MONOTONIC
  Asked asked;
};

}  // namespace kfs::cli::doctor
