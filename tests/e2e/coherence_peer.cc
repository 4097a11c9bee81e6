#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "coherence.h"

namespace kfs::coherence {

std::string Explain(int line, const char* condition) {
  int error = errno;
  std::string text = "line " + std::to_string(line) + ": not so: " + condition;
  if (error != 0) text += std::string(" [errno: ") + std::strerror(error) + "]";
  return text;
}

Fd::Fd(const std::string& path, int flags, mode_t mode) : fd_(open(path.c_str(), flags, mode)) {}

bool Fd::Close() {
  int fd = fd_;
  fd_ = -1;
  return fd < 0 || close(fd) == 0;
}

bool Write(const Fd& fd, const std::string& data) {
  return write(fd.get(), data.data(), data.size()) == static_cast<ssize_t>(data.size());
}

bool WriteAt(const Fd& fd, const std::string& data, off_t offset) {
  return pwrite(fd.get(), data.data(), data.size(), offset) == static_cast<ssize_t>(data.size());
}

std::string ReadAt(const Fd& fd, size_t length, off_t offset) {
  std::string data(length, '\0');
  ssize_t n = pread(fd.get(), data.data(), length, offset);
  data.resize(n < 0 ? 0 : static_cast<size_t>(n));
  return data;
}

bool WriteFile(const std::string& path, const std::string& content) {
  Fd fd(path, O_WRONLY | O_CREAT | O_TRUNC);
  return fd.ok() && Write(fd, content) && fd.Close();
}

bool ReadFile(const std::string& path, std::string* content) {
  Fd fd(path, O_RDONLY);
  if (!fd.ok()) return false;
  content->clear();
  char buffer[65536];
  for (ssize_t n; (n = read(fd.get(), buffer, sizeof buffer)) != 0;) {
    if (n < 0) return false;
    content->append(buffer, static_cast<size_t>(n));
  }
  return true;
}

bool HasContent(const std::string& path, const std::string& content) {
  std::string got;
  return ReadFile(path, &got) && got == content;
}

std::vector<std::string> List(const std::string& dir) {
  std::vector<std::string> names;
  DIR* handle = opendir(dir.c_str());
  if (handle == nullptr) return names;
  while (dirent* entry = readdir(handle)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(handle);
  std::sort(names.begin(), names.end());
  return names;
}

bool Listed(const std::string& dir, const std::string& name) {
  std::vector<std::string> names = List(dir);
  return std::count(names.begin(), names.end(), name) == 1;
}

Peer::Peer(const std::function<int(Peer&)>& body) {
  int down[2], up[2];
  if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) return;
  child_ = fork();
  bool parent = child_ != 0;
  read_fd_ = parent ? up[0] : down[0];
  write_fd_ = parent ? down[1] : up[1];
  close(parent ? up[1] : down[1]);
  close(parent ? down[0] : up[0]);
  if (parent) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  _exit(body(*this));
}

Peer::~Peer() {
  Kill();
  close(read_fd_);
  close(write_fd_);
}

void Peer::Tell() { [[maybe_unused]] ssize_t n = write(write_fd_, "x", 1); }

bool Peer::Wait(int timeout_ms) {
  pollfd entry = {read_fd_, POLLIN, 0};
  char byte;
  return poll(&entry, 1, timeout_ms) == 1 && read(read_fd_, &byte, 1) == 1;
}

bool Peer::EndsWell(int timeout_ms) {
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child_, 0));
  if (pidfd < 0) return false;
  pollfd entry = {pidfd, POLLIN, 0};
  int status = -1;
  bool ended = poll(&entry, 1, timeout_ms) == 1 && waitpid(child_, &status, 0) == child_;
  close(pidfd);
  if (ended) child_ = -1;
  return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void Peer::Kill() {
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  child_ = -1;
}

}  // namespace kfs::coherence
