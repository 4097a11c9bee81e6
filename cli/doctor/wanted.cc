#include "cli/doctor/wanted.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "common/utf8.h"
#include "fuse/mount.h"

namespace kfs::cli::doctor {
namespace {

constexpr const char* kNobodyNamed = "127.0.0.1:7400";  // ResolveDefaults

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

// By the command line or the environment.
bool IsSaid(const std::string& option, const char* variable) {
  return !option.empty() || std::getenv(variable) != nullptr;
}

// The mount knows its metaservers better than the environment; with which key to ask them is up to who asks.
Status TakeFrom(const LocalMount& m, const GlobalOptions& given, Wanted* wanted) {
  auto parsed = ParseMountArgs(m.source, m.mountpoint, "");
  if (!parsed.ok()) return parsed.status();
  if (!IsLine(parsed->volume)) return Status(EINVAL, "no volume has such a name");
  wanted->volume = parsed->volume;
  if (given.metaservers.empty()) wanted->options.metaservers = parsed->metaservers;
  if (!m.told.ok() || !IsTrusted(m)) return {};
  const auto file = ValueOf(m.options, "secretfile"), tls = ValueOf(m.options, "tls");
  if (!IsSaid(given.secret_file, "KFS_SECRET_FILE") && file) wanted->options.secret_file = *file;
  if (!IsSaid(given.tls, "KFS_TLS") && tls) wanted->options.tls = *tls;
  wanted->socket_dir = ValueOf(m.options, "socketdir").value_or(kSocketDir);
  return {};
}

}  // namespace

Result<Wanted> FindWanted(const GlobalOptions& global, const std::string& what,
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

}  // namespace kfs::cli::doctor
