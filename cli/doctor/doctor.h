// What makes a mount slow or wrong on this machine: checks, each of which looks at one thing and says in a line
// what it found and, when that is not well, what to do. What they look at is gathered first
// (cli/doctor/gather.h), so that no check waits for anybody. Any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace kfs::cli::doctor {

struct Surroundings;

// The exit code of `kfs doctor` comes from the worst one: 0 for kOk and kNote, 1 for kWarning, 2 for kCritical.
enum class Severity {
  kOk,
  kNote,      // for information, or it cannot be told
  kWarning,   // it works, but slowly, or not for long
  kCritical,  // something does not work
};

struct Finding {
  Severity severity = Severity::kOk;
  std::string subject;  // what was looked at: "clock source"
  std::string words;    // what was found
  std::string next;     // what to do; empty: nothing
  std::string check;    // the check that has found it; Diagnose sets it
};
using Findings = std::vector<Finding>;

// A new check is a function in a file of its own and a line in checks.h.
struct Check {
  std::string_view name;  // for scripts, and never another one
  Findings (*run)(const Surroundings& here);
};

// "cannot tell: REASON", for information.
Finding CannotTell(std::string subject, const std::string& reason);
Finding CannotTell(std::string subject, const Status& why);

// What all checks find, in their order.
Findings Diagnose(const Surroundings& here);
Severity Worst(const Findings& findings);
int ExitCodeOf(Severity worst);

std::string DoctorText(const Findings& findings);
nlohmann::json DoctorJson(const Findings& findings);

}  // namespace kfs::cli::doctor
