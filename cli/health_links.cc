// Links without TLS, and who still uses which root secret: docs/security.md has the steps that these findings
// lead through.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cli/health.h"
#include "common/keys.h"
#include "rpc/address.h"

namespace kfs::cli {
namespace {

constexpr size_t kNamed = 8;

// Who does the same, by name, of each kind.
struct Group {
  std::vector<std::string> metaservers, chunkservers, mounts;

  bool empty() const { return metaservers.empty() && chunkservers.empty() && mounts.empty(); }
  // "metaserver m1:7400; chunkservers 1 (m2:7401), 2 (m3:7401); mounts h1:/data and 3 more"
  std::string Words() const {
    std::vector<std::string> parts;
    const auto add = [&parts](const char* one, const std::vector<std::string>& names) {
      if (names.empty()) return;
      const std::vector<std::string> shown(
          names.begin(), names.begin() + static_cast<ptrdiff_t>(std::min(names.size(), kNamed)));
      parts.push_back(fmt::format(
          "{}{} {}{}", one, names.size() == 1 ? "" : "s", fmt::join(shown, ", "),
          names.size() > kNamed ? fmt::format(" and {} more", names.size() - kNamed) : std::string()));
    };
    add("metaserver", metaservers);
    add("chunkserver", chunkservers);
    add("mount", mounts);
    return fmt::format("{}", fmt::join(parts, "; "));
  }
};

struct Links {
  Group plain, off, accept;
  Group by_root;                      // by the present root secret
  Group by_old;                       // by the one before, or a key that comes from it
  std::set<std::string> gone_over;    // metaservers that say so, by uuid
  std::set<std::string> at_home;      // on a metaserver's machine, as names
  std::vector<std::string> plain_to;  // chunkservers to which others have plain links, with whose
  std::string newest, old;            // root secrets' ids; `old` empty: none is accepted
  bool complete = true;               // everybody was asked, and every server and mount is linked
};

void AddTo(std::vector<std::string>* names, const std::string& name) {
  if (std::count(names->begin(), names->end(), name) == 0) names->push_back(name);
}

bool OnMetaserver(const pb::ClusterConf& conf, const std::string& host) {
  return std::any_of(conf.member().begin(), conf.member().end(),
                     [&](const auto& m) { return HostOf(m.address()) == host; });
}

// Where a link's kind, the other end's option and its key belong.
void Sort(Links* all, std::vector<std::string> Group::*kind, const std::string& name, const std::string& link,
          const std::string& tls, const std::string& key) {
  if (link == "unix") all->at_home.insert(name);
  if (link == "plain") AddTo(&(all->plain.*kind), name);
  if (tls == "off") AddTo(&(all->off.*kind), name);
  if (tls == "accept") AddTo(&(all->accept.*kind), name);
  const uint32_t generation = KeyGeneration(key.empty() ? all->newest : key);
  if (generation != 0 && generation < KeyGeneration(all->newest)) {
    AddTo(&(all->by_old.*kind), name);
  } else if (!link.empty() && (key.empty() || key.starts_with("root/"))) {
    AddTo(&(all->by_root.*kind), name);
  }
}

std::string AddressOfMember(const pb::ClusterConf& conf, const std::string& uuid) {
  for (const auto& m : conf.member()) {
    if (m.uuid() == uuid) return m.address();
  }
  return uuid;
}

void AddMember(Links* all, const pb::ClusterConf& conf, const MemberAnswer& a) {
  const pb::ClusterStatusReply& c = a.cluster;
  const std::string name = AddressOfMember(conf, a.conf.self());
  if (c.tls() == "off") AddTo(&all->off.metaservers, name);
  if (c.tls() == "accept") AddTo(&all->accept.metaservers, name);
  if (!c.secret().empty() && KeyGeneration(c.secret()) < KeyGeneration(all->newest))
    AddTo(&all->by_old.metaservers, name);
  for (const auto& p : c.peer()) {
    const std::string peer = AddressOfMember(conf, p.uuid());
    if (p.link() == "plain") AddTo(&all->plain.metaservers, peer);
    // One that has not gone over does not answer who asks by the new secret.
    const uint32_t its = KeyGeneration(p.key());
    if (its != 0 && its < KeyGeneration(all->newest) && !all->gone_over.contains(p.uuid()))
      AddTo(&all->by_old.metaservers, peer);
  }
  for (const auto& s : c.chunkserver()) {
    const std::string server = fmt::format("{} ({})", s.id(), s.address());
    all->complete = all->complete && s.up();
    if (OnMetaserver(conf, HostOf(s.address()))) all->at_home.insert(server);
    Sort(all, &Group::chunkservers, server, s.link(), s.tls(), s.key().empty() ? "not known" : s.key());
    if (s.plain_links() == 0) continue;
    std::vector<std::string> from(s.plain_from().begin(), s.plain_from().end());
    std::sort(from.begin(), from.end());
    from.erase(std::unique(from.begin(), from.end()), from.end());
    AddTo(&all->plain_to, fmt::format("chunkserver {} (from {})", server, fmt::join(from, ", ")));
  }
  for (const auto& s : c.session()) {
    all->complete = all->complete && s.attached();
    const std::string mount = fmt::format("{}:{}", s.host(), s.mountpoint());
    if (OnMetaserver(conf, s.host())) all->at_home.insert(mount);
    Sort(all, &Group::mounts, mount, s.link(), s.tls(), s.key());
  }
}

Links Gather(const std::vector<MemberAnswer>& members, const pb::ClusterConf& conf) {
  Links all;
  for (const MemberAnswer& a : members) {
    if (!a.status.ok()) {
      all.complete = false;
      continue;
    }
    const auto& c = a.cluster;
    if (KeyGeneration(c.secret()) > KeyGeneration(all.newest)) all.newest = c.secret();
    if (!c.old_secret().empty()) all.old = c.old_secret();
  }
  for (const MemberAnswer& a : members) {
    if (a.status.ok() && a.cluster.secret() == all.newest) all.gone_over.insert(a.conf.self());
  }
  for (const MemberAnswer& a : members) {
    if (a.status.ok()) AddMember(&all, conf, a);
  }
  // There the secret is anyway.
  for (auto* names : {&all.by_root.chunkservers, &all.by_root.mounts})
    std::erase_if(*names, [&](const std::string& name) { return all.at_home.contains(name); });
  return all;
}

// The next step of those that are left, in their order.
std::string NextOfSecret(const Links& all) {
  if (!all.by_old.metaservers.empty())
    return fmt::format("set secret-file ({}) and old-secret-file on {}, and start it again", all.newest,
                       all.by_old.metaservers.front());
  if (!all.by_old.chunkservers.empty())
    return fmt::format("kfs chunkserver invite NAME --for {} -o FILE: its secret-file from then on",
                       all.by_old.chunkservers.front().substr(0, all.by_old.chunkservers.front().find(' ')));
  if (!all.by_old.mounts.empty())
    return "mount them anew with a key that is made now ('kfs key create', 'kfs key export')";
  if (!all.complete)
    return "take old-secret-file from the metaservers' options when all are there, and none uses it";
  return "nobody uses it: take old-secret-file from the metaservers' options";
}

}  // namespace

std::vector<Finding> ExamineLinks(const std::vector<MemberAnswer>& members, const MemberAnswer& best) {
  const Links all = Gather(members, best.conf.conf());
  std::vector<Finding> out;
  const auto add = [&out](Severity severity, const char* alarm, std::string words, std::string next) {
    out.push_back({severity, alarm, "cluster", std::move(words), std::move(next)});
  };
  if (!all.plain.empty())
    add(Severity::kWarning, "links.plain", "links without TLS: " + all.plain.Words(),
        all.plain.metaservers.empty() && all.plain.chunkservers.empty()
            ? "upgrade these mounts and mount anew, or take tls = off from their options"
            : "upgrade these, metaservers first, or take tls = off from their options");
  if (!all.plain_to.empty())
    add(Severity::kWarning, "links.plain",
        fmt::format("links without TLS to {}", fmt::join(all.plain_to, "; ")),
        "upgrade the mounts there and mount anew, or take tls = off from their options");
  if (!all.off.empty())
    add(Severity::kWarning, "links.off", "tls = off, open to whoever is in the network: " + all.off.Words(),
        "set tls = accept there until no link is plain, then take it away");
  const bool anybody_plain = !all.plain.empty() || !all.plain_to.empty() || !all.off.empty();
  if (!all.accept.empty() && !anybody_plain && all.complete)
    add(Severity::kWarning, "links.accept",
        "tls = accept, although no link is plain any more: " + all.accept.Words(),
        "take it from the options: of mounts, then of chunkservers, then of metaservers");
  if (!all.old.empty())
    add(Severity::kWarning, "secret.old",
        fmt::format("the old root secret {} is still accepted{}", all.old,
                    all.by_old.empty() ? std::string() : ", and used by " + all.by_old.Words()),
        NextOfSecret(all));
  if (!all.by_root.empty())
    add(Severity::kNote, "secret.shared", "the root secret is on other machines: " + all.by_root.Words(),
        all.by_root.chunkservers.empty()
            ? "give them keys of their own: kfs key create"
            : "give them keys of their own: kfs chunkserver invite --for, kfs key "
              "create");
  return out;
}

}  // namespace kfs::cli
