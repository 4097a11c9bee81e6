#include "cli/local_mounts.h"

#include <sys/xattr.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <thread>

#include "fuse/mount.h"
#include "fuse/mount_flags.h"

namespace kfs::cli {
namespace {

constexpr auto kMountPatience = std::chrono::seconds(1);
constexpr size_t kServedMax = 16384;  // bytes of a mount's list

Result<std::string> AskMount(const std::string& mountpoint) {
  std::string list(kServedMax, '\0');
  const ssize_t n = getxattr(mountpoint.c_str(), kMountXattr, list.data(), list.size());
  if (n < 0) return ErrnoStatus(errno, mountpoint);
  list.resize(static_cast<size_t>(n));
  return list;
}

// The thread is left behind when nobody answers; the end of this process ends it.
std::future<Result<std::string>> Ask(const std::string& mountpoint) {
  auto answer = std::make_shared<std::promise<Result<std::string>>>();
  std::future<Result<std::string>> result = answer->get_future();
  std::thread([answer, mountpoint] { answer->set_value(AskMount(mountpoint)); }).detach();
  return result;
}

}  // namespace

std::vector<LocalMount> LocalMounts(const std::string& mountinfo) {
  std::vector<LocalMount> mounts;
  std::vector<std::future<Result<std::string>>> served;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const auto entry = fuse::ParseMountEntry(line);
    if (!entry || entry->type != "fuse.kfs") continue;
    mounts.push_back({.mountpoint = entry->mountpoint,
                      .source = entry->source,
                      .options = entry->flags.Text(),
                      .told = Status(ETIMEDOUT, entry->mountpoint + " does not answer"),
                      .shown = entry->options,
                      .device = entry->device});
    served.push_back(Ask(entry->mountpoint));
  }
  const auto until = std::chrono::steady_clock::now() + kMountPatience;
  for (size_t i = 0; i < mounts.size(); ++i) {
    if (served[i].wait_until(until) != std::future_status::ready) continue;
    const Result<std::string> list = served[i].get();
    mounts[i].told = list.status();
    if (list.ok() && !list->empty()) mounts[i].options += "," + *list;
  }
  return mounts;
}

std::vector<LocalMount> LocalMounts() {
  std::ifstream in("/proc/self/mountinfo");
  std::ostringstream text;
  text << in.rdbuf();
  return LocalMounts(text.str());
}

std::string MountPointOf(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code ec;
  fs::path path = fs::absolute(directory, ec).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "dir/"
  const fs::path parent = fs::canonical(path.parent_path(), ec);
  return ec ? path.string() : (parent / path.filename()).string();
}

}  // namespace kfs::cli
