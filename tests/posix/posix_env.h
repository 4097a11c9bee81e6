// What every conformance test shares: a scratch directory that is the current directory while a test runs,
// checks that are counted, other users, child processes and bounded waits.
//
// Each test runs in a process of its own (see main.cc), so a test may change its directory, umask, limits and
// signal handlers freely, and a hang is one failed test rather than the end of the run.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace kfs::posix_test {

// Shared by the supervisor, the test and all of the test's children.
struct SharedState {
  std::atomic<uint64_t> assertions{0};
  std::atomic<int> outcome{0};  // an Outcome
  char reason[512] = {};        // why it was skipped
};
enum Outcome : int { kNotRun = 0, kPassed, kFailed, kSkipped };

// Set once by main() before the first fork, constant afterwards.
struct PosixEnv {
  static SharedState* shared;
  static std::string scratch;  // the running test's own directory, absolute
};

class PosixTest : public ::testing::Test {
 protected:
  // Enters the scratch directory with umask 022.
  void SetUp() override;
  const std::string& dir() const { return PosixEnv::scratch; }
  // The absolute name of a path in the scratch directory.
  std::string Path(const std::string& name) const { return PosixEnv::scratch + "/" + name; }
};

#define NEEDS_ROOT()                                        \
  do {                                                      \
    if (geteuid() != 0) GTEST_SKIP() << "needs to be root"; \
  } while (false)

// ---- checks
// ---------------------------------------------------------------------------------------------------------

inline void CountAssertion() { PosixEnv::shared->assertions.fetch_add(1, std::memory_order_relaxed); }

std::string ErrnoName(int error);

// 0, or the errno of a call that returned -1.
inline int Errno(long result) { return result == -1 ? errno : 0; }

bool CheckErrorIs(int got, std::initializer_list<int> wanted, const char* expression, const char* file,
                  int line);

// Holds every value of every integer type, so that signed and unsigned compare by value.
__extension__ typedef __int128 WideInt;

template <typename A, typename B, typename Compare>
bool CheckCompare(const A& a, const B& b, Compare compare, const char* text, const char* file, int line) {
  CountAssertion();
  bool holds = false;
  if constexpr (std::integral<A> && std::integral<B>) {
    holds = compare(static_cast<WideInt>(a), static_cast<WideInt>(b));
  } else {
    holds = compare(a, b);
  }
  if (!holds) {
    std::string left = ::testing::PrintToString(a).substr(0, 300);
    std::string right = ::testing::PrintToString(b).substr(0, 300);
    ADD_FAILURE_AT(file, line) << text << "\n  left:  " << left << "\n  right: " << right;
  }
  return holds;
}

#define KFS_COMPARE(a, op, b)                                                                    \
  ::kfs::posix_test::CheckCompare((a), (b), [](const auto& x, const auto& y) { return x op y; }, \
                                  #a " " #op " " #b, __FILE__, __LINE__)
#define CHECK_EQ(a, b) KFS_COMPARE(a, ==, b)
#define CHECK_NE(a, b) KFS_COMPARE(a, !=, b)
#define CHECK_LT(a, b) KFS_COMPARE(a, <, b)
#define CHECK_LE(a, b) KFS_COMPARE(a, <=, b)
#define CHECK_GT(a, b) KFS_COMPARE(a, >, b)
#define CHECK_GE(a, b) KFS_COMPARE(a, >=, b)
#define CHECK_TRUE(a) KFS_COMPARE(static_cast<bool>(a), ==, true)
#define CHECK_FALSE(a) KFS_COMPARE(static_cast<bool>(a), ==, false)

#define KFS_ERRNO_OF(expr) ::kfs::posix_test::Errno(static_cast<long>(expr))

// The call does not return -1.
#define CHECK_OK(expr) ::kfs::posix_test::CheckErrorIs(KFS_ERRNO_OF(expr), {0}, #expr, __FILE__, __LINE__)
// The call returns -1 with (one of) the given errno(s).
#define CHECK_ERRNO(expr, ...) \
  ::kfs::posix_test::CheckErrorIs(KFS_ERRNO_OF(expr), {__VA_ARGS__}, #expr, __FILE__, __LINE__)
// As CHECK_OK, but the test ends here when it fails. Only in functions that return void.
#define REQUIRE_OK(expr)         \
  do {                           \
    if (!CHECK_OK(expr)) return; \
  } while (false)
#define REQUIRE_TRUE(expr)         \
  do {                             \
    if (!CHECK_TRUE(expr)) return; \
  } while (false)

// The same, with the call made by another user.
#define CHECK_OK_AS(user, expr)                                                                          \
  ::kfs::posix_test::CheckErrorIs(::kfs::posix_test::AsUser((user), [&] { return KFS_ERRNO_OF(expr); }), \
                                  {0}, #user ": " #expr, __FILE__, __LINE__)
#define CHECK_ERRNO_AS(user, expr, ...)                                                                  \
  ::kfs::posix_test::CheckErrorIs(::kfs::posix_test::AsUser((user), [&] { return KFS_ERRNO_OF(expr); }), \
                                  {__VA_ARGS__}, #user ": " #expr, __FILE__, __LINE__)

// ---- files
// ----------------------------------------------------------------------------------------------------------

// Owns a descriptor; converts to int so that it can be handed to system calls.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { Close(); }
  operator int() const { return fd_; }  // NOLINT(google-explicit-constructor)
  int Close() {
    int result = fd_ >= 0 ? close(fd_) : 0;
    fd_ = -1;
    return result;
  }

 private:
  int fd_ = -1;
};

// Each of these counts one assertion and fails the test when it does not succeed.
Fd OpenOk(const std::string& path, int flags, mode_t mode = 0644);
void WriteFile(const std::string& path, const std::string& content, mode_t mode = 0644);
std::string ReadFile(const std::string& path);
struct stat Stat(const std::string& path);
struct stat Lstat(const std::string& path);
struct stat Fstat(int fd);

bool Exists(const std::string& path);  // lstat does not say ENOENT
mode_t Mode(const std::string& path);  // permission bits, with setuid, setgid and sticky
// The names in a directory without "." and "..", sorted.
std::vector<std::string> List(const std::string& path);
// Bytes that differ from place to place and from seed to seed.
std::string Pattern(size_t size, unsigned seed = 1);
std::string PreadAll(int fd, size_t size, off_t offset);  // shorter at end of file
bool IsZero(const std::string& bytes);
// Removes a directory and all that is in it; 0 or an errno.
int RemoveTree(const std::string& path);

bool operator<(const timespec& a, const timespec& b);
bool operator==(const timespec& a, const timespec& b);
inline bool operator<=(const timespec& a, const timespec& b) { return !(b < a); }
inline bool operator!=(const timespec& a, const timespec& b) { return !(a == b); }

// ---- processes
// ------------------------------------------------------------------------------------------------------

struct User {
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;
};
inline const User kNobody{65534, 65534, {}};
inline const User kAlice{12345, 12345, {}};
inline const User kBob{12346, 12346, {}};

// A forked child that runs `body` and exits with what it returns (0..250). Failed checks in the child fail
// the test when it is waited for. Killed on destruction if still there.
class Child {
 public:
  explicit Child(std::function<int()> body);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&&) = delete;
  ~Child();
  pid_t pid() const { return pid_; }
  // The exit code, or 256 + the signal that ended it.
  int Wait();
  // Has ended (it can still be waited for).
  bool Ended() const;
  void Kill(int signal) const;

 private:
  pid_t pid_ = -1;
};

// Becomes `user` for the rest of the process's life; false when that is refused.
bool BecomeUser(const User& user);

// Runs `fn` in a child as another user and gives back what it returns (0 or an errno); a void `fn` gives 0.
int AsUserRun(const User& user, const std::function<int()>& fn);
template <typename Fn>
int AsUser(const User& user, Fn fn) {
  if constexpr (std::is_void_v<decltype(fn())>) {
    return AsUserRun(user, [&fn] {
      fn();
      return 0;
    });
  } else {
    return AsUserRun(user, [&fn] { return static_cast<int>(fn()); });
  }
}
template <typename Fn>
int AsUser(uid_t uid, gid_t gid, std::vector<gid_t> groups, Fn fn) {
  return AsUser(User{uid, gid, std::move(groups)}, fn);
}

// Polls until the condition holds; false after `limit_ms`.
bool WaitUntil(const std::function<bool()>& condition, int limit_ms = 10000);
// Until the process waits inside the given system call.
bool WaitBlockedIn(pid_t pid, long syscall_number);

// A T shared with children forked later. T must be usable from zero bytes and need no destructor.
void* MapShared(size_t size);
template <typename T>
class Shared {
 public:
  Shared() : value_(new (MapShared(sizeof(T))) T()) {}
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;  // lives as long as the test's process
};

// Lets several processes begin at one moment.
class StartGate {
 public:
  explicit StartGate(int parties) : parties_(parties) {}
  void Arrive();

 private:
  int parties_;
  Shared<std::atomic<int>> arrived_;
};

// Starts `count` children at one moment, each running body(index); the exit codes in order of index.
std::vector<int> RunTogether(int count, const std::function<int(int)>& body);

}  // namespace kfs::posix_test
