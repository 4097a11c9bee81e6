// What is wrong with a cluster, as one list of findings: made of what its members said, or did not say. Any
// thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "common/types.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

// The exit code of `kfs health` is the worst one's (docs/commands.md).
enum class Severity { kNote = 0, kWarning = 1, kCritical = 2 };

struct Finding {
  Severity severity = Severity::kNote;
  std::string alarm;    // a name for scripts: "chunkserver.down"; docs/operate.md lists them
  std::string subject;  // what it is about: "chunkserver 2 (m2:7401)"
  std::string words;    // what was found
  std::string next;     // what to do; empty: nothing
};

// What one metaserver answered.
struct MemberAnswer {
  std::string address;               // that it was asked at
  std::vector<std::string> also_at;  // others at which the same one has answered
  Status status;                     // not ok: why it has not answered, in words
  Duration took{};                   // of one call, once connected
  pb::ConfShowReply conf;
  pb::ClusterStatusReply cluster;
};

// What of it is about links and secrets (health_links.cc): the steps of a cluster that goes over to TLS, and
// to a new root secret. `best`: of those that answered, the one with the newest configuration.
std::vector<Finding> ExamineLinks(const std::vector<MemberAnswer>& members, const MemberAnswer& best);

// The worst first.
std::vector<Finding> Examine(const std::vector<MemberAnswer>& members, TimeNs now);
Severity Worst(const std::vector<Finding>& findings);

// One line a finding; "ok" and what was looked at when there is none.
std::string HealthText(const std::vector<Finding>& findings, const std::vector<MemberAnswer>& members);
nlohmann::json HealthJson(const std::vector<Finding>& findings, const std::vector<MemberAnswer>& members);

// Asks the metaservers named by `global`, and every member that they know, all at once: within two seconds,
// or --timeout. An error: nothing could be asked for a reason of our own (the secret's file).
Result<std::vector<MemberAnswer>> AskAllMembers(const GlobalOptions& global);

}  // namespace kfs::cli
