// Clocks: what sessions and tickets run out by, how dear it is to look at them, and whether this machine's
// day is the metaservers'.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "cli/doctor/checks.h"
#include "cli/doctor/surroundings.h"
#include "common/utf8.h"

namespace kfs::cli::doctor {
namespace {

// Read in user space, or by one instruction; the others need a slow device at each look.
constexpr const char* kQuick[] = {"tsc",
                                  "kvm-clock",
                                  "arch_sys_counter",
                                  "hyperv_clocksource_tsc_page",
                                  "xen",
                                  "timebase",
                                  "hyperv_clocksource_msr",
                                  "tod",
                                  "riscv_clocksource",
                                  "stp",
                                  "loongarch_clocksource"};

Finding Source(const Surroundings& here) {
  const std::string subject = "clock source", folder = "/sys/devices/system/clocksource/clocksource0/";
  const auto current = here.files.Line(folder + "current_clocksource");
  if (!current.ok()) return CannotTell(subject, current.status());
  const std::string name = Printable(*current, 40);
  if (std::find(std::begin(kQuick), std::end(kQuick), name) != std::end(kQuick))
    return {Severity::kOk, subject, name, "", ""};
  const auto available = here.files.Line(folder + "available_clocksource");
  return {
      Severity::kWarning, subject,
      fmt::format("{}: each look at the clock goes to a slow device, and there are several in a call{}", name,
                  available.ok() ? fmt::format(" (there are: {})", Printable(*available, 200)) : ""),
      fmt::format("'dmesg | grep -i clocksource' says why the tsc is not used; if it is there: echo tsc > "
                  "{}current_clocksource",
                  folder),
      ""};
}

// Tickets run out by a clock that goes on meanwhile (docs/fencing.md), sessions at the metaserver.
constexpr auto kSlept = std::chrono::seconds(1);

Finding Sleep(const Surroundings& here) {
  const std::string subject = "suspended";
  const auto slept = std::chrono::duration_cast<std::chrono::seconds>(here.boot_time - here.mono_time);
  if (slept < kSlept) return {Severity::kOk, subject, "never since this machine was started", "", ""};
  return {
      Severity::kNote, subject,
      fmt::format(
          "for {} s since this machine was started: a mount that sleeps for longer than session-ttl loses "
          "its locks and open files",
          slept.count()),
      "keep machines with mounts awake, or unmount before", ""};
}

// A chunkserver that is up was heard of at most so long ago, by the metaserver's clock.
constexpr TimeNs kSecond = 1'000'000'000, kHeardWithin = 20 * kSecond, kBehind = 2 * kSecond;

// Metaservers do not say what time it is, but when they have last heard of others: a little before they answered.
Finding Wall(const Surroundings& here) {
  const std::string subject = "wall clock";
  if (here.asked.mount_key)
    return CannotTell(subject, "a mount's key may not ask for what has a metaserver's time");
  TimeNs latest = 0;
  std::string by;
  for (const MemberAnswer& a : here.asked.members) {
    if (!a.status.ok()) continue;
    TimeNs heard = 0;
    for (const auto& c : a.cluster.chunkserver()) heard = std::max(heard, c.up() ? c.last_seen() : 0);
    for (const auto& p : a.conf.peer()) heard = std::max(heard, p.connected() ? p.last_heard() : 0);
    if (heard > latest) latest = heard, by = a.address;
  }
  if (latest == 0) return CannotTell(subject, "no metaserver says when it has last heard of somebody");
  const TimeNs ahead = latest - here.asked.answered;  // of the metaserver's clock, at least
  const char* next = "set both by NTP ('timedatectl' says whether a clock is)";
  if (ahead > kBehind)
    return {
        Severity::kWarning, subject,
        fmt::format("at least {} s behind that of metaserver {}: times of files seem to lie in the future",
                    ahead / kSecond, by),
        next, ""};
  if (-ahead > kHeardWithin)
    return {Severity::kWarning, subject,
            fmt::format("some {} s ahead of that of metaserver {}: keys expire late, new files look old",
                        -ahead / kSecond, by),
            next, ""};
  return {Severity::kOk, subject, fmt::format("that of metaserver {}, as far as can be seen", by), "", ""};
}

}  // namespace

Findings CheckClocks(const Surroundings& here) { return {Source(here), Sleep(here), Wall(here)}; }

}  // namespace kfs::cli::doctor
