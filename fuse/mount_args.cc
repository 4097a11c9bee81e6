// The words on mount's command line.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

#include "common/limits.h"
#include "fuse/mount.h"
#include "rpc/address.h"

namespace kfs {
namespace {

Status Bad(std::string what) { return Status(EINVAL, std::move(what)); }

constexpr const char* kSourceForm =
    "HOST[:PORT][,HOST[:PORT]...]:/VOLUME[/DIRECTORY], e.g. 127.0.0.1:7400:/data";

std::vector<std::string_view> Split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool IsPort(std::string_view text) {
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// "host", "host:port", "[v6]" or "[v6]:port" to "host:port".
Result<std::string> ParseHost(std::string_view text) {
  const std::string quoted = "\"" + std::string(text) + "\"";
  if (text.empty())
    return Bad("a metaserver's name is empty; give the source as " + std::string(kSourceForm));
  std::string_view host = text, port;
  size_t colon;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || close == 1)
      return Bad(quoted + ": an IPv6 address is written [ADDRESS]");
    host = text.substr(0, close + 1);
    colon = close + 1 == text.size() ? std::string_view::npos : close + 1;
    if (colon != std::string_view::npos && text[colon] != ':')
      return Bad(quoted + ": only :PORT may follow ]");
  } else {
    colon = text.find(':');
    if (colon != text.rfind(':')) return Bad(quoted + ": an IPv6 address is written [ADDRESS]:PORT");
    host = text.substr(0, colon);
    if (host.empty()) return Bad(quoted + ": the host is missing before the port");
  }
  if (colon == std::string_view::npos) return std::string(host) + ":" + kDefaultMetaserverPort;
  port = text.substr(colon + 1);
  if (!IsPort(port)) return Bad(quoted + ": \"" + std::string(port) + "\" is not a port (1 to 65535)");
  return std::string(host) + ":" + std::string(port);
}

// The part after the volume's name, with single slashes.
Status ParseDirectory(std::string_view source, std::string_view text, std::string* path) {
  for (std::string_view name : Split(text, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      return Bad("\"" + std::string(source) +
                 "\": the directory is named from the volume's root on, without \"..\"");
    }
    if (name.size() > kNameMax)
      return Bad("\"" + std::string(source) + "\": a directory's name has at most " +
                 std::to_string(kNameMax) + " bytes");
    *path += (path->empty() ? "" : "/") + std::string(name);
  }
  if (path->size() > kSymlinkMax)
    return Bad("the path of a directory has at most " + std::to_string(kSymlinkMax) + " bytes");
  return {};
}

Status ParseSource(std::string_view source, MountOptions* out) {
  const size_t slash = source.find(":/");
  if (slash == std::string_view::npos) {
    return Bad("\"" + std::string(source) + "\" names no volume; give the source as " + kSourceForm);
  }
  std::string_view volume = source.substr(slash + 2);
  while (!volume.empty() && volume.back() == '/') volume.remove_suffix(1);
  if (volume.empty()) {
    return Bad("\"" + std::string(source) +
               "\": the volume's name is missing after \":/\"; give the source as " + kSourceForm);
  }
  if (const size_t end = volume.find('/'); end != std::string_view::npos) {
    KFS_RETURN_IF_ERROR(ParseDirectory(source, volume.substr(end + 1), &out->path));
    volume = volume.substr(0, end);
    if (volume.empty())
      return Bad("\"" + std::string(source) + "\": the volume's name is missing after \":/\"");
  }
  if (volume.size() > kVolumeNameMax) {
    return Bad("a volume's name has at most " + std::to_string(kVolumeNameMax) + " characters");
  }
  out->volume = volume;
  for (std::string_view host : Split(source.substr(0, slash), ',')) {
    auto parsed = ParseHost(host);
    if (!parsed.ok()) return parsed.status();
    out->metaservers.push_back(std::move(*parsed));
  }
  return {};
}

// Only mount(8), systemd and the init scripts care about these.
bool IsForOthers(std::string_view name) {
  static constexpr std::array kNames = {"auto",   "noauto",  "user",    "nouser",   "users", "owner",
                                        "group",  "_netdev", "nofail",  "defaults", "hard",  "loud",
                                        "silent", "comment", "uhelper", "helper"};
  return name.starts_with("x-") || name.starts_with("X-") || std::ranges::count(kNames, name) != 0;
}

Status NeedsValue(std::string_view name) {
  return Bad("mount option " + std::string(name) + " needs a value: " + std::string(name) + "=...");
}

Status ParseTimeo(std::string_view value, MountOptions* out) {
  unsigned tenths = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), tenths);
  if (ec != std::errc() || end != value.data() + value.size() || tenths < 1 || tenths > 36000) {
    return Bad("timeo=" + std::string(value) + ": tenths of a second, 1 to 36000");
  }
  out->timeout = std::chrono::milliseconds(100) * tenths;
  return {};
}

// The options that take a value, and where it goes.
std::string* ValueOption(std::string_view name, MountOptions* out) {
  if (name == "secretfile") return &out->secret_file;
  if (name == "tls") return &out->tls;
  if (name == "socketdir") return &out->socket_dir;
  if (name == "log") return &out->log_file;
  if (name == "loglevel") return &out->log_level;
  if (name == "pidfile") return &out->pid_file;
  if (name == "metrics") return &out->metrics;
  return nullptr;
}

// The process that serves has another working directory, and resolves no names.
Status CheckMetrics(const std::string& address) {
  if (address.empty() || address.starts_with("unix:/")) return {};
  if (!address.starts_with("unix:") && ParseNumericAddress(address, 0).ok()) return {};
  return Bad("metrics=" + address + ": want unix:/PATH, or a numeric address and a port as 127.0.0.1:9100");
}

bool* FlagOption(std::string_view name, MountOptions* out) {
  if (name == "soft") return &out->soft;
  if (name == "trace") return &out->trace;
  if (name == "readdirplus") return &out->readdirplus;
  if (name == "allow_other") return &out->allow_other;
  if (name == "noallow_other") return &out->no_allow_other;
  return nullptr;
}

Status ParseOption(std::string_view option, MountOptions* out) {
  const size_t equals = option.find('=');
  const std::string_view name = option.substr(0, equals);
  std::optional<std::string_view> value;
  if (equals != std::string_view::npos) value = option.substr(equals + 1);
  if (std::string* target = ValueOption(name, out)) {
    if (!value || (value->empty() && name != "socketdir")) return NeedsValue(name);
    *target = *value;
    return {};
  }
  if (name == "timeo") return value ? ParseTimeo(*value, out) : NeedsValue(name);
  if (name == "hard" && value) return Bad("mount option hard takes no value");
  if (bool* flag = FlagOption(name, out)) {
    if (value) return Bad("mount option " + std::string(name) + " takes no value");
    *flag = true;
    return {};
  }
  if (name == "hard") out->soft = false;  // the last one given counts, as with mount(8)
  if (name == "X-mount.idmap") {
    return Bad(
        "mount option X-mount.idmap: an id-mapped mount is not possible, its requests would not say who "
        "makes them");
  }
  if (IsForOthers(name)) return {};
  if (out->flags.Take(option)) return {};
  return Bad(
      "mount option \"" + std::string(option) +
      "\" is not known; known are hard, soft, timeo=, secretfile=, tls=, socketdir=, log=, loglevel=, "
      "pidfile=, metrics=, trace, readdirplus, "
      "allow_other, noallow_other, ro, rw, nodev, nosuid, noexec, nosymfollow, sync, dirsync, noatime, "
      "nodiratime, relatime, strictatime, lazytime and what mount(8) itself understands");
}

}  // namespace

std::vector<std::string> SplitOptions(std::string_view options) {
  std::vector<std::string> out;
  for (std::string_view option : Split(options, ',')) {
    if (!option.empty()) out.emplace_back(option);
  }
  return out;
}

Result<MountOptions> ParseMountArgs(std::string_view source, std::string_view mountpoint,
                                    std::string_view options) {
  MountOptions out;
  out.source = source;
  KFS_RETURN_IF_ERROR(ParseSource(source, &out));
  if (mountpoint.empty()) return Bad("the mount point is missing: give the directory to mount on");
  out.mountpoint = mountpoint;
  for (const std::string& option : SplitOptions(options)) KFS_RETURN_IF_ERROR(ParseOption(option, &out));
  static constexpr std::array kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  if (std::ranges::count(kLevels, out.log_level) == 0) {
    return Bad("loglevel=" + out.log_level + ": one of trace, debug, info, warn, error, off");
  }
  if (Status s = CheckMetrics(out.metrics); !s.ok()) return s;
  return out;
}

std::vector<std::string> ServedOptions(const MountOptions& o) {
  const auto tenths = std::chrono::duration_cast<std::chrono::milliseconds>(o.timeout).count() / 100;
  std::vector<std::string> out = {o.soft ? "soft" : "hard",      "timeo=" + std::to_string(tenths),
                                  "secretfile=" + o.secret_file, "tls=" + o.tls,
                                  "socketdir=" + o.socket_dir,   "loglevel=" + o.log_level};
  if (!o.log_file.empty()) out.push_back("log=" + o.log_file);
  if (!o.pid_file.empty()) out.push_back("pidfile=" + o.pid_file);
  if (!o.metrics.empty()) out.push_back("metrics=" + o.metrics);
  if (o.trace) out.push_back("trace");
  if (o.readdirplus) out.push_back("readdirplus");
  if (o.allow_other) out.push_back("allow_other");
  if (o.no_allow_other) out.push_back("noallow_other");
  return out;
}

}  // namespace kfs
