// The options that 'kfs volume set' and 'kfs cluster set' know: names, defaults, what is allowed, what they
// do. Every member checks a change against this table in the stage phase; 'kfs volume get' and the manual are
// made of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/status.h"

namespace kfs::meta {

struct ConfOption {
  enum class Of { kVolume, kCluster } of;
  enum class Kind {
    kSwitch,   // on, off
    kChoice,   // one of `choices`
    kSize,     // bytes, with K, M, G or T; a power of two
    kBytes,    // the same, but any number of them
    kSeconds,  // with s, m, h or d
    kNumber,
  } kind;
  std::string_view name;
  std::string_view standard;  // the default
  int64_t min, max;           // of kinds that are numbers
  std::string_view choices;   // "a|b"; kOwn: a number, or each chunkserver's own
  std::string_view help;

  // Chunkservers go by it (brick phase); unless it is set, each by its own configuration.
  static constexpr std::string_view kOwn = "own";
  bool for_chunkservers() const { return choices == kOwn; }
};

std::span<const ConfOption> ConfOptions();
// Null when there is none. Names that begin with "user." are free for notes: any value up to 1 KiB.
const ConfOption* FindConfOption(ConfOption::Of of, std::string_view name);
// EINVAL with what would be allowed, naming the option.
Status CheckConfOption(ConfOption::Of of, std::string_view name, std::string_view value);

// Numbers of values that have been checked: bytes, seconds, milliseconds; switches 0 and 1; a choice's place
// in `choices`; -1 for "own".
int64_t ConfValue(const ConfOption& option, std::string_view value);

}  // namespace kfs::meta
