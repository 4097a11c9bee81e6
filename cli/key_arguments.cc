#include "cli/key_arguments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

namespace kfs::cli {
namespace {

constexpr TimeNs kSecond = 1000000000;
constexpr uint32_t kNobody = 65534;

template <typename T>
bool Number(std::string_view text, T* out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return ec == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::optional<TimeNs> ParseDate(const std::string& text) {
  for (const char* form : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"}) {
    std::tm tm = {};
    const char* end = strptime(text.c_str(), form, &tm);
    if (end == nullptr || *end != '\0') continue;
    const int day = tm.tm_mday;
    const bool whole_day = std::string_view(form) == "%Y-%m-%d";
    const time_t at = timegm(&tm);
    if (tm.tm_mday != day) return {};  // a 31st of February
    return (static_cast<TimeNs>(at) + (whole_day ? 86400 : 0)) * kSecond;
  }
  return {};
}

}  // namespace

Status ParseSquash(std::string_view text, pb::KeyConf* key) {
  const size_t equals = text.find('=');
  const std::string_view who = text.substr(0, equals);
  uint32_t uid = kNobody, gid = kNobody;
  bool good = who == "root" || who == "all";
  if (good && equals != std::string_view::npos) {
    const std::string_view ids = text.substr(equals + 1);
    const size_t colon = ids.find(':');
    good = colon != std::string_view::npos && Number(ids.substr(0, colon), &uid) &&
           Number(ids.substr(colon + 1), &gid);
  }
  if (!good) return Status(EINVAL, fmt::format("--squash {}: root, all, root=UID:GID or all=UID:GID", text));
  key->set_squash(who == "root" ? pb::KeyConf::ROOT : pb::KeyConf::ALL);
  key->set_squash_uid(uid);
  key->set_squash_gid(gid);
  return {};
}

Result<TimeNs> ParseExpiry(std::string_view text, TimeNs now) {
  constexpr std::pair<char, int64_t> kUnits[] = {
      {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
  constexpr int64_t kLongest = 100ll * 366 * 86400;
  int64_t count = 0;
  for (const auto& [unit, seconds] : kUnits) {
    if (text.empty() || text.back() != unit || !Number(text.substr(0, text.size() - 1), &count)) continue;
    if (count < 1 || count > kLongest / seconds) break;
    return now + count * seconds * kSecond;
  }
  if (const std::optional<TimeNs> at = ParseDate(std::string(text)); at && *at > now) return *at;
  return Status(EINVAL, fmt::format("--expires {}: a time to come, such as 30d, 12h, 2027-01-31 or "
                                    "2027-01-31T12:00:00Z",
                                    text));
}

Result<std::string> ParseKeyPath(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t slash = text.find('/');
    const std::string_view name = text.substr(0, slash);
    text.remove_prefix(slash == std::string_view::npos ? text.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name == "..")
      return Status(EINVAL, "--path is that of a directory from the volume's root on, without \"..\"");
    out += (out.empty() ? "" : "/") + std::string(name);
  }
  return out;
}

Result<KeyFile> KeyFile::Make(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) return KeyFile(path, fd);
  if (errno == EEXIST)
    return Status(EEXIST,
                  fmt::format("{} exists already: remove it, or name another file; nothing was done", path));
  return ErrnoStatus(errno, path);
}

KeyFile::KeyFile(KeyFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

KeyFile::~KeyFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(path_.c_str());
}

Status KeyFile::Write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd_, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, path_);
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd_) != 0) return ErrnoStatus(errno, path_);
  close(std::exchange(fd_, -1));
  return {};
}

}  // namespace kfs::cli
