// What all commands that change the configuration share: --dry-run, the context of the request, how the
// outcome is told. One thread.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/admin_connection.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

// A request id of its own, the words as typed, the time that the member has.
pb::CommandContext NewContext(const GlobalOptions& global, const AdminConnection& admin, bool dry_run);

// "rack=r1" into the map; EINVAL tells how it is written. Names may come once.
Status ParseLabels(const std::vector<std::string>& labels,
                   google::protobuf::Map<std::string, std::string>* to);

// What was changed, in which generation, and who has not heard of it.
std::string ChangeText(const pb::ConfChangeReply& reply);
nlohmann::json ChangeJson(const pb::ConfChangeReply& reply);

// A command that makes one change of the configuration.
struct ChangeCommand {
  // Reads what the command line has left in its variables. An error is one of usage.
  std::function<Status(pb::Change*)> build;
  // Asks the person, before anything is sent; not for a dry run. An error ends the command. May be null.
  std::function<Status(AdminConnection&)> confirm;
  // What to do next, for a person, once it is made. May be null.
  std::function<std::string(AdminConnection&)> next;
};
// Adds --dry-run, and what is to run.
void MakeChangeCommand(CLI::App* command, GlobalOptions& global, ChangeCommand change);

// The same for an op of its own (Rpc::Request has a ctx).
int ReportChange(const GlobalOptions& global, const AdminConnection& admin,
                 const Result<pb::ConfChangeReply>& reply);
template <typename Rpc>
int RunChange(GlobalOptions& global, typename Rpc::Request request, bool dry_run) {
  if (global.timeout_s == 0) global.timeout_s = kChangeTimeoutS;
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  *request.mutable_ctx() = NewContext(global, *admin, dry_run);
  return ReportChange(global, *admin, admin->template Change<Rpc>(request));
}
void AddDryRun(CLI::App* command, bool* dry_run);

}  // namespace kfs::cli
