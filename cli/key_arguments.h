// The words of 'kfs key create' as values, and the file that it writes. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "common/types.h"
#include "proto/cluster.pb.h"

namespace kfs::cli {

// "root", "all", "root=1000:1000" into the key; nobody (65534:65534) when no number is given.
Status ParseSquash(std::string_view text, pb::KeyConf* key);
// "30d", "12h", "45m", "90s", "2w" from `now` on; "2027-01-31" (its end) or "2027-01-31T12:00:00Z", UTC.
// EINVAL: neither.
Result<TimeNs> ParseExpiry(std::string_view text, TimeNs now);
// "/projects//apollo/" -> "projects/apollo". EINVAL: "..".
Result<std::string> ParseKeyPath(std::string_view text);

// A new file of mode 0600 that is written once what goes into it is known, so that nothing is done whose
// result could not be kept. Without Write nothing stays.
class KeyFile {
 public:
  // EEXIST: nothing is replaced.
  static Result<KeyFile> Make(const std::string& path);
  KeyFile(KeyFile&& other) noexcept;
  KeyFile& operator=(KeyFile&&) = delete;
  ~KeyFile();

  Status Write(std::string_view text);
  const std::string& path() const { return path_; }

 private:
  KeyFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

}  // namespace kfs::cli
