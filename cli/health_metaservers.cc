// What `kfs health` finds of metaservers: who is there, who answers at whose address, and who agrees with
// whom.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/health_examination.h"
#include "cli/output.h"

namespace kfs::cli {

using std::chrono::milliseconds;

std::string NextStep(const Status& refused, std::string otherwise) {
  const size_t end = refused.message().find('\n');
  const bool says = refused.code() == Code::kBadProof || refused.code() == Code::kWrongVersion ||
                    refused.code() == Code::kWrongCluster;
  if (!says || end == std::string::npos) return otherwise;
  const std::string next = refused.message().substr(end + 1);
  return next.substr(std::min(next.size(), next.find_first_not_of(' ')));
}

std::string WhyNotAsked(const std::string& address, const Status& why) {
  std::string words = FirstLine(why.message());
  for (const std::string& said : {std::string("metaserver: "), fmt::format("metaserver at {} ", address)}) {
    if (words.starts_with(said)) words.erase(0, said.size());
  }
  return words;
}

// One that was wiped, set up anew or started with another's data: the links of the others, by uuid, may stand
// all the same.
void Examination::Instead(const pb::MemberConf& m, const MemberAnswer& there) {
  const std::string subject = "metaserver " + m.address();
  const pb::ClusterConf& its = there.conf.conf();
  if (its.cluster_id() == conf().cluster_id()) {
    const pb::MemberConf* other = Member(there.conf.self());
    const MemberAnswer* itself = AnswerOf(m.uuid());
    Add(Severity::kCritical, "metaserver.swapped", subject,
        fmt::format("its address is answered by another member, {}{}: its volumes' mounts wait",
                    other == nullptr ? "one that was detached" : "that of " + other->address(),
                    itself == nullptr ? "" : ", and itself answers at " + itself->address),
        fmt::format("start each with its own data-dir; if it has moved: kfs peer address {} HOST:PORT",
                    m.address()));
  } else if (its.member_size() <= 1 && its.volume_size() == 0) {
    Add(Severity::kCritical, "cluster.stranger", subject,
        "has nothing of this cluster: it has lost its disk, or was set up anew",
        "kfs peer repair " + m.address() + "; then restore the volumes it owns from backups");
  } else {
    Add(Severity::kCritical, "cluster.stranger", subject,
        "a metaserver of another cluster answers there: " + its.cluster_id(),
        fmt::format("start the right one there; if it has moved: kfs peer address {} HOST:PORT",
                    m.address()));
  }
}

void Examination::Metaservers() {
  int alive = 0;
  for (const auto& m : conf().member()) {
    alive += Alive(m.uuid());
    const std::string subject = "metaserver " + m.address();
    const MemberAnswer* instead = InsteadOf(m);
    if (instead != nullptr) Instead(m, *instead);
    if (const MemberAnswer* a = AnswerOf(m.uuid()); a != nullptr) {
      if (a->took > kSlow)
        Add(Severity::kWarning, "metaserver.slow", subject,
            fmt::format("took {} ms to answer", std::chrono::duration_cast<milliseconds>(a->took).count()),
            "look at its load, memory and disk; 'kfs status --ops' shows what it does");
      const auto& c = a->cluster;
      if (const auto mean = MeanOf(c.recent_ops(), c.recent_micros());
          c.recent_ops() >= kOpsMin && mean > kSlowOps)
        Add(Severity::kWarning, "metaserver.slow_ops", subject,
            fmt::format("takes {} ms for an operation, in the mean of the last minute", mean.count()),
            "look at its load, memory and disk; 'kfs status --ops' shows which operations");
      continue;
    }
    if (instead != nullptr) continue;
    const auto asked = std::find_if(answers.begin(), answers.end(),
                                    [&](const MemberAnswer& a) { return a.address == m.address(); });
    const Status not_reached = asked == answers.end() ? Status(ENOTCONN, "was not asked") : asked->status;
    const std::string why = WhyNotAsked(m.address(), not_reached);
    if (const auto* seen = SeenAs(m.uuid()); seen != nullptr && seen->connected()) {
      Add(Severity::kWarning, "metaserver.not_asked", subject,
          fmt::format("is not reached from here, only from other metaservers: {}", why),
          NextStep(not_reached, "run this where it can be reached, or open the way"));
    } else {
      Add(Severity::kWarning, "metaserver.down", subject, why,
          NextStep(not_reached, "kfs peer why " + m.address()));
    }
  }
  const int needed = conf().member_size() / 2 + 1;
  if (alive < needed)
    Add(Severity::kCritical, "cluster.no_majority", "cluster",
        fmt::format("{} of {} metaservers are there, {} are needed: nothing can be changed", alive,
                    conf().member_size(), needed),
        "start the others; if they are lost for good: kfs peer detach PEER... --lost");
  std::set<std::string> versions;
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok()) {
      const bool member = std::any_of(conf().member().begin(), conf().member().end(),
                                      [&](const auto& m) { return m.address() == a.address; });
      if (!member)
        Add(Severity::kWarning, "metaserver.not_asked", "metaserver " + a.address,
            WhyNotAsked(a.address, a.status),
            NextStep(a.status, "correct --metaserver, $KFS_METASERVER or /etc/kfs/client.toml"));
      continue;
    }
    versions.insert(a.conf.software());
    Peers(a);
  }
  if (versions.size() > 1)
    Add(Severity::kWarning, "cluster.versions", "cluster",
        fmt::format("metaservers of different versions run: {} to {}", *versions.begin(), *versions.rbegin()),
        "go on with the upgrade");
}

void Examination::Peers(const MemberAnswer& of) {
  const std::string subject = "metaserver " + of.address;
  const pb::ClusterConf& its = of.conf.conf();
  const bool stranger = its.cluster_id() != conf().cluster_id();
  if (Member(of.conf.self()) == nullptr) {
    // What it has of the configuration is its own affair.
    const bool said = std::any_of(conf().member().begin(), conf().member().end(),
                                  [&](const auto& m) { return InsteadOf(m) == &of; });
    if (stranger && !said)
      Add(Severity::kCritical, "cluster.stranger", subject, "belongs to another cluster " + its.cluster_id(),
          "correct --metaserver; a member that has lost its disk: kfs peer repair");
    if (!stranger)
      Add(Severity::kWarning, "cluster.detached", subject, "is no member of the cluster any more",
          its.volume().empty() ? "stop it, or probe it anew (kfs peer probe)"
                               : "back up what it has ('kfs peer probe' says how), stop it");
    return;
  }
  const bool no_room = std::any_of(of.cluster.alarm().begin(), of.cluster.alarm().end(),
                                   [](const auto& a) { return a.name() == "cluster.no_room"; });
  if (stranger)
    Add(Severity::kCritical, "cluster.stranger", subject, "belongs to another cluster " + its.cluster_id(),
        "correct --metaserver; a member that has lost its disk: kfs peer repair");
  else if (its.generation() == conf().generation() && of.conf.checksum() != best->conf.checksum())
    Add(Severity::kCritical, "cluster.conflict", subject,
        fmt::format("has another configuration under generation {}", its.generation()),
        "kfs peer why " + of.address + ", asked of another member");
  else if (its.generation() < conf().generation())
    Add(Severity::kWarning, "cluster.behind", subject,
        fmt::format("is at generation {} of {}", its.generation(), conf().generation()),
        no_room ? "make room on the disk of its data-dir: it cannot catch up before"
                : "it catches up within seconds; if it does not, look at its log");
  for (const auto& p : of.conf.peer()) {
    if (p.connected() && p.state().find("Reject") != std::string::npos)
      Add(Severity::kCritical, "cluster.peer_rejected", subject,
          fmt::format("rejects {}: {}", p.address(), p.reason()), "kfs peer why " + p.address());
    // Between two of which both are up.
    if (!p.connected() && Alive(p.uuid()))
      Add(Severity::kWarning, "peer.disconnected", subject,
          fmt::format("has no connection to {}: {}", p.address(),
                      p.reason().empty() ? "last heard " + HumanAge(p.last_heard(), now) : p.reason()),
          fmt::format("kfs --metaserver {} peer why {}", of.address, p.address()));
    if (&of == best && !p.votes() && Member(p.uuid()) != nullptr)
      Add(Severity::kWarning, "peer.no_vote", "metaserver " + p.address(), "has no vote yet",
          "it votes from the next change on; else kfs peer repair " + p.address());
  }
}

}  // namespace kfs::cli
