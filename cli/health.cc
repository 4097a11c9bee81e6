#include "cli/health.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/health_examination.h"
#include "cli/output.h"

namespace kfs::cli {
namespace {

using std::chrono::milliseconds;

// One call that waits for longer has been noticed by a person.
constexpr auto kSlowCall = std::chrono::seconds(5);
// A mount that has lost its session is said so for an hour; then nobody is about to look at that machine.
constexpr auto kLostWarns = std::chrono::hours(1);
// Of a chunkserver's room.
constexpr uint64_t kLowPercent = 10, kFullPercent = 2;
// A chunkserver comes back to a metaserver that was started within a second or two.
constexpr auto kJustStarted = std::chrono::seconds(5);

// By two machines' clocks: where they differ by more it is taken for one that has long been running.
bool IsJustStarted(const MemberAnswer& a, TimeNs now) {
  const TimeNs up = now - a.cluster.started();
  return up >= 0 && up < std::chrono::nanoseconds(kJustStarted).count();
}

const char* Name(Severity severity) {
  return severity == Severity::kCritical ? "critical" : severity == Severity::kWarning ? "warning" : "note";
}

}  // namespace

void Examination::Volumes() {
  for (const auto& v : conf().volume()) {
    const std::string subject = "volume " + v.name();
    const pb::MemberConf* owner = Member(v.owner());
    const std::string name = owner == nullptr ? v.owner() : owner->address();
    if (!v.started()) {
      Add(Severity::kNote, "volume.stopped", subject, "is stopped", "kfs volume start " + v.name());
      continue;
    }
    const MemberAnswer* at = AnswerOf(v.owner());
    if (at == nullptr) {
      if (owner != nullptr && InsteadOf(*owner) != nullptr)
        Add(Severity::kCritical, "volume.owner_down", subject,
            fmt::format("its owner is not there, another answers at {}: its mounts wait", name),
            "do what is said of metaserver " + name);
      else if (!Alive(v.owner()))
        Add(Severity::kCritical, "volume.owner_down", subject,
            fmt::format("its owner {} is down: its mounts wait", name), "start " + name);
      continue;  // else: not asked, which has been said
    }
    for (const pb::VolumeInfo& info : at->cluster.volume()) {
      if (info.name() != v.name()) continue;
      if (!info.trouble().empty() || !info.counted()) {
        // An older copy's says what to do, and that is not to restore a backup first.
        const std::string& trouble = info.trouble();
        const size_t advice = trouble.find(". Nothing is lost yet: ");
        Add(Severity::kCritical, "volume.not_served", subject,
            fmt::format(
                "is not served by its owner {}: {}", name,
                trouble.empty() ? "it is just being opened, or could not be" : trouble.substr(0, advice)),
            advice != std::string::npos
                ? trouble.substr(advice + 2)
                : "look at the owner's log and disk; restore it from a backup if it is damaged");
      }
      for (const auto& lost : info.lost()) {
        if (lost.settled()) continue;
        Add(Severity::kCritical, "chunk.lost", subject,
            fmt::format("has lost {} chunk{} of {} file{} with chunkserver {}, which was removed",
                        lost.chunks(), lost.chunks() == 1 ? "" : "s", lost.files(),
                        lost.files() == 1 ? "" : "s", lost.server()),
            fmt::format("kfs chunkserver files {0}: restore or remove them; or: kfs chunkserver settle {0}",
                        lost.server()));
      }
      if (!info.moving().empty())
        Add(Severity::kNote, "volume.moving", subject, "is moving " + info.moving());
    }
  }
}

void Examination::Room(const std::string& name, uint64_t capacity, uint64_t available, bool some_full) {
  if (capacity == 0 || available * 100 >= capacity * kLowPercent) return;
  const bool full = available * 100 < capacity * kFullPercent;
  Add(full || some_full ? Severity::kCritical : Severity::kWarning, full ? "disk.full" : "disk.low", name,
      fmt::format("{} of {} are free", HumanBytes(available), HumanBytes(capacity)),
      "remove files, or add a chunkserver");
}

uint64_t Examination::InsteadOf(const pb::ClusterStatusReply::Chunkserver& down) const {
  if (down.address().empty()) return 0;
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok() || Member(a.conf.self()) == nullptr) continue;
    for (const auto& s : a.cluster.chunkserver()) {
      if (s.up() && s.id() != down.id() && s.address() == down.address()) return s.id();
    }
  }
  return 0;
}

void Examination::Chunkservers() {
  uint64_t capacity = 0, available = 0;
  if (conf().chunkserver().empty())
    Add(Severity::kWarning, "chunkserver.none", "cluster",
        "has no chunkserver: nothing larger can be written", "start kfs-chunkserver; it makes itself known");
  for (const auto& c : conf().chunkserver()) {
    const pb::ClusterStatusReply::Chunkserver* best_view = nullptr;
    std::vector<std::string> without;
    std::string unreached;
    for (const MemberAnswer& a : answers) {
      if (!a.status.ok() || Member(a.conf.self()) == nullptr) continue;
      const auto& all = a.cluster.chunkserver();
      const auto it = std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.id() == c.id(); });
      if ((it == all.end() || !it->up()) && !IsJustStarted(a, now)) without.push_back(a.address);
      if (it != all.end() && (best_view == nullptr || (it->up() && !best_view->up()) ||
                              (it->up() == best_view->up() && it->last_seen() > best_view->last_seen())))
        best_view = &*it;
    }
    const std::string where =
        best_view == nullptr || best_view->address().empty() ? c.uuid().substr(0, 8) : best_view->address();
    const std::string subject = fmt::format("chunkserver {} ({})", c.id(), where);
    if (const uint64_t other = best_view == nullptr || best_view->up() ? 0 : InsteadOf(*best_view);
        other != 0) {
      Add(Severity::kCritical, "chunkserver.swapped", subject,
          fmt::format(
              "its address is answered by another one, chunkserver {}: its data directory was lost or "
              "swapped; reads and writes of its chunks wait",
              other),
          fmt::format("start each with its own data-dirs; if those of chunkserver {0} are lost for good: kfs "
                      "chunkserver remove {0} --lost",
                      c.id()));
      continue;
    }
    if (best_view == nullptr || best_view->last_seen() == 0) {
      Add(Severity::kWarning, "chunkserver.down", subject, "has not been seen",
          fmt::format("start it, or: kfs chunkserver remove {}", c.id()));
      continue;
    }
    if (!best_view->up()) {
      Add(Severity::kCritical, "chunkserver.down", subject,
          fmt::format("is down, seen {} ago: reads and writes of its chunks wait",
                      HumanAge(best_view->last_seen(), now)),
          "start it; 'journalctl -u kfs-chunkserver@*' there says why it ended");
      continue;
    }
    if (!without.empty())
      Add(Severity::kWarning, "chunkserver.partly", subject,
          fmt::format("is up, but not at {}", fmt::join(without, ", ")),
          "look at its log: metaserver.not_registered");
    if (best_view->error().starts_with("not reached at ")) {
      Add(Severity::kWarning, "chunkserver.unreached", subject, best_view->error(),
          "set its advertise to an address that clients reach, and let them through");
    } else if (!best_view->error().empty()) {
      Add(Severity::kCritical, "disk.sick", subject, best_view->error(),
          "replace the disk, or mend what is said, and start it again");
    }
    if (const uint64_t aside = best_view->set_aside(); aside != 0)
      Add(Severity::kCritical, "chunk.header_lost", subject,
          fmt::format("has {} data file{} without {}, set aside: their files read as EIO", aside,
                      aside == 1 ? "" : "s", aside == 1 ? "its header" : "their headers"),
          "look at its disk; restore the files from a backup, then remove what is in aside/ there");
    Room(subject, best_view->capacity(), best_view->available(), false);
    capacity += best_view->capacity(), available += best_view->available();
  }
  Room("cluster", capacity, available, false);
}

void Examination::Mounts() {
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok()) continue;
    for (const auto& s : a.cluster.session()) {
      if (s.attached()) {
        SlowMount(s);
        continue;
      }
      Add(Severity::kWarning, "mount.away", fmt::format("mount {}:{}", s.host(), s.mountpoint()),
          fmt::format("of volume {} is not connected to {}: its locks go when it stays away", s.volume(),
                      a.address),
          "look at that machine and its network");
    }
    LostSessions(a);
  }
}

// In each metaserver's own words.
void Examination::Told() {
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok()) continue;
    for (const auto& t : a.cluster.alarm()) {
      const auto same = [&](const Finding& f) { return f.alarm == t.name() && f.subject == t.subject(); };
      if (std::any_of(found.begin(), found.end(), same)) continue;
      const auto severity = std::clamp(static_cast<int>(t.severity()), static_cast<int>(Severity::kNote),
                                       static_cast<int>(Severity::kCritical));
      Add(static_cast<Severity>(severity), t.name(), t.subject(), t.words(), t.next());
    }
  }
}

void Examination::SlowMount(const pb::ClusterStatusReply::Session& s) {
  const std::string subject = fmt::format("mount {}:{}", s.host(), s.mountpoint());
  const auto mean = MeanOf(s.recent_ops(), s.recent_micros());
  const auto slowest = milliseconds(s.slowest_micros() / 1000);
  if (s.recent_ops() >= kOpsMin && mean > kSlowMount) {
    Add(Severity::kWarning, "mount.slow", subject,
        fmt::format("of volume {} waits {} ms for a call, in the mean of {} in the last two minutes",
                    s.volume(), mean.count(), s.recent_ops()),
        "look at the network, and at what is said of metaservers and chunkservers");
  } else if (slowest > kSlowCall) {
    Add(Severity::kWarning, "mount.slow", subject,
        fmt::format("of volume {} has waited {:.1f} s for a call in the last two minutes", s.volume(),
                    static_cast<double>(slowest.count()) / 1000),
        "look at the network, and at what is said of metaservers and chunkservers");
  }
}

void Examination::LostSessions(const MemberAnswer& of) {
  uint64_t older = of.cluster.lost_sessions();
  for (const auto& s : of.cluster.lost_session()) {
    if (now - s.lost() > std::chrono::nanoseconds(kLostWarns).count()) continue;
    --older;
    Add(Severity::kWarning, "mount.lost", fmt::format("mount {}:{}", s.host(), s.mountpoint()),
        fmt::format("of volume {} was silent for too long, {} ago: it has lost its locks and open files",
                    s.volume(), HumanAge(s.lost(), now)),
        "look at that machine; a mount that is gone for good is forgotten after session-keep");
  }
  if (older > 0)
    Add(Severity::kNote, "mount.lost", "metaserver " + of.address,
        fmt::format("remembers {} mount{} that went away without a word", older, older == 1 ? "" : "s"));
}

std::vector<Finding> Examine(const std::vector<MemberAnswer>& members, TimeNs now) {
  Examination e{.answers = members, .now = now, .found = {}, .best = nullptr};
  for (const MemberAnswer& a : members) {
    if (a.status.ok() && (e.best == nullptr || a.conf.conf().generation() > e.best->conf.conf().generation()))
      e.best = &a;
  }
  if (e.best == nullptr) {
    for (const MemberAnswer& a : members)
      e.Add(Severity::kCritical, "metaserver.down", "metaserver " + a.address,
            WhyNotAsked(a.address, a.status),
            NextStep(a.status, "start kfs-metaserver there, or name another one with --metaserver"));
  } else {
    e.Metaservers();
    e.Volumes();
    e.Chunkservers();
    e.Mounts();
    e.Told();
    for (Finding& f : ExamineLinks(members, *e.best)) e.found.push_back(std::move(f));
  }
  std::stable_sort(e.found.begin(), e.found.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return std::move(e.found);
}

Severity Worst(const std::vector<Finding>& findings) {
  Severity worst = Severity::kNote;
  for (const Finding& f : findings) worst = std::max(worst, f.severity);
  return worst;
}

std::string HealthText(const std::vector<Finding>& findings, const std::vector<MemberAnswer>& members) {
  std::string out;
  if (Worst(findings) == Severity::kNote) {
    const auto best = std::max_element(members.begin(), members.end(), [](const auto& a, const auto& b) {
      return a.conf.conf().generation() < b.conf.conf().generation();
    });
    const pb::ClusterConf& conf = best->conf.conf();
    out = fmt::format("ok        {} metaserver{}, {} chunkserver{}, {} volume{}\n", conf.member_size(),
                      conf.member_size() == 1 ? "" : "s", conf.chunkserver_size(),
                      conf.chunkserver_size() == 1 ? "" : "s", conf.volume_size(),
                      conf.volume_size() == 1 ? "" : "s");
  }
  for (const Finding& f : findings)
    out += fmt::format("{:<8}  {}: {}{}\n", Name(f.severity), f.subject, f.words,
                       f.next.empty() ? "" : "  -> " + f.next);
  return out;
}

nlohmann::json HealthJson(const std::vector<Finding>& findings, const std::vector<MemberAnswer>& members) {
  nlohmann::json list = nlohmann::json::array(), asked = nlohmann::json::array();
  for (const Finding& f : findings)
    list.push_back({{"severity", Name(f.severity)},
                    {"alarm", f.alarm},
                    {"subject", f.subject},
                    {"words", f.words},
                    {"next", f.next}});
  for (const MemberAnswer& a : members)
    asked.push_back({{"metaserver", a.address},
                     {"answered", a.status.ok()},
                     {"reason", a.status.message()},
                     {"micros", std::chrono::duration_cast<std::chrono::microseconds>(a.took).count()}});
  const Severity worst = Worst(findings);
  return {{"state", worst == Severity::kNote ? "ok" : Name(worst)},
          {"exit_code", static_cast<int>(worst)},
          {"findings", list},
          {"asked", asked}};
}

}  // namespace kfs::cli
