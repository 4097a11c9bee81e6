#include "posix_env.h"

#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace kfs::posix_test {
namespace {

constexpr int kExitCheckFailed = 251;
constexpr int kExitNoSuchUser = 252;

}  // namespace

SharedState* PosixEnv::shared = nullptr;
std::string PosixEnv::scratch;

void PosixTest::SetUp() {
  umask(022);
  ASSERT_EQ(chdir(PosixEnv::scratch.c_str()), 0) << PosixEnv::scratch << ": " << ErrnoName(errno);
}

std::string ErrnoName(int error) {
  if (error == 0) return "success";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

bool CheckErrorIs(int got, std::initializer_list<int> wanted, const char* expression, const char* file,
                  int line) {
  CountAssertion();
  if (std::find(wanted.begin(), wanted.end(), got) != wanted.end()) return true;
  std::string expected;
  for (int error : wanted) expected += (expected.empty() ? "" : " or ") + ErrnoName(error);
  ADD_FAILURE_AT(file, line) << expression << "\n  got " << ErrnoName(got) << ", expected " << expected;
  return false;
}

Fd OpenOk(const std::string& path, int flags, mode_t mode) {
  CountAssertion();
  Fd fd(open(path.c_str(), flags | O_CLOEXEC, mode));
  if (fd < 0) ADD_FAILURE() << "open " << path << " flags " << std::oct << flags << ": " << ErrnoName(errno);
  return fd;
}

void WriteFile(const std::string& path, const std::string& content, mode_t mode) {
  Fd fd = OpenOk(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  size_t done = 0;
  while (fd >= 0 && done < content.size()) {
    ssize_t n = write(fd, content.data() + done, content.size() - done);
    if (n <= 0) {
      ADD_FAILURE() << "write " << path << ": " << ErrnoName(errno);
      return;
    }
    done += static_cast<size_t>(n);
  }
  if (fd.Close() != 0) ADD_FAILURE() << "close " << path << ": " << ErrnoName(errno);
}

std::string ReadFile(const std::string& path) {
  Fd fd = OpenOk(path, O_RDONLY);
  std::string content;
  std::vector<char> buffer(1 << 18);
  while (fd >= 0) {
    ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0) ADD_FAILURE() << "read " << path << ": " << ErrnoName(errno);
    if (n <= 0) break;
    content.append(buffer.data(), static_cast<size_t>(n));
  }
  return content;
}

struct stat Stat(const std::string& path) {
  struct stat st = {};
  CountAssertion();
  if (stat(path.c_str(), &st) != 0) ADD_FAILURE() << "stat " << path << ": " << ErrnoName(errno);
  return st;
}

struct stat Lstat(const std::string& path) {
  struct stat st = {};
  CountAssertion();
  if (lstat(path.c_str(), &st) != 0) ADD_FAILURE() << "lstat " << path << ": " << ErrnoName(errno);
  return st;
}

struct stat Fstat(int fd) {
  struct stat st = {};
  CountAssertion();
  if (fstat(fd, &st) != 0) ADD_FAILURE() << "fstat " << fd << ": " << ErrnoName(errno);
  return st;
}

bool Exists(const std::string& path) {
  struct stat st;
  return lstat(path.c_str(), &st) == 0 || errno != ENOENT;
}

mode_t Mode(const std::string& path) { return Lstat(path).st_mode & 07777; }

std::vector<std::string> List(const std::string& path) {
  std::vector<std::string> names;
  CountAssertion();
  DIR* handle = opendir(path.c_str());
  if (handle == nullptr) {
    ADD_FAILURE() << "opendir " << path << ": " << ErrnoName(errno);
    return names;
  }
  errno = 0;
  while (dirent* entry = readdir(handle)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  if (errno != 0) ADD_FAILURE() << "readdir " << path << ": " << ErrnoName(errno);
  closedir(handle);
  std::sort(names.begin(), names.end());
  return names;
}

std::string Pattern(size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    byte = static_cast<char>((state >> 33) % 255 + 1);  // never zero, so that a hole is told from data
  }
  return bytes;
}

std::string PreadAll(int fd, size_t size, off_t offset) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t n = pread(fd, bytes.data() + done, size - done, offset + static_cast<off_t>(done));
    if (n < 0) ADD_FAILURE() << "pread at " << offset << ": " << ErrnoName(errno);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

bool IsZero(const std::string& bytes) { return bytes.find_first_not_of('\0') == std::string::npos; }

namespace {

int RemoveAt(int parent, const char* name) {
  if (unlinkat(parent, name, 0) == 0) return 0;
  if (errno != EISDIR && errno != EPERM) return errno;
  (void)!fchmodat(parent, name, 0700, 0);  // a test may have closed it; the open below says if not
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return errno;
  DIR* handle = fdopendir(fd);
  std::vector<std::string> names;
  while (dirent* entry = readdir(handle)) {
    std::string child = entry->d_name;
    if (child != "." && child != "..") names.push_back(child);
  }
  int error = 0;
  for (const std::string& child : names) {
    int one = RemoveAt(fd, child.c_str());
    if (error == 0) error = one;
  }
  closedir(handle);
  if (error != 0) return error;
  return Errno(unlinkat(parent, name, AT_REMOVEDIR));
}

}  // namespace

int RemoveTree(const std::string& path) { return RemoveAt(AT_FDCWD, path.c_str()); }

bool operator<(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}
bool operator==(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

Child::Child(std::function<int()> body) {
  pid_ = fork();
  if (pid_ < 0) ADD_FAILURE() << "fork: " << ErrnoName(errno);
  if (pid_ == 0) {
    bool failed_before = ::testing::Test::HasFailure();
    int code = body();
    _exit(!failed_before && ::testing::Test::HasFailure() ? kExitCheckFailed : code);
  }
}

Child::~Child() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

int Child::Wait() {
  if (pid_ <= 0) return -1;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) return 256 + WTERMSIG(status);
  if (WEXITSTATUS(status) == kExitCheckFailed)
    ADD_FAILURE() << "a check failed in a child process (printed above)";
  return WEXITSTATUS(status);
}

bool Child::Ended() const {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

void Child::Kill(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

bool BecomeUser(const User& user) {
  return setgroups(user.groups.size(), user.groups.data()) == 0 &&
         setresgid(user.gid, user.gid, user.gid) == 0 && setresuid(user.uid, user.uid, user.uid) == 0;
}

int AsUserRun(const User& user, const std::function<int()>& fn) {
  Child child([&] { return BecomeUser(user) ? fn() : kExitNoSuchUser; });
  int code = child.Wait();
  if (code == kExitNoSuchUser) ADD_FAILURE() << "cannot become uid " << user.uid;
  return code;
}

bool WaitUntil(const std::function<bool()>& condition, int limit_ms) {
  for (int waited_us = 0; waited_us < limit_ms * 1000; waited_us += 500) {
    if (condition()) return true;
    usleep(500);  // between two looks at the condition
  }
  return condition();
}

bool WaitBlockedIn(pid_t pid, long syscall_number) {
  std::string path = "/proc/" + std::to_string(pid) + "/syscall";
  return WaitUntil([&] {
    std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "r"), fclose);
    long number = -1;
    // "running" while it runs: the number is there only when it waits.
    return file && fscanf(file.get(), "%ld", &number) == 1 && number == syscall_number;
  });
}

void* MapShared(size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) abort();
  return memory;
}

void StartGate::Arrive() {
  arrived_->fetch_add(1);
  while (arrived_->load() < parties_) sched_yield();
}

std::vector<int> RunTogether(int count, const std::function<int(int)>& body) {
  StartGate gate(count);
  std::vector<Child> children;
  for (int index = 0; index < count; ++index) {
    children.emplace_back([&, index] {
      gate.Arrive();
      return body(index);
    });
  }
  std::vector<int> codes;
  for (Child& child : children) codes.push_back(child.Wait());
  return codes;
}

}  // namespace kfs::posix_test
