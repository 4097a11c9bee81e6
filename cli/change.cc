#include "cli/change.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "common/utf8.h"
#include "common/uuid.h"

namespace kfs::cli {

namespace {

// USER@HOST, of this process. A number where the user has no name.
std::string Asker() {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> room{};
  const uid_t uid = getuid();
  const bool named = getpwuid_r(uid, &entry, room.data(), room.size(), &found) == 0 && found != nullptr;
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return CutText(fmt::format("{}@{}", named ? std::string(entry.pw_name) : std::to_string(uid), host), 120);
}

}  // namespace

pb::CommandContext NewContext(const GlobalOptions& global, const AdminConnection& admin, bool dry_run) {
  pb::CommandContext ctx;
  ctx.set_request_id(NewUuid(SystemRandom()));
  ctx.set_words(global.words);
  ctx.set_timeout_ms(admin.timeout_ms());
  ctx.set_dry_run(dry_run);
  ctx.set_asked_by(Asker());
  return ctx;
}

Status ParseLabels(const std::vector<std::string>& labels,
                   google::protobuf::Map<std::string, std::string>* to) {
  for (const std::string& label : labels) {
    size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == label.size())
      return Status(EINVAL, fmt::format("a label is written NAME=VALUE (as rack=r1), not '{}'", label));
    std::string name = label.substr(0, equals);
    if (to->contains(name)) return Status(EINVAL, fmt::format("the label '{}' is given twice", name));
    (*to)[name] = label.substr(equals + 1);
  }
  return {};
}

std::string ChangeText(const pb::ConfChangeReply& reply) {
  std::string out;
  if (reply.dry_run()) {
    out = reply.difference().empty() ? "nothing would change" : "would change";
    out += fmt::format(" (the generation is {} and stays so):\n", reply.generation());
    if (reply.difference().empty()) out.replace(out.size() - 2, 2, "\n");
  }
  for (const std::string& line : reply.difference()) out += (reply.dry_run() ? "  " : "") + line + "\n";
  if (!reply.dry_run()) {
    if (reply.difference().empty()) out += "nothing has changed\n";
    out += fmt::format("generation {}\n", reply.generation());
  }
  for (const std::string& member : reply.unreachable()) {
    out += fmt::format("not reached, {}: {}\n", reply.dry_run() ? "would catch up" : "will catch up", member);
  }
  return out;
}

nlohmann::json ChangeJson(const pb::ConfChangeReply& reply) {
  return {{"generation", reply.generation()},
          {"difference", StringsJson(reply.difference())},
          {"unreachable", StringsJson(reply.unreachable())},
          {"dry_run", reply.dry_run()}};
}

int ReportChange(const GlobalOptions& global, const AdminConnection& admin,
                 const Result<pb::ConfChangeReply>& reply) {
  int code = kOk;
  auto told = ReplyOrReport(admin, reply, &code);
  if (told == nullptr) return code;
  if (global.json) {
    PrintJson(ChangeJson(*told));
  } else {
    Print(ChangeText(*told));
  }
  return code;
}

void AddDryRun(CLI::App* command, bool* dry_run) {
  command->add_flag(
      "--dry-run", *dry_run,
      "Ask every member whether it could be done, and show what would change. Changes nothing.");
}

namespace {

int Run(GlobalOptions& global, const ChangeCommand& change, bool dry_run) {
  if (global.timeout_s == 0) global.timeout_s = kChangeTimeoutS;
  pb::ConfChangeRequest request;
  if (Status s = change.build(request.mutable_change()); !s.ok()) {
    std::fprintf(stderr, "kfs: %s\n", s.message().c_str());
    return kUsage;
  }
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  if (change.confirm && !dry_run) {
    Status s = change.confirm(*admin);
    if (!s.ok()) return Report(s, ExitCodeOf(s, admin->unreachable()));
  }
  *request.mutable_ctx() = NewContext(global, *admin, dry_run);
  code = ReportChange(global, *admin, admin->Change<rpc::ConfChange>(request));
  if (code == kOk && change.next && !dry_run && !global.json) Print(change.next(*admin));
  return code;
}

}  // namespace

void MakeChangeCommand(CLI::App* command, GlobalOptions& global, ChangeCommand change) {
  auto dry_run = std::make_shared<bool>(false);
  AddDryRun(command, dry_run.get());
  command->callback([&global, change = std::move(change), dry_run] {
    global.run = [&global, change, dry_run] { return Run(global, change, *dry_run); };
  });
}

}  // namespace kfs::cli
