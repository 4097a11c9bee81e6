#include "cli/local_mounts.h"

#include <sys/xattr.h>

#include <chrono>
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

std::string AskMount(const std::string& mountpoint) {
  std::string list(kServedMax, '\0');
  const ssize_t n = getxattr(mountpoint.c_str(), kMountXattr, list.data(), list.size());
  list.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return list;
}

// The thread is left behind when nobody answers; the end of this process ends it.
std::future<std::string> Ask(const std::string& mountpoint) {
  auto answer = std::make_shared<std::promise<std::string>>();
  std::future<std::string> result = answer->get_future();
  std::thread([answer, mountpoint] { answer->set_value(AskMount(mountpoint)); }).detach();
  return result;
}

}  // namespace

std::vector<LocalMount> LocalMounts(const std::string& mountinfo) {
  std::vector<LocalMount> mounts;
  std::vector<std::future<std::string>> served;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const auto entry = fuse::ParseMountEntry(line);
    if (!entry || entry->type != "fuse.kfs") continue;
    mounts.push_back({entry->mountpoint, entry->source, entry->flags.Text()});
    served.push_back(Ask(entry->mountpoint));
  }
  const auto until = std::chrono::steady_clock::now() + kMountPatience;
  for (size_t i = 0; i < mounts.size(); ++i) {
    if (served[i].wait_until(until) != std::future_status::ready) continue;
    if (const std::string list = served[i].get(); !list.empty()) mounts[i].options += "," + list;
  }
  return mounts;
}

std::vector<LocalMount> LocalMounts() {
  std::ifstream in("/proc/self/mountinfo");
  std::ostringstream text;
  text << in.rdbuf();
  return LocalMounts(text.str());
}

}  // namespace kfs::cli
