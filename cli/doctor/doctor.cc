#include "cli/doctor/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/doctor/checks.h"
#include "common/utf8.h"

namespace kfs::cli::doctor {
namespace {

const char* WordOf(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kCritical:
      break;
  }
  return "critical";
}

// Names of mounts, and what servers say, may be anything; a terminal and JSON get text.
std::string Shown(const std::string& text) {
  constexpr size_t kShownMax = 1000;
  return IsLine(text) ? text : Printable(text, kShownMax);
}

}  // namespace

Finding CannotTell(std::string subject, const std::string& reason) {
  return {Severity::kNote, std::move(subject), "cannot tell: " + reason, "", ""};
}
Finding CannotTell(std::string subject, const Status& why) {
  return CannotTell(std::move(subject), why.message().empty() ? why.ToString() : why.message());
}

Findings Diagnose(const Surroundings& here) {
  Findings out;
  for (const Check& check : kChecks) {
    for (const Finding& f : check.run(here)) {
      out.push_back({f.severity, Shown(f.subject), Shown(f.words), Shown(f.next), std::string(check.name)});
    }
  }
  return out;
}

Severity Worst(const Findings& findings) {
  Severity worst = Severity::kOk;
  for (const Finding& f : findings) worst = std::max(worst, f.severity);
  return worst;
}

int ExitCodeOf(Severity worst) {
  return worst == Severity::kCritical ? 2 : worst == Severity::kWarning ? 1 : 0;
}

std::string DoctorText(const Findings& findings) {
  std::string out;
  for (const Finding& f : findings)
    out += fmt::format("{:<8}  {}: {}{}\n", WordOf(f.severity), f.subject, f.words,
                       f.next.empty() ? "" : "  -> " + f.next);
  return out;
}

nlohmann::json DoctorJson(const Findings& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& f : findings)
    list.push_back({{"severity", WordOf(f.severity)},
                    {"check", f.check},
                    {"subject", f.subject},
                    {"words", f.words},
                    {"next", f.next}});
  const Severity worst = Worst(findings);
  return {{"state", worst <= Severity::kNote ? "ok" : WordOf(worst)},
          {"exit_code", ExitCodeOf(worst)},
          {"findings", list}};
}

}  // namespace kfs::cli::doctor
