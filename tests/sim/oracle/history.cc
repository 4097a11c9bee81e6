#include "tests/sim/oracle/history.h"

#include <fmt/format.h>

#include <cerrno>
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

std::vector<int> EndsOf(Call call) {
  switch (call) {
    case Call::kLookup:
      return {0, ENOENT, ESTALE};
    case Call::kMkdir:
    case Call::kCreate:
    case Call::kLink:
      return {0, EEXIST, ENOENT, ESTALE};
    case Call::kUnlink:
      return {0, EISDIR, ENOENT, ESTALE};
    case Call::kRmdir:
      return {0, ENOTDIR, ENOTEMPTY, ENOENT, ESTALE};
    case Call::kRename:
      return {0, EINVAL, EISDIR, ENOTDIR, ENOTEMPTY, ENOENT, ESTALE};
    case Call::kList:
      return {0, ESTALE};
    case Call::kSyncDir:
      return {0, EIO, ESTALE};
    case Call::kSyncFile:
      return {0, EIO};
    case Call::kLock:
      return {0, EAGAIN};
    case Call::kRead:
    case Call::kWrite:
    case Call::kAppend:
      return {0, EIO};  // a chunk has gone with a chunkserver's power
    case Call::kTruncate:
    case Call::kSize:
    case Call::kUnlock:
      return {0};
  }
  return {};
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
