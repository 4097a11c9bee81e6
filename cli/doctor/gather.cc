#include "cli/doctor/gather.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <set>

#include "cli/doctor/probe.h"
#include "common/chunk_token.h"
#include "common/link_key.h"
#include "common/utf8.h"
#include "fuse/mount.h"
#include "rpc/local_socket.h"

namespace kfs::cli::doctor {
namespace {

// Of one server, and in one step; with a mount's key there are two steps, else one after those of kfs health.
constexpr Duration kPatience = std::chrono::seconds(2);
constexpr size_t kServersMax = 256;                     // asked at once
constexpr const char* kNobodyNamed = "127.0.0.1:7400";  // ResolveDefaults

Duration ClockValue(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(ts.tv_sec) +
                                              std::chrono::nanoseconds(ts.tv_nsec));
}

// The value of "NAME=" among a mount's options.
std::optional<std::string> ValueOf(const std::string& options, const std::string& name) {
  for (const std::string& option : SplitOptions(options)) {
    if (option.starts_with(name + "=")) return option.substr(name.size() + 1);
  }
  return std::nullopt;
}

// Root's, or of who asks. What another user has mounted may say anything; no file is read because of it.
bool IsTrusted(const LocalMount& m) {
  const auto user = ValueOf(m.shown, "user_id");
  return user == "0" || user == std::to_string(geteuid());
}

// Else it is a path.
bool NamesVolume(const std::string& what) {
  return !what.starts_with('/') && !what.starts_with('.') && what.find(":/") != std::string::npos;
}

struct Wanted {
  GlobalOptions options;  // ResolveDefaults has been there
  std::string volume;     // empty: any
  std::string socket_dir = kSocketDir;
};

// Where the command line says nothing, the mount does.
Status TakeFrom(const LocalMount& m, const GlobalOptions& given, Wanted* wanted) {
  auto parsed = ParseMountArgs(m.source, m.mountpoint, "");
  if (!parsed.ok()) return parsed.status();
  if (!IsLine(parsed->volume)) return Status(EINVAL, "no volume has such a name");
  wanted->volume = parsed->volume;
  if (given.metaservers.empty()) wanted->options.metaservers = parsed->metaservers;
  if (!m.told.ok() || !IsTrusted(m)) return {};
  const auto file = ValueOf(m.options, "secretfile"), tls = ValueOf(m.options, "tls");
  if (given.secret_file.empty() && file) wanted->options.secret_file = *file;
  if (given.tls.empty() && tls) wanted->options.tls = *tls;
  wanted->socket_dir = ValueOf(m.options, "socketdir").value_or(kSocketDir);
  return {};
}

Result<Wanted> FindOut(const GlobalOptions& global, const std::string& what,
                       std::vector<LocalMount>* mounts) {
  Wanted wanted{.options = global, .volume = {}};
  KFS_RETURN_IF_ERROR(ResolveDefaults(&wanted.options));
  if (NamesVolume(what)) {
    const LocalMount named{
        .mountpoint = "/", .source = what, .options = {}, .told = {}, .shown = {}, .device = {}};
    KFS_RETURN_IF_ERROR(TakeFrom(named, GlobalOptions{}, &wanted));
    std::erase_if(*mounts, [&](const LocalMount& m) { return m.source != what; });
  } else if (!what.empty()) {
    const std::string mountpoint = MountPointOf(what);
    std::erase_if(*mounts, [&](const LocalMount& m) { return m.mountpoint != mountpoint; });
    if (mounts->empty())
      return Status(ENOENT,
                    fmt::format("no KFS volume is mounted on {} ('findmnt -t fuse.kfs' shows those that are)",
                                mountpoint));
    mounts->erase(mounts->begin(), mounts->end() - 1);  // what is seen there
    KFS_RETURN_IF_ERROR(TakeFrom(mounts->front(), global, &wanted));
  } else if (wanted.options.metaservers == std::vector<std::string>{kNobodyNamed}) {
    // A mount knows better than what is tried where nobody has said anything.
    const auto trusted = std::find_if(mounts->begin(), mounts->end(), IsTrusted);
    if (Wanted there = wanted; trusted != mounts->end() && TakeFrom(*trusted, global, &there).ok())
      wanted = there;
  }
  KFS_RETURN_IF_ERROR(CheckMetaservers(wanted.options));
  return wanted;
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

Result<Surroundings> Gather(const GlobalOptions& global, const std::string& what) {
  Surroundings here;
  here.root = geteuid() == 0;
  if (const char* path = std::getenv("PATH"); path != nullptr) here.path = path;
  const auto mountinfo = here.files.Text("/proc/self/mountinfo");
  if (mountinfo.ok()) here.mounts = LocalMounts(*mountinfo);
  here.mounts_known = mountinfo.status();
  if (!mountinfo.ok() && !what.empty() && !NamesVolume(what)) return mountinfo.status();
  auto wanted = FindOut(global, what, &here.mounts);
  if (!wanted.ok()) return wanted.status();
  here.boot_time = ClockValue(CLOCK_BOOTTIME);
  here.mono_time = ClockValue(CLOCK_MONOTONIC);
  here.asked = Asking(global, *wanted, SystemClock().WallNow()).Ask();
  return here;
}

}  // namespace kfs::cli::doctor
