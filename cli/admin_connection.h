// A short-lived connection to one member of the cluster in the role of an administrator: one call after
// another, each with a bounded time. Owns a loop on a thread of its own; used from one other thread.
//
// Any member will do: the addresses are tried in turn until one greets us, and that one is kept. When it goes
// away a call that only reads is made again at the next; a change stays with the member that it was sent to,
// so that it is made once.
//
// Errors are words for a person (P9): what could not be reached, why, and what to do. A call that takes
// longer than a second says on stderr whom it waits for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/waiting.h"
#include "proto/op_types.h"
#include "rpc/net_client.h"

namespace kfs::cli {

class AdminConnection {
 public:
  // Reads the secret; connects with the first call. `options` as ResolveDefaults left them.
  static Result<std::unique_ptr<AdminConnection>> Open(const GlobalOptions& options);
  ~AdminConnection();

  // Reads. An error of the member's own, or one of the connection when no member answers: see unreachable().
  template <typename Rpc>
  Result<typename Rpc::Reply> Call(const typename Rpc::Request& request) {
    return Parsed<Rpc>(CallRaw(Rpc::kOp, request, Kind::kRead));
  }
  // Reads, by asking other members too: the member asked gives up by itself after timeout_ms(), and is waited
  // for a little longer.
  template <typename Rpc>
  Result<typename Rpc::Reply> Gather(const typename Rpc::Request& request) {
    return Parsed<Rpc>(CallRaw(Rpc::kOp, request, Kind::kGather));
  }
  // Changes something, within timeout_ms() and a little. ETIMEDOUT with kOutcomeUnknown when it was sent and
  // no answer has come; unreachable() when it was not sent at all.
  template <typename Rpc>
  Result<typename Rpc::Reply> Change(const typename Rpc::Request& request) {
    return Parsed<Rpc>(CallRaw(Rpc::kOp, request, Kind::kChange));
  }

  // Bytes beside the message, either way; of the one member that there is.
  template <typename Rpc>
  Result<typename Rpc::Reply> Transfer(const typename Rpc::Request& request, Slices to, Buffer* from) {
    Answer answer = CallRaw(Rpc::kOp, request, Kind::kRead, std::move(to));
    if (from != nullptr) *from = std::move(answer.payload);
    return Parsed<Rpc>(answer);
  }

  // The last failure was that no metaserver could be talked to, rather than an answer.
  bool unreachable() const { return unreachable_; }
  uint32_t timeout_ms() const;

 private:
  enum class Kind { kRead, kGather, kChange };
  struct Link;  // lives on the loop's thread

  AdminConnection(const GlobalOptions& options, Credentials credentials);
  template <typename Rpc>
  static Result<typename Rpc::Reply> Parsed(const Answer& answer) {
    typename Rpc::Reply reply;
    if (Status s = ParseAnswer(answer, &reply); !s.ok()) return s;
    return reply;
  }
  Answer CallRaw(Op op, const google::protobuf::MessageLite& request, Kind kind, Slices payload = {});
  // Until a member has greeted us; the one that had before comes first.
  Status Reach(MonoTime deadline);
  Status TryMember(Duration timeout, Duration grace);
  // One call to the present member. *here: the answer is our own, not the member's.
  Answer Ask(Op op, const google::protobuf::MessageLite& request, Duration timeout, Duration grace,
             bool* here, Slices payload = {});
  std::string WaitsFor() const;
  Status Explain(const Status& status) const;
  void NextMember() { at_ = (at_ + 1) % addresses_.size(); }

  const std::vector<std::string> addresses_;
  const std::string secret_file_;
  const Duration timeout_;
  size_t at_ = 0;  // of addresses_
  bool unreachable_ = false;
  Kind kind_ = Kind::kRead;           // of the call under way
  std::unique_ptr<Waiting> waiting_;  // likewise
  LoopThread thread_{"kfs-admin"};
  std::shared_ptr<Link> link_;
};

// Whether errors are JSON from here on (on stderr): {"error": {"message": ..., "errno": ..., "exit_code":
// ...}}. Process-wide, as stderr is.
void ReportAsJson(bool on);
// Prints the error ("kfs: ...") and gives the exit code for it.
int Report(const Status& status, ExitCode code = kFailed);
// The exit code for an error of a call.
ExitCode ExitCodeOf(const Status& status, bool unreachable);

// The options completed and a connection opened, or the error printed. Null: exit with *exit_code.
std::unique_ptr<AdminConnection> OpenOrReport(GlobalOptions& options, int* exit_code);
// The reply of a call, or its error printed. Null: exit with *exit_code.
template <typename Reply>
std::unique_ptr<Reply> ReplyOrReport(const AdminConnection& admin, Result<Reply> reply, int* exit_code) {
  *exit_code = kOk;
  if (reply.ok()) return std::make_unique<Reply>(std::move(*reply));
  *exit_code = Report(reply.status(), ExitCodeOf(reply.status(), admin.unreachable()));
  return nullptr;
}
// Opens a connection, makes one call that reads, and prints the error if there is one. Null: exit with
// *exit_code.
template <typename Rpc>
std::unique_ptr<typename Rpc::Reply> CallOrReport(GlobalOptions& options,
                                                  const typename Rpc::Request& request, int* exit_code) {
  auto admin = OpenOrReport(options, exit_code);
  if (admin == nullptr) return nullptr;
  return ReplyOrReport(*admin, admin->template Call<Rpc>(request), exit_code);
}

}  // namespace kfs::cli
