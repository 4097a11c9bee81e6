#include "common/status.h"

#include <fmt/format.h>

#include <cstring>

namespace kfs {

std::string ErrnoText(int err) {
  const char* words = strerrordesc_np(err);
  const char* name = strerrorname_np(err);
  std::string text = words != nullptr ? words : "Unknown error";
  text += " (";
  text += name != nullptr ? std::string(name) : std::to_string(err);
  return text + ")";
}

Status ErrnoStatus(int err, std::string_view what) {
  return Status(err, fmt::format("{}: {}", what, ErrnoText(err)));
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  const std::string text = ErrnoText(err_);
  if (message_.ends_with(text)) return message_;  // by ErrnoStatus
  return message_.empty() ? text : message_ + ": " + text;
}

}  // namespace kfs
