#include "common/link_key.h"

#include <fmt/format.h>

#include <charconv>

#include "common/keys.h"

namespace kfs {
namespace {

constexpr std::string_view kPrefix = "link/";
constexpr int64_t kNsPerS = 1000000000, kDay = 86400;

}  // namespace

std::string LinkKeyId(SessionId session, TimeNs now) {
  const int64_t day = now / kNsPerS / kDay;
  return fmt::format("{}{}/{}", kPrefix, session.v, (day + 2) * kDay);
}

std::string LinkKey(std::string_view chunkserver_key, std::string_view id) {
  return Hkdf(chunkserver_key, fmt::format("kfs link {}", id));
}

bool IsLinkKeyId(std::string_view id) { return id.starts_with(kPrefix); }

Result<TimeNs> LinkKeyExpires(std::string_view id) {
  const size_t slash = id.rfind('/');
  int64_t seconds = 0;
  if (IsLinkKeyId(id) && slash >= kPrefix.size()) {
    const std::string_view text = id.substr(slash + 1);
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (ec == std::errc() && end == text.data() + text.size() && seconds > 0 && seconds < INT64_MAX / kNsPerS)
      return seconds * kNsPerS;
  }
  return Status(EINVAL, "not the name of a link's key");
}

}  // namespace kfs
