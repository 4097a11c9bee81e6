#include "metaserver/hosting/data_dir.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>

#include "common/log.h"

namespace kfs::meta {
namespace {

namespace fs = std::filesystem;

// Whether it is ours to use: made by a metaserver, or empty; and not so full that opening the database would
// fail.
Status CheckDataDir(const fs::path& dir) {
  constexpr uint64_t kToStart = 8u << 20;
  std::error_code ec;
  if (!fs::exists(dir, ec)) return {};
  if (!fs::is_directory(dir, ec))
    return Status(ENOTDIR, fmt::format("data-dir {} is not a directory", dir.string()));
  if (!fs::exists(dir / "cluster", ec)) {
    for (const auto& entry : fs::directory_iterator(dir, ec)) {
      const std::string name = entry.path().filename();
      if (name == "lost+found" || name == "volumes" || name == "incoming" || name == "moving" ||
          name == "seen-links")
        continue;
      return Status(ENOTEMPTY,
                    fmt::format("data-dir {} holds no metadata of KFS, but it is not empty (\"{}\"): use an "
                                "empty directory, or the right one",
                                dir.string(), name));
    }
  }
  struct statvfs st {};
  if (statvfs(dir.c_str(), &st) != 0) return ErrnoStatus(errno, "data-dir " + dir.string());
  const uint64_t available = st.f_bavail * st.f_frsize;
  if (available < kToStart) {
    return Status(
        ENOSPC,
        fmt::format("the disk of {} is full ({} bytes left, {} are needed to start): make room; nothing "
                    "is lost",
                    dir.string(), available, kToStart));
  }
  return {};
}

}  // namespace

Status PrepareDataDir(const std::string& dir) {
  KFS_RETURN_IF_ERROR(CheckDataDir(dir));
  std::error_code ec;
  fs::create_directories(dir + "/volumes", ec);
  if (ec) return Status(ec.value(), fmt::format("cannot make the data directory {}", dir));
  // Names and session numbers are nobody else's; an earlier version left the directory to the umask.
  fs::permissions(dir, fs::perms::owner_all, ec);
  if (ec)
    KFS_LOG(warn, "data_dir.open_to_others dir={} reason=\"{}\" next=\"chmod 700 it\"", dir, ec.message());
  return {};
}

}  // namespace kfs::meta
