// Errors are values: a Status is OK, or an errno for the program that asked, a Code where some code reacts to
// the difference, and words for a person. Result<T> is a Status or a T.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace kfs {

// Each value exists because some code acts on it; everything else is told apart by its errno.
// The numbers travel on the wire (proto/common.proto, ErrorReply.code) and are never used again.
enum class Code : uint32_t {
  kNone = 0,
  kNeedGroups = 1,       // the answer depends on the caller's supplementary groups: ask again with them
  kStaleChunk = 2,       // chunk version or layout is not the current one: fetch the layout and do it again
  kUnknownSession = 3,   // the session is not (or no longer) known: nothing was executed
  kNotAttached = 4,      // the connection has no session yet: attach, then send again
  kTryAgain = 5,         // not now (grace period, limit reached): send again after a pause
  kConnectionLost = 6,   // local only: the connection ended before the answer came
  kCorrupt = 7,          // stored bytes do not match their checksum
  kWrongCluster = 8,     // the peer belongs to another cluster
  kBadProof = 9,         // the peer does not know the cluster's secret
  kWrongVersion = 10,    // no common protocol version
  kMalformed = 11,       // the peer sent something that the protocol does not allow
  kNotOwner = 12,        // another metaserver serves the volume: LocateVolume says which
  kStopped = 13,         // the volume has been stopped by an administrator; it may be started again
  kOutcomeUnknown = 14,  // a change was sent for commit and may or may not have been made
  kAlreadySo = 15,       // the change would change nothing: to whoever asked for it that is a success
  kRunsTwice = 16,       // another process runs under this identity: whoever is told so must end
  kTokenRefused =
      20,  // a chunk token does not hold (any more): renew the ticket, fetch the layout, do it again
  kNoDirectory = 24,  // the volume is there, the directory of it that was to be mounted is not
  kOlderCopy = 25,    // what is shown is an older copy of what was there before: whoever is told so must end
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(int err, std::string message) : err_(err), message_(std::move(message)) { assert(err > 0); }
  Status(int err, Code code, std::string message) : err_(err), code_(code), message_(std::move(message)) {
    assert(err > 0);
  }

  static Status Ok() { return {}; }

  bool ok() const { return err_ == 0; }
  int err() const { return err_; }  // a positive errno, 0 when ok
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // "mkdir: File exists (EEXIST)": message first, the errno's own words after it.
  std::string ToString() const;

 private:
  int err_ = 0;
  Code code_ = Code::kNone;
  std::string message_;
};

// "No such file or directory (ENOENT)"
std::string ErrnoText(int err);

// Status from errno; `what` names the call and its object; the message has both.
Status ErrnoStatus(int err, std::string_view what);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Status status) : v_(std::move(status)) { assert(!std::get<1>(v_).ok()); }  // NOLINT

  bool ok() const { return v_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(v_); }
  // REQUIRES: ok()
  T& value() & { return std::get<0>(v_); }
  const T& value() const& { return std::get<0>(v_); }
  T&& value() && { return std::get<0>(std::move(v_)); }
  T& operator*() { return std::get<0>(v_); }
  const T& operator*() const { return std::get<0>(v_); }
  T* operator->() { return &std::get<0>(v_); }
  const T* operator->() const { return &std::get<0>(v_); }

 private:
  std::variant<T, Status> v_;
};

}  // namespace kfs

// Leave the function with the error, if it is one.
#define KFS_RETURN_IF_ERROR(expr)                                                  \
  do {                                                                             \
    if (::kfs::Status kfs_status_ = (expr); !kfs_status_.ok()) return kfs_status_; \
  } while (0)
