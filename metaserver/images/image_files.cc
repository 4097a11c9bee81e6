#include "metaserver/images/image_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace kfs::meta {
namespace {

constexpr size_t kNameMax = 100;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

}  // namespace

bool NeverChanges(std::string_view name) { return name.ends_with(".sst"); }

bool GoodImageName(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

Result<std::vector<pb::ImageFile>> ListImage(const std::string& dir) {
  std::vector<pb::ImageFile> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(dir, ec)) {
    const std::string name = entry.path().filename();
    // The lock and what RocksDB tells people.
    if (name == "LOCK" || name == "LOG" || name.starts_with("LOG.old") || !entry.is_regular_file(ec))
      continue;
    pb::ImageFile file;
    file.set_name(name);
    file.set_size(entry.file_size(ec));
    if (ec) break;
    out.push_back(std::move(file));
  }
  if (ec) return Status(ec.value(), "cannot list " + dir + ": " + ec.message());
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return out;
}

Result<Buffer> ReadPiece(const std::string& path, uint64_t offset) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoStatus(errno, "cannot read " + path);
  Buffer out(kImagePiece);
  size_t have = 0;
  while (have < out.size()) {
    const ssize_t n =
        pread(fd.get(), out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot read " + path);
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  out.Shrink(have);
  return out;
}

Status WritePiece(const std::string& path, uint64_t offset, std::string_view bytes) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (offset == 0 ? O_TRUNC : 0);
  Fd fd(open(path.c_str(), flags, 0600));
  if (fd.get() < 0) return ErrnoStatus(errno, "cannot write " + path);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "cannot write " + path);
    done += static_cast<size_t>(n);
  }
  return {};
}

}  // namespace kfs::meta
