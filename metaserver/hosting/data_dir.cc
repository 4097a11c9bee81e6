#include "metaserver/hosting/data_dir.h"

#include <fmt/format.h>

#include <cerrno>
#include <vector>

#include "common/log.h"

namespace kfs::meta {
namespace {

// Whether it is ours to use: made by a metaserver, or empty; and not so full that opening the database would
// fail.
Status CheckDataDir(FileOps& files, const std::string& dir) {
  constexpr uint64_t kToStart = 8u << 20;
  struct stat st {};
  if (files.Stat(dir, &st) < 0) return {};
  if (!S_ISDIR(st.st_mode)) return Status(ENOTDIR, fmt::format("data-dir {} is not a directory", dir));
  if (!files.Exists(dir + "/cluster")) {
    std::vector<std::string> names;
    (void)files.List(dir, &names);
    for (const std::string& name : names) {
      if (name == "lost+found" || name == "volumes" || name == "incoming" || name == "moving" ||
          name == "seen-links")
        continue;
      return Status(ENOTEMPTY,
                    fmt::format("data-dir {} holds no metadata of KFS, but it is not empty (\"{}\"): use an "
                                "empty directory, or the right one",
                                dir, name));
    }
  }
  struct statvfs room {};
  if (const int err = files.Statvfs(dir, &room); err < 0) return ErrnoStatus(-err, "data-dir " + dir);
  const uint64_t available = room.f_bavail * room.f_frsize;
  if (available < kToStart) {
    return Status(
        ENOSPC,
        fmt::format("the disk of {} is full ({} bytes left, {} are needed to start): make room; nothing "
                    "is lost",
                    dir, available, kToStart));
  }
  return {};
}

}  // namespace

Status PrepareDataDir(FileOps& files, const std::string& dir) {
  KFS_RETURN_IF_ERROR(CheckDataDir(files, dir));
  if (const int err = files.MakeDirs(dir + "/volumes"); err < 0)
    return ErrnoStatus(-err, fmt::format("cannot make the data directory {}", dir));
  // Names and session numbers are nobody else's; an earlier version left the directory to the umask.
  if (const int err = files.Chmod(dir, S_IRWXU); err < 0)
    KFS_LOG(warn, "data_dir.open_to_others dir={} reason=\"{}\" next=\"chmod 700 it\"", dir, ErrnoText(-err));
  return {};
}

}  // namespace kfs::meta
