// The kernel's side of FUSE: the device, the protocol, and settings of the machine that bound its requests.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <iterator>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "common/utf8.h"

namespace kfs::cli::doctor {
namespace {

constexpr const char* kInContainer =
    "in a container, pass the device in (--device /dev/fuse --cap-add SYS_ADMIN)";

Finding Device(const Surroundings& here) {
  const std::string subject = "/dev/fuse";
  const Status opened = here.files.Opens(subject);
  if (opened.ok()) return {Severity::kOk, subject, "is there and can be opened", "", ""};
  std::string next;
  switch (opened.err()) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      next = fmt::format("modprobe fuse; {}", kInContainer);
      break;
    case EPERM:  // a container's rules for devices
      next = kInContainer;
      break;
    case EACCES:
      next = here.root ? kInContainer
                       : "mount as root (sudo), or chmod 0666 /dev/fuse, as distributions have it";
      break;
    default:
      next = "look at 'dmesg'";
  }
  return {Severity::kCritical, subject, "nothing can be mounted: " + opened.ToString(), next, ""};
}

struct Release {
  unsigned major = 0, minor = 0;
  auto operator<=>(const Release&) const = default;
};

// "6.18.44-fc" is 6.18.
Result<Release> ParseRelease(const std::string& text) {
  Release r;
  const char* const end = text.data() + text.size();
  const auto [dot, ec] = std::from_chars(text.data(), end, r.major);
  if (ec == std::errc() && dot != end && *dot == '.' &&
      std::from_chars(dot + 1, end, r.minor).ec == std::errc())
    return r;
  return Status(EINVAL, fmt::format("'{}' is not a release of Linux", Printable(text, 40)));
}

// Of FUSE 7: which Linux brought it (include/uapi/linux/fuse.h). Distributions put later features into earlier
// kernels without saying so here.
struct Protocol {
  unsigned minor;
  Release since;
};
constexpr Protocol kProtocols[] = {{31, {5, 4}},  {32, {5, 10}}, {33, {5, 11}}, {34, {5, 14}}, {35, {5, 16}},
                                   {36, {5, 17}}, {37, {6, 1}},  {38, {6, 2}},  {39, {6, 6}},  {40, {6, 9}},
                                   {41, {6, 12}}, {42, {6, 14}}, {43, {6, 15}}, {44, {6, 16}}, {45, {6, 18}}};
constexpr Release kSharedMappings{6, 6};  // DIRECT_IO_ALLOW_MMAP, docs/fuse.md
constexpr Release kUring{6, 14};

Result<Release> ReleaseOf(const Surroundings& here) {
  auto text = here.files.Line("/proc/sys/kernel/osrelease");
  if (!text.ok()) return text.status();
  return ParseRelease(*text);
}

Finding ProtocolOf(const Result<Release>& release) {
  const std::string subject = "FUSE protocol";
  if (!release.ok()) return CannotTell(subject, release.status());
  const Release r = *release;
  const auto* later = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                   [&](const Protocol& p) { return p.since > r; });
  const std::string spoken = later == std::begin(kProtocols) ? "an earlier one than 7.31"
                                                             : fmt::format("7.{}", std::prev(later)->minor);
  const std::string words =
      fmt::format("{}, by the release of the kernel, Linux {}.{}{}", spoken, r.major, r.minor,
                  later == std::end(kProtocols) ? "; perhaps a later one" : "");
  if (r >= kSharedMappings) return {Severity::kOk, subject, words, "", ""};
  return {Severity::kWarning, subject,
          words + ": writable shared mappings (mmap) fail with ENODEV, and with them sqlite's WAL",
          "Linux 6.6 or later, unless this one has DIRECT_IO_ALLOW_MMAP: a mount that lacks it logs "
          "fuse.no_shared_mmap",
          ""};
}

constexpr const char* kTurnOn =
    "nothing now; for a version that does: echo 1 > /sys/module/fuse/parameters/enable_uring; for good "
    "'options fuse enable_uring=1' in /etc/modprobe.d/fuse.conf, or fuse.enable_uring=1 on the kernel's "
    "command line where FUSE is built in";

// Information only: nothing of KFS depends on it yet.
Finding Uring(const Surroundings& here, const Result<Release>& release) {
  const std::string subject = "FUSE by io_uring", not_used = "this version of KFS does not use it yet";
  const std::string parameter = "/sys/module/fuse/parameters/enable_uring";
  auto value = here.files.Line(parameter);
  if (!value.ok() && value.status().err() == ENOENT) {
    if (!here.files.Exists("/sys/module"))
      return CannotTell(subject, "there is no /sys/module here (a container?); " + not_used);
    if (release.ok() && *release < kUring)
      return {Severity::kNote, subject, "this kernel does not have it (Linux 6.14 brought it); " + not_used,
              "", ""};
    return {Severity::kNote, subject, "this kernel was built without it, or FUSE is not loaded; " + not_used,
            "", ""};
  }
  if (!value.ok()) return CannotTell(subject, value.status());
  if (*value == "Y" || *value == "1") return {Severity::kNote, subject, "is on; " + not_used, "", ""};
  if (*value == "N" || *value == "0") return {Severity::kNote, subject, "is off; " + not_used, kTurnOn, ""};
  return CannotTell(subject, fmt::format("{} is '{}'", parameter, Printable(*value, 40)));
}

// Of one request; KFS asks for 1 MiB.
constexpr uint64_t kPagesWanted = 256;

void RequestSize(const Surroundings& here, Findings* out) {
  const auto pages = here.files.Number("/proc/sys/fs/fuse/max_pages_limit");
  if (!pages.ok()) {
    // Linux before 6.13 has no such bound.
    if (pages.status().err() != ENOENT) out->push_back(CannotTell("size of FUSE requests", pages.status()));
    return;
  }
  if (*pages >= kPagesWanted)
    out->push_back({Severity::kOk, "size of FUSE requests", fmt::format("up to {} pages", *pages), "", ""});
  else
    out->push_back({Severity::kWarning, "size of FUSE requests",
                    fmt::format("at most {} pages, KFS would use {}: large reads and writes are cut up",
                                *pages, kPagesWanted),
                    fmt::format("sysctl fs.fuse.max_pages_limit={}, then mount anew", kPagesWanted), ""});
}

// The kernel cuts a mount off that keeps a request for longer: a hard mount is not one any more.
void RequestTimeout(const Surroundings& here, Findings* out) {
  for (const char* name : {"default_request_timeout", "max_request_timeout"}) {
    const auto seconds = here.files.Number(fmt::format("/proc/sys/fs/fuse/{}", name));
    if (!seconds.ok() && seconds.status().err() == ENOENT) continue;  // before Linux 6.15
    const std::string subject = fmt::format("fs.fuse.{}", name);
    if (!seconds.ok()) {
      out->push_back(CannotTell(subject, seconds.status()));
    } else if (*seconds == 0) {
      out->push_back({Severity::kOk, subject, "off", "", ""});
    } else {
      out->push_back(
          {Severity::kWarning, subject,
           fmt::format("the kernel cuts a mount off whose servers are away for {} s, also a hard one",
                       *seconds),
           fmt::format("sysctl {}=0, then mount anew", subject), ""});
    }
  }
}

}  // namespace

Findings CheckKernel(const Surroundings& here) {
  const auto release = ReleaseOf(here);
  Findings out = {Device(here), ProtocolOf(release), Uring(here, release)};
  RequestSize(here, &out);
  RequestTimeout(here, &out);
  return out;
}

}  // namespace kfs::cli::doctor
