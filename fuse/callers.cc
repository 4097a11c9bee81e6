#include "fuse/callers.h"

#include <linux/capability.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace kfs::fuse {
namespace {

// What any right in a file system depends on.
constexpr uint32_t kCapsThatMatter = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH |
                                     1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_LINUX_IMMUTABLE |
                                     1u << CAP_SYS_ADMIN | 1u << CAP_SYS_RESOURCE | 1u << CAP_MKNOD |
                                     1u << CAP_SETFCAP;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The words behind "\nName:"; nothing when there is no such line.
std::optional<std::istringstream> Field(const std::string& status, const std::string& name) {
  const size_t at = status.find("\n" + name + ":");
  if (at == std::string::npos) return std::nullopt;
  const size_t from = at + name.size() + 2;
  return std::istringstream(status.substr(from, status.find('\n', from) - from));
}

// The last of real, effective, saved and file system id is what counts for files.
bool FileSystemIdIs(const std::string& status, const std::string& name, uint32_t id) {
  auto words = Field(status, name);
  if (!words) return false;
  uint32_t real, effective, saved, fs;
  return static_cast<bool>(*words >> real >> effective >> saved >> fs) && fs == id;
}

}  // namespace

bool TakeFromStatus(const std::string& status, Caller* caller) {
  // Without memory: a kernel thread, whose credentials of the moment are shown nowhere, or an ending process.
  if (!Field(status, "VmSize")) return false;
  if (!FileSystemIdIs(status, "Uid", caller->uid) || !FileSystemIdIs(status, "Gid", caller->gid))
    return false;
  auto groups = Field(status, "Groups"), caps = Field(status, "CapEff");
  if (!groups || !caps) return false;
  uint64_t bits = 0;
  if (!(*caps >> std::hex >> bits)) return false;
  caller->caps = static_cast<uint32_t>(bits) & kCapsThatMatter;
  caller->groups.clear();
  for (uint32_t g; *groups >> g;) caller->groups.push_back(g);
  return true;
}

bool ShowsOwnPids(const std::string& self_status, int pid) {
  auto words = Field(self_status, "NSpid");
  int first = 0, second = 0;
  return words && *words >> first && first == pid && !(*words >> second);
}

std::vector<uint32_t> MappedRanges(const std::string& id_map) {
  std::vector<uint32_t> pairs;
  std::istringstream lines(id_map);
  for (uint32_t inner, outer, count; lines >> inner >> outer >> count;) {
    pairs.push_back(outer);
    pairs.push_back(count);
  }
  return pairs;
}

Callers::Callers(std::string proc)
    : proc_(std::move(proc)), proc_is_ours_(ShowsOwnPids(ReadAll(proc_ + "/self/status"), getpid())) {}

void Callers::Complete(Caller* caller, std::optional<uint32_t> owner) const {
  caller->groups_known = true;
  caller->kernel_checked = false;
  const std::string dir = proc_ + "/" + std::to_string(caller->pid);
  if (Sees(caller->pid) && TakeFromStatus(ReadAll(dir + "/status"), caller)) {
    if (caller->caps == 0) return;
    const std::string uids = ReadAll(dir + "/uid_map"), gids = ReadAll(dir + "/gid_map");
    if (uids == ReadAll(proc_ + "/self/uid_map") && gids == ReadAll(proc_ + "/self/gid_map")) return;
    caller->caps_uids = MappedRanges(uids);
    caller->caps_gids = MappedRanges(gids);
    if (caller->caps_uids.empty() || caller->caps_gids.empty()) caller->caps = 0;
    return;
  }
  caller->kernel_checked = true;
  caller->seen_owner = owner;
}

}  // namespace kfs::fuse
