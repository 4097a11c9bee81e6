#ifndef KFS_TESTS_E2E_COHERENCE_H_
#define KFS_TESTS_E2E_COHERENCE_H_

#include <sys/types.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

// Cases for kfs-coherence. A case gets one empty directory, seen through two mounts as `a` and `b`, in a
// process of its own that is killed after a time limit. It returns an empty string, or what was wrong.
namespace kfs::coherence {

struct Dirs {
  std::string a;
  std::string b;
};

struct Case {
  const char* name;  // the behaviour that must hold
  std::string (*run)(const Dirs& d);
};

std::vector<Case> NameCases();
std::vector<Case> DataCases();
std::vector<Case> AttributeCases();
std::vector<Case> LockCases();
std::vector<Case> RaceCases();

std::string Explain(int line, const char* condition);

#define EXPECT(condition)                                                     \
  do {                                                                        \
    errno = 0;                                                                \
    if (!(condition)) return ::kfs::coherence::Explain(__LINE__, #condition); \
  } while (0)

// The call must fail with that errno.
#define EXPECT_ERRNO(expected, call)                                              \
  do {                                                                            \
    errno = 0;                                                                    \
    if ((call) >= 0 || errno != (expected))                                       \
      return ::kfs::coherence::Explain(__LINE__, #call " fails with " #expected); \
  } while (0)

// An open descriptor, closed at the end of its scope.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const std::string& path, int flags, mode_t mode = 0644);
  ~Fd() { Close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  bool Close();

 private:
  int fd_;
};

bool WriteFile(const std::string& path, const std::string& content);  // create or replace the content
bool ReadFile(const std::string& path, std::string* content);
bool HasContent(const std::string& path, const std::string& content);
bool Write(const Fd& fd, const std::string& data);
bool WriteAt(const Fd& fd, const std::string& data, off_t offset);
std::string ReadAt(const Fd& fd, size_t length, off_t offset);
std::vector<std::string> List(const std::string& dir);  // sorted, without . and ..
bool Listed(const std::string& dir, const std::string& name);

// A child process that takes turns with its parent. Ended (killed if need be) by the destructor.
class Peer {
 public:
  // Runs `body` in the child; its return value is the exit status. The child talks through the same object.
  explicit Peer(const std::function<int(Peer&)>& body);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void Tell();                              // lets the other side's Wait return
  bool Wait(int timeout_ms = kTurnMs);      // false: the other side said nothing
  bool EndsWell(int timeout_ms = kTurnMs);  // exit status 0 within the time
  void Kill();

  static constexpr int kTurnMs = 10'000;
  // Long enough for a lock that is wrongly granted to be noticed.
  static constexpr int kBlockedMs = 200;

 private:
  pid_t child_ = -1;  // 0 in the child
  int read_fd_ = -1;
  int write_fd_ = -1;
};

}  // namespace kfs::coherence

#endif  // KFS_TESTS_E2E_COHERENCE_H_
