#include "cli/doctor/gather.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <set>

#include "cli/doctor/probe.h"
#include "cli/doctor/wanted.h"
#include "common/chunk_token.h"
#include "common/link_key.h"

namespace kfs::cli::doctor {
namespace {

// Of one server, and in one step; with a mount's key there are two steps, else one after those of kfs health.
constexpr Duration kPatience = std::chrono::seconds(2);
constexpr size_t kServersMax = 256;  // asked at once

Duration ClockValue(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(ts.tv_sec) +
                                              std::chrono::nanoseconds(ts.tv_nsec));
}

// What opens a chunkserver for us as it does for a mount; empty: nothing that we have.
Credentials ForChunkserver(const Credentials& ours, const pb::ClusterStatusReply::Chunkserver& c,
                           TimeNs now) {
  if (!ours.is_root()) return {};
  if (c.key().empty() || c.key().starts_with("root/")) return ours;
  // It has a key of its own, and does not know the secret.
  const std::string key = ours.Derived(ChunkserverKeyId(c.uuid(), ours.generation())).key();
  const std::string id = LinkKeyId(SessionId(1), now);
  return Credentials::OfKey(id, LinkKey(key, id), ours.cluster_id(), "").With(ours.policy());
}

class Asking {
 public:
  Asking(const GlobalOptions& global, const Wanted& wanted, TimeNs now)
      : wanted_(wanted),
        timeout_s_(global.timeout_s),
        patience_(global.timeout_s > 0 ? std::chrono::duration_cast<Duration>(
                                             std::chrono::duration<double>(global.timeout_s / 2))
                                       : kPatience),
        now_(now) {
    out_.volume = wanted.volume;
  }

  Asked Ask() {
    ReadKey();
    out_.mount_key = ours_.key_id().starts_with("mount/");
    if (out_.key.ok() && !out_.mount_key) AskMembers();
    for (const std::string& address : wanted_.options.metaservers) AddMetaserver(address);
    for (const MemberAnswer& a : out_.members) {
      for (const auto& m : a.conf.conf().member()) AddMetaserver(m.address());
    }
    AddChunkservers();
    Probe();
    // What a mount's key has been told of the others.
    if (out_.mount_key && out_.located && out_.located->ok()) {
      for (const std::string& address : (*out_.located)->metaserver()) AddMetaserver(address);
      Probe();
    }
    return std::move(out_);
  }

 private:
  void ReadKey() {
    auto read = Credentials::Read(wanted_.options.secret_file);
    if (!read.ok()) {
      out_.key = read.status();
      return;
    }
    const auto tls = ParseTlsMode(wanted_.options.tls);
    out_.key = tls.status();
    if (tls.ok()) ours_ = read->With({.tls = *tls, .socket_dir = wanted_.socket_dir});
  }

  void AskMembers() {
    GlobalOptions options = wanted_.options;
    options.timeout_s = timeout_s_;  // not the one that commands have which ask for more
    auto members = AskAllMembers(options);
    out_.answered = SystemClock().WallNow();
    if (members.ok())
      out_.members = std::move(*members);
    else
      out_.key = members.status();
  }

  void AddMetaserver(const std::string& address) {
    if (!seen_.insert(address).second) return;
    targets_.push_back({.name = "metaserver " + address,
                        .address = address,
                        .role = out_.mount_key ? pb::HelloRequest::CLIENT : pb::HelloRequest::ADMIN,
                        .server_role = pb::HelloRequest::METASERVER,
                        .credentials = ours_,
                        .volume = wanted_.volume});
  }

  void AddChunkservers() {
    std::set<uint64_t> added;
    for (const MemberAnswer& a : out_.members) {
      for (const auto& c : a.cluster.chunkserver()) {
        if (c.address().empty() || !c.up() || !added.insert(c.id()).second) continue;
        targets_.push_back({.name = fmt::format("chunkserver {} ({})", c.id(), c.address()),
                            .address = c.address(),
                            .role = pb::HelloRequest::CLIENT,
                            .server_role = pb::HelloRequest::CHUNKSERVER,
                            .credentials = ForChunkserver(ours_, c, now_),
                            .volume = {}});
      }
    }
  }

  void Probe() {
    if (targets_.size() > kServersMax) targets_.resize(kServersMax);
    for (ProbeAnswer& a : ProbeAll(std::exchange(targets_, {}), patience_)) {
      if (a.located && (!out_.located || !out_.located->ok())) out_.located = std::move(a.located);
      out_.servers.push_back(std::move(a.server));
    }
  }

  const Wanted& wanted_;
  const double timeout_s_;
  const Duration patience_;
  const TimeNs now_;
  Asked out_;
  Credentials ours_;
  std::set<std::string> seen_;  // addresses
  std::vector<ProbeTarget> targets_;
};

}  // namespace

Result<Surroundings> Gather(const GlobalOptions& global, const std::string& what, const std::string& root) {
  Surroundings here{.files = MachineFiles(root)};
  here.root = geteuid() == 0;
  if (const char* path = std::getenv("PATH"); path != nullptr) here.path = path;
  const auto mountinfo = here.files.Text("/proc/self/mountinfo");
  if (mountinfo.ok()) here.mounts = LocalMounts(*mountinfo);
  here.mounts_known = mountinfo.status();
  if (!mountinfo.ok() && !what.empty() && what.find(":/") == std::string::npos) return mountinfo.status();
  auto wanted = FindWanted(global, what, &here.mounts);
  if (!wanted.ok()) return wanted.status();
  here.boot_time = ClockValue(CLOCK_BOOTTIME);
  here.mono_time = ClockValue(CLOCK_MONOTONIC);
  here.asked = Asking(global, *wanted, SystemClock().WallNow()).Ask();
  return here;
}

}  // namespace kfs::cli::doctor
