#include "common/status.h"

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

Status ErrnoStatus(int err, std::string_view what) { return Status(err, std::string(what)); }

std::string Status::ToString() const {
  if (ok()) return "OK";
  return message_.empty() ? ErrnoText(err_) : message_ + ": " + ErrnoText(err_);
}

}  // namespace kfs
