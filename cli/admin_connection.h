// A short-lived connection to the metaserver in the role of an administrator: one call after another, each
// with a bounded time. Owns a loop on a thread of its own; used from one other thread.
//
// Errors are words for a person (P9): what could not be reached, why, and what to do.
#pragma once

#include <memory>
#include <string>

#include "cli/command.h"
#include "rpc/net_client.h"

namespace kfs::cli {

class AdminConnection {
 public:
  // Reads the secret; connects with the first call. `options` as ResolveDefaults left them.
  static Result<std::unique_ptr<AdminConnection>> Open(const GlobalOptions& options);
  ~AdminConnection();

  // ETIMEDOUT, or the connection's own errno, when no metaserver answers: see IsUnreachable.
  template <typename Rpc>
  Result<typename Rpc::Reply> Call(const typename Rpc::Request& request) {
    Answer answer = CallRaw(Rpc::kOp, request);
    typename Rpc::Reply reply;
    if (Status s = ParseAnswer(answer, &reply); !s.ok()) return s;
    return reply;
  }

  // The last failure was that no metaserver could be talked to, rather than an answer.
  bool unreachable() const { return unreachable_; }

 private:
  AdminConnection(const GlobalOptions& options, std::string secret);
  Answer CallRaw(Op op, const google::protobuf::MessageLite& request);
  Status Explain(const Status& status) const;

  struct Link;  // lives on the loop's thread
  const std::string addresses_;
  const std::string secret_file_;
  const Duration timeout_;
  bool unreachable_ = false;
  LoopThread thread_{"kfs-admin"};
  std::shared_ptr<Link> link_;
};

// Prints the error ("kfs: ...") and gives the exit code for it.
int Report(const Status& status, ExitCode code = kFailed);
// Opens a connection, makes one call, and prints the error if there is one. Null: exit with *exit_code.
template <typename Rpc>
std::unique_ptr<typename Rpc::Reply> CallOrReport(GlobalOptions& options,
                                                  const typename Rpc::Request& request, int* exit_code) {
  *exit_code = kUsage;
  if (Status s = ResolveDefaults(&options); !s.ok()) return Report(s), nullptr;
  auto admin = AdminConnection::Open(options);
  *exit_code = kUnreachable;
  if (!admin.ok()) return Report(admin.status()), nullptr;
  auto reply = (*admin)->template Call<Rpc>(request);
  if (!reply.ok()) {
    if (!(*admin)->unreachable()) *exit_code = reply.status().err() == ENOENT ? kNotFound : kFailed;
    return Report(reply.status()), nullptr;
  }
  *exit_code = kOk;
  return std::make_unique<typename Rpc::Reply>(std::move(*reply));
}

}  // namespace kfs::cli
