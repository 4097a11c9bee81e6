#include "tests/sim/oracle/history.h"

#include <fmt/format.h>

#include <cstring>

namespace kfs::sim {

const char* NameOf(Call call) {
  switch (call) {
    case Call::kLookup:
      return "lookup";
    case Call::kMkdir:
      return "mkdir";
    case Call::kCreate:
      return "create";
    case Call::kUnlink:
      return "unlink";
    case Call::kRmdir:
      return "rmdir";
    case Call::kRename:
      return "rename";
    case Call::kLink:
      return "link";
    case Call::kList:
      return "list";
    case Call::kSyncDir:
      return "fsync of a directory";
    case Call::kRead:
      return "read";
    case Call::kWrite:
      return "write";
    case Call::kAppend:
      return "append";
    case Call::kTruncate:
      return "truncate";
    case Call::kSize:
      return "size";
    case Call::kSyncFile:
      return "fsync";
    case Call::kLock:
      return "lock";
    case Call::kUnlock:
      return "unlock";
  }
  return "?";
}

std::string Step::ToString() const {
  std::string text =
      fmt::format("[{:.6f} {}] program {} {}", static_cast<double>(began) / 1e9,
                  ended == kNever ? "..." : fmt::format("{:.6f}", static_cast<double>(ended) / 1e9), program,
                  NameOf(call));
  if (dir != 0) text += fmt::format(" {}/{}", dir, name);
  if (new_dir != 0) text += fmt::format(" to {}/{}", new_dir, new_name);
  if (ino != 0) text += fmt::format(" ino {} block {}", ino, block);
  if (value != 0) text += fmt::format(" value {}", value);
  if (owner != 0) text += fmt::format(" owner {}", owner);
  text += ended == kNever ? " -> ?"
          : err != 0      ? fmt::format(" -> {}", std::strerror(err))
                          : fmt::format(" -> {}", got);
  for (uint64_t part : mixed) text += fmt::format(" +{}", part);
  for (const auto& [entry, i] : names) text += fmt::format(" {}={}", entry, i);
  return text;
}

}  // namespace kfs::sim
