#include "metaserver/cluster/conf_options.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "common/limits.h"
#include "common/utf8.h"

namespace kfs::meta {
namespace {

using Of = ConfOption::Of;
using Kind = ConfOption::Kind;

constexpr int64_t kDay = 86400;
constexpr size_t kNoteMax = 1024;

constexpr ConfOption kTable[] = {
    {Of::kVolume, Kind::kChoice, "atime", "relative", 0, 0, "relative|off",
     "When reading updates a file's access time: as relatime does, or never."},
    {Of::kVolume, Kind::kSize, "inline-max", "0", 0, 64 << 10, "",
     "Files up to this size are stored beside their inode. This version stores none: only 0."},
    {Of::kVolume, Kind::kSwitch, "read-only", "off", 0, 0, "",
     "Refuse every change of files and directories with EROFS, whoever asks."},
    {Of::kVolume, Kind::kSeconds, "session-keep", "1d", 0, 30 * kDay, "",
     "A mount that comes back so long after its session expired may still send again what it had under way."},
    {Of::kVolume, Kind::kNumber, "slow-op-ms", "1000", 1, 3600000, "", "Ops that take longer are logged."},
    {Of::kCluster, Kind::kChoice, "chunkserver-admission", "any", 0, 0, "any|command",
     "Whether a chunkserver that knows the secret joins by itself, or waits for 'kfs chunkserver add'."},
    {Of::kCluster, Kind::kSize, "default-chunk-size", "64M", kChunkSizeMin, kChunkSizeMax, "",
     "Chunk size of volumes that do not ask for another."},
    {Of::kCluster, Kind::kBytes, "chunkserver-reserve", "own", 1 << 20, int64_t{1} << 50, ConfOption::kOwn,
     "Free space that chunkservers leave alone on each disk."},
    {Of::kCluster, Kind::kSeconds, "chunkserver-inventory-interval", "own", 1, 30 * kDay, ConfOption::kOwn,
     "How often chunkservers compare all their chunks with the metadata."},
    {Of::kCluster, Kind::kNumber, "chunkserver-inventory-rate", "own", 1, 1 << 20, ConfOption::kOwn,
     "Chunks that a chunkserver looks at in a second while comparing."},
    {Of::kCluster, Kind::kSeconds, "chunkserver-garbage-keep", "own", 0, 30 * kDay, ConfOption::kOwn,
     "How long chunks that were deleted can be had back; less when a disk needs the room."},
    {Of::kCluster, Kind::kNumber, "chunkserver-sync-ms", "own", 50, 10000, ConfOption::kOwn,
     "How often chunkservers make written data durable without fsync."},
};

std::optional<int64_t> Number(std::string_view text, std::string_view* rest) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return {};
  *rest = text.substr(static_cast<size_t>(end - text.data()));
  return value;
}

// In one of the units given ("K", 1024), or without.
struct Unit {
  std::string_view name;
  int64_t factor;
};
std::optional<int64_t> WithUnit(std::string_view text, std::span<const Unit> units) {
  std::string_view rest;
  std::optional<int64_t> value = Number(text, &rest);
  if (!value || rest.empty()) return value;
  for (const Unit& unit : units) {
    if (rest == unit.name) {
      int64_t product = 0;
      if (__builtin_mul_overflow(*value, unit.factor, &product)) return {};
      return product;
    }
  }
  return {};
}

constexpr Unit kSizes[] = {{"K", 1 << 10},          {"KiB", 1 << 10},         {"M", 1 << 20},
                           {"MiB", 1 << 20},        {"G", 1 << 30},           {"GiB", 1 << 30},
                           {"T", int64_t{1} << 40}, {"TiB", int64_t{1} << 40}};
constexpr Unit kTimes[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", kDay}};

std::optional<int64_t> Choice(std::string_view choices, std::string_view value) {
  int64_t place = 0;
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    if (choices.substr(0, bar) == value) return place;
    if (bar == std::string_view::npos) break;
    choices.remove_prefix(bar + 1);
    ++place;
  }
  return {};
}

std::optional<int64_t> Parse(const ConfOption& o, std::string_view value) {
  std::string_view rest;
  std::optional<int64_t> n;
  if (o.for_chunkservers() && value == ConfOption::kOwn) return -1;
  switch (o.kind) {
    case Kind::kSwitch:
      return Choice("off|on", value);
    case Kind::kChoice:
      return Choice(o.choices, value);
    case Kind::kSize:
      n = WithUnit(value, kSizes);
      if (n && (*n & (*n - 1)) != 0) return {};
      break;
    case Kind::kBytes:
      n = WithUnit(value, kSizes);
      break;
    case Kind::kSeconds:
      n = WithUnit(value, kTimes);
      break;
    case Kind::kNumber:
      n = Number(value, &rest);
      if (!rest.empty()) return {};
      break;
  }
  if (n && (*n < o.min || *n > o.max)) return {};
  return n;
}

std::string Allowed(const ConfOption& o) {
  const std::string own = o.for_chunkservers() ? ", or own: as each chunkserver's own file says" : "";
  switch (o.kind) {
    case Kind::kSwitch:
      return "on or off";
    case Kind::kChoice: {
      std::string text(o.choices);
      for (size_t bar; (bar = text.find('|')) != std::string::npos;) text.replace(bar, 1, " or ");
      return text;
    }
    case Kind::kSize:
      return fmt::format("a power of two from {}K to {}M", o.min >> 10, o.max >> 20);
    case Kind::kBytes:
      return fmt::format("a size from {}M to {}T (512M, 20G){}", o.min >> 20, o.max >> 40, own);
    case Kind::kSeconds:
      return fmt::format("a time from {}s to {}d (30s, 5m, 2h, 1d){}", o.min, o.max / kDay, own);
    case Kind::kNumber:
      return fmt::format("{} to {}{}", o.min, o.max, own);
  }
  return "";
}

Status CheckInlineMax(const ConfOption& o, std::string_view value) {
  const std::optional<int64_t> n = WithUnit(value, kSizes);
  if (n == 0) return {};
  if (n && *n > o.max)
    return Status(EINVAL, fmt::format("option {}={} exceeds {}KiB", o.name, value, o.max >> 10));
  return Status(
      n ? EOPNOTSUPP : EINVAL,
      fmt::format("option {}={}: small files are not stored beside the inode in this version: only 0", o.name,
                  value));
}

}  // namespace

std::span<const ConfOption> ConfOptions() { return kTable; }

const ConfOption* FindConfOption(ConfOption::Of of, std::string_view name) {
  for (const ConfOption& o : kTable) {
    if (o.of == of && o.name == name) return &o;
  }
  return nullptr;
}

Status CheckConfOption(ConfOption::Of of, std::string_view name, std::string_view value) {
  if (name.starts_with("user.") && name.size() > 5 && name.size() <= 64) {
    if (!IsLine(name) || !IsLine(value))
      return Status(EINVAL, "option user.NAME: neither name nor value may have control characters");
    if (value.size() <= kNoteMax) return {};
    return Status(EINVAL, fmt::format("option {}: the value has more than {} bytes", name, kNoteMax));
  }
  const ConfOption* option = FindConfOption(of, name);
  if (option == nullptr) {
    std::string known;
    for (const ConfOption& o : kTable) {
      if (o.of == of) known += fmt::format("{}{}", known.empty() ? "" : ", ", o.name);
    }
    return Status(ENOENT, fmt::format("there is no option \"{}\" of a {} (there are: {}, user.NAME)", name,
                                      of == Of::kVolume ? "volume" : "cluster", known));
  }
  if (name == "inline-max") return CheckInlineMax(*option, value);
  if (Parse(*option, value)) return {};
  return Status(EINVAL, fmt::format("option {}={}: allowed is {}", name, value, Allowed(*option)));
}

int64_t ConfValue(const ConfOption& option, std::string_view value) {
  if (std::optional<int64_t> v = Parse(option, value)) return *v;
  return Parse(option, option.standard).value_or(0);
}

}  // namespace kfs::meta
