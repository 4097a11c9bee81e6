#include "cli/doctor/machine_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "common/utf8.h"

namespace kfs::cli::doctor {
namespace {

constexpr size_t kShownMax = 40;  // of what a file has instead of what was expected

// Closes its descriptor.
struct Opened {
  explicit Opened(int f) : fd(f) {}
  ~Opened() {
    if (fd >= 0) close(fd);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  const int fd;
};

std::string Trimmed(const std::string& text) {
  constexpr const char* kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

Result<uint64_t> ParseNumber(const std::string& text) {
  uint64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec == std::errc() && end == text.data() + text.size()) return number;
  return Status(EINVAL, fmt::format("'{}' is not a number", Printable(text, kShownMax)));
}

Result<std::string> MachineFiles::Text(const std::string& path) const {
  // O_NONBLOCK: a FIFO without a writer is opened, and then found to be one.
  const Opened file(open(Root(path).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (file.fd < 0) return ErrnoStatus(errno, path);
  struct stat st;
  if (fstat(file.fd, &st) != 0) return ErrnoStatus(errno, path);
  if (!S_ISREG(st.st_mode)) return Status(EINVAL, path + " is not a regular file");
  std::string text;
  char buffer[16384];
  while (true) {
    const ssize_t n = read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, path);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kSizeMax) return Status(EFBIG, path + " is larger than any of its kind");
  }
}

Result<std::string> MachineFiles::Line(const std::string& path) const {
  auto text = Text(path);
  if (!text.ok()) return text;
  std::string line = Trimmed(*text);
  if (line.empty()) return Status(EINVAL, path + " is empty");
  if (line.find('\n') != std::string::npos) return Status(EINVAL, path + " has more than one line");
  return line;
}

Result<uint64_t> MachineFiles::Number(const std::string& path) const {
  auto line = Line(path);
  if (!line.ok()) return line.status();
  auto number = ParseNumber(*line);
  if (!number.ok()) return Status(EINVAL, path + ": " + number.status().message());
  return number;
}

bool MachineFiles::Exists(const std::string& path) const { return access(Root(path).c_str(), F_OK) == 0; }

bool MachineFiles::MayRun(const std::string& path) const {
  struct stat st;
  return stat(Root(path).c_str(), &st) == 0 && S_ISREG(st.st_mode) && access(Root(path).c_str(), X_OK) == 0;
}

bool MachineFiles::IsSetuid(const std::string& path) const {
  struct stat st;
  return stat(Root(path).c_str(), &st) == 0 && (st.st_mode & S_ISUID) != 0;
}

Status MachineFiles::Opens(const std::string& path) const {
  const Opened file(open(Root(path).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  return file.fd < 0 ? ErrnoStatus(errno, path) : Status();
}

}  // namespace kfs::cli::doctor
