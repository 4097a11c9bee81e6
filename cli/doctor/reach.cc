// How far the servers are from this machine: whether each is reached, how quickly, by which link, of which
// version.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "common/utf8.h"
#include "rpc/frame.h"
#include "rpc/hello.h"

namespace kfs::cli::doctor {
namespace {

// Every operation on names waits for one answer at least; most of what builds and version control do is such.
constexpr auto kFarAnswer = std::chrono::milliseconds(10);
// A connection is made once; so slow a greeting means a busy server or lost packets.
constexpr auto kFarGreeting = std::chrono::milliseconds(500);

Duration Median(std::vector<Duration> of) {
  std::sort(of.begin(), of.end());
  return of[of.size() / 2];
}

std::string Ms(Duration d) {
  const double ms = std::chrono::duration<double, std::milli>(d).count();
  return fmt::format("{:.{}f} ms", ms, ms < 10 ? 2 : 0);
}

// The first line: the second says what to do in general, and here more is known. What cannot be looked up has
// said why already.
std::string Words(const Status& why) {
  const std::string text = why.err() == EHOSTUNREACH || why.message().find('(') != std::string::npos
                               ? why.message()
                               : why.ToString();
  return text.substr(0, text.find('\n'));
}

bool AnyMetaserver(const Asked& asked) {
  return std::any_of(asked.servers.begin(), asked.servers.end(),
                     [](const ReachedServer& s) { return s.metaserver && s.greeted; });
}

Finding NotReached(const Asked& asked, const ReachedServer& s) {
  const std::string words = Words(s.status);
  if (!s.took.empty())
    return {Severity::kWarning, s.name,
            fmt::format("is reached now and then ({} times): {}", s.took.size(), words),
            "look at its load and at the network between", ""};
  if (s.status.code() == Code::kBadProof || s.status.code() == Code::kWrongCluster)
    return {Severity::kCritical, s.name, "does not take our key: " + words,
            "name the right key with --secret-file; 'kfs health' from a metaserver's machine says more", ""};
  if (s.status.code() == Code::kWrongVersion)
    return {Severity::kCritical, s.name, words, "install the same version of KFS on both machines", ""};
  if (s.status.err() == ETIMEDOUT)
    return {s.metaserver && AnyMetaserver(asked) ? Severity::kWarning : Severity::kCritical, s.name, words,
            "is its process stopped or its machine down, or does a firewall drop what this machine sends?",
            ""};
  if (s.metaserver)
    return {AnyMetaserver(asked) ? Severity::kWarning : Severity::kCritical, s.name,
            "is not reached: " + words,
            "is kfs-metaserver running there, and does a firewall let this machine through?", ""};
  return {Severity::kCritical, s.name,
          fmt::format("is not reached: {}; reads and writes of its chunks wait", words),
          "does a firewall let this machine through, and is its option advertise an address that is reached "
          "from here?",
          ""};
}

std::string LinkWords(const std::string& link) {
  return link == "tls" ? "TLS" : link == "unix" ? "a Unix socket" : "a link without TLS";
}

Finding Reached(const ReachedServer& s) {
  const Duration took = Median(s.took);
  if (!s.greeted)
    return {Severity::kOk, s.name,
            fmt::format("connected in {}, not greeted: {}", Ms(took),
                        s.metaserver ? "there is no key to greet it with"
                                     : "the key that is used here opens no chunkserver"),
            "", ""};
  const Duration answered = Median(s.answered);
  const std::string software = Printable(s.software, 60);
  const std::string words =
      fmt::format("answers in {}, connected and greeted in {} (medians of {}), by {}, {}, protocol {}",
                  Ms(answered), Ms(took), s.took.size(), LinkWords(s.link), software, kProtocolVersion);
  if (answered > kFarAnswer || took > kFarGreeting)
    return {
        Severity::kWarning, s.name,
        fmt::format("{}: every operation {}waits at least so long", words, s.metaserver ? "on names " : ""),
        "look at its load, and at the network between ('ping', 'mtr')", ""};
  if (s.link == "plain")
    return {Severity::kWarning, s.name,
            words + ": whoever is in the network can read and change what goes over it",
            "set tls = required at both ends", ""};
  if (s.software != kSoftware)
    return {Severity::kNote, s.name, fmt::format("{}; here is {}", words, kSoftware),
            "docs/upgrade.md says which versions go together", ""};
  return {Severity::kOk, s.name, words, "", ""};
}

}  // namespace

Findings CheckReach(const Surroundings& here) {
  const Asked& asked = here.asked;
  Findings out;
  if (!asked.key.ok())
    out.push_back({Severity::kCritical, "key", asked.key.message(),
                   "name a key's file with --secret-file, or run this as a user who may read it", ""});
  for (const ReachedServer& s : asked.servers)
    out.push_back(s.status.ok() && !s.took.empty() ? Reached(s) : NotReached(asked, s));
  if (asked.mount_key)
    out.push_back(CannotTell("chunkservers",
                             "a mount's key may not ask which there are; run this with an administrator's "
                             "(--secret-file)"));
  return out;
}

}  // namespace kfs::cli::doctor
