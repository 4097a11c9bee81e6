// kfs status: what runs, and who is connected. --wait is what scripts poll with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/admin_connection.h"
#include "cli/health.h"
#include "cli/local_mounts.h"
#include "cli/output.h"
#include "cli/reports.h"
#include "cli/waiting.h"

namespace kfs::cli {
namespace {

using nlohmann::json;
using Reply = pb::ClusterStatusReply;

json StatusJson(const Reply& r) {
  json chunkservers = json::array(), sessions = json::array(), volumes = json::array(), ops = json::array();
  for (const auto& c : r.chunkserver()) {
    chunkservers.push_back({{"id", c.id()},
                            {"uuid", c.uuid()},
                            {"address", c.address()},
                            {"up", c.up()},
                            {"last_seen_ns", c.last_seen()},
                            {"capacity", c.capacity()},
                            {"available", c.available()},
                            {"chunks", c.chunks()},
                            {"pending_mutations", c.pending_mutations()},
                            {"pending_deletes", c.pending_deletes()},
                            {"rss_bytes", c.rss_bytes()},
                            {"link", c.link()},
                            {"key", c.key()},
                            {"tls", c.tls()},
                            {"plain_links", c.plain_links()},
                            {"error", c.error()}});
  }
  for (const auto& s : r.session()) {
    sessions.push_back({{"id", s.id()},
                        {"volume", s.volume()},
                        {"path", "/" + s.path()},
                        {"key", s.key()},
                        {"host", s.host()},
                        {"mountpoint", s.mountpoint()},
                        {"attached", s.attached()},
                        {"link", s.link()},
                        {"tls", s.tls()},
                        {"opens", s.opens()},
                        {"locks", s.locks()},
                        {"replies_kept", s.replies_kept()},
                        {"recent_calls", s.recent_ops()},
                        {"recent_micros", s.recent_micros()},
                        {"slowest_micros", s.slowest_micros()}});
  }
  for (const auto& v : r.volume()) volumes.push_back(ToJson(v));
  for (const auto& o : r.op()) {
    ops.push_back({{"name", o.name()}, {"count", o.count()}, {"errors", o.errors()}, {"micros", o.micros()}});
  }
  return {{"cluster_id", r.cluster_id()},
          {"software", r.software()},
          {"started_ns", r.started()},
          {"rss_bytes", r.rss_bytes()},
          {"connections", r.connections()},
          {"tls", r.tls()},
          {"secret", r.secret()},
          {"old_secret", r.old_secret()},
          {"chunkservers", chunkservers},
          {"sessions", sessions},
          {"sessions_lost", r.lost_sessions()},
          {"recent_ops", r.recent_ops()},
          {"recent_micros", r.recent_micros()},
          {"volumes", volumes},
          {"ops", ops}};
}

json LocalMountsJson() {
  json mounts = json::array();
  for (const LocalMount& m : LocalMounts()) {
    mounts.push_back({{"mountpoint", m.mountpoint}, {"source", m.source}, {"options", m.options}});
  }
  return mounts;
}

void PrintLocalMounts() {
  Table mounts({"MOUNTED HERE", "SOURCE", "OPTIONS IN FORCE"}, {});
  for (const LocalMount& m : LocalMounts()) mounts.Add({m.mountpoint, m.source, m.options});
  if (!mounts.empty()) Print("\n" + mounts.Text());
}

void PrintOps(const Reply& r) {
  Table ops({"OPERATION", "COUNT", "ERRORS", "MEAN"}, {1, 2, 3});
  for (const auto& o : r.op()) {
    if (o.count() == 0) continue;
    double mean = static_cast<double>(o.micros()) / static_cast<double>(o.count());
    ops.Add(
        {o.name(), std::to_string(o.count()), std::to_string(o.errors()), fmt::format("{:.0f} us", mean)});
  }
  if (!ops.empty()) Print("\n" + ops.Text());
}

void PrintStatus(const Reply& r, const pb::ConfShowReply* conf, bool with_ops) {
  TimeNs now = SystemClock().WallNow();
  Print(fmt::format("cluster     {}\nmetaserver  {}, up for {}, {} resident, {} connections\n",
                    r.cluster_id(), r.software(), HumanAge(r.started(), now), HumanBytes(r.rss_bytes()),
                    r.connections()) +
        (conf == nullptr ? "" : MembersLine(*conf)));
  Table servers({"CHUNKSERVER", "ADDRESS", "STATE", "USED", "AVAILABLE", "CHUNKS", "SEEN"}, {3, 4, 5});
  for (const auto& c : r.chunkserver()) {
    std::string state = c.up() ? "up" : "down";
    if (!c.error().empty()) state += ": " + c.error();
    servers.Add({std::to_string(c.id()), c.address(), state,
                 Percent(c.capacity() - c.available(), c.capacity()), HumanBytes(c.available()),
                 std::to_string(c.chunks()), c.up() ? "now" : HumanAge(c.last_seen(), now)});
  }
  Print("\n" + (servers.empty() ? std::string("no chunkserver has registered yet: start kfs-chunkserver\n")
                                : servers.Text()));
  Table volumes({"VOLUME", "STATE", "FILES", "DATA", "MOUNTS"}, {2, 3, 4});
  for (const auto& v : r.volume()) {
    const std::string state = VolumeState(v, conf);
    volumes.Add({v.name(), state, CountedOrState(v, state, std::to_string(v.files())),
                 CountedOrState(v, state, HumanBytes(v.bytes())),
                 CountedOrState(v, state, std::to_string(v.sessions()))});
  }
  Print("\n" + (volumes.empty() ? std::string("no volume yet: 'kfs volume create NAME' makes one\n")
                                : volumes.Text()));
  for (const auto& v : r.volume()) Print(LostText(v));
  Table sessions({"SESSION", "VOLUME", "HOST", "MOUNT POINT", "STATE", "OPEN", "LOCKS"}, {5, 6});
  for (const auto& s : r.session()) {
    sessions.Add({std::to_string(s.id()), s.path().empty() ? s.volume() : s.volume() + "/" + s.path(),
                  s.host(), s.mountpoint(),
                  !s.attached()         ? "away"
                  : s.link() == "plain" ? "connected, plain"
                                        : "connected",
                  std::to_string(s.opens()), std::to_string(s.locks())});
  }
  if (!sessions.empty()) Print("\n" + sessions.Text());
  PrintLocalMounts();
  if (with_ops) PrintOps(r);
}

bool AllUp(const Reply& reply, const std::vector<std::string>& addresses) {
  return std::all_of(addresses.begin(), addresses.end(), [&](const std::string& address) {
    return std::any_of(reply.chunkserver().begin(), reply.chunkserver().end(),
                       [&](const auto& c) { return c.up() && c.address() == address; });
  });
}

struct StatusArgs {
  std::vector<std::string> wait;
  bool ops = false;
  bool check = false;
};

// Asks until the chunkservers named are up; the metaserver may come up meanwhile, too.
Result<Reply> Poll(AdminConnection& admin, const GlobalOptions& global, const StatusArgs& args) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(global.timeout_s);
  Waiting waiting;
  while (true) {
    auto reply = admin.Call<rpc::ClusterStatus>({});
    bool late = std::chrono::steady_clock::now() >= deadline;
    if (!reply.ok() && (args.wait.empty() || late)) return reply;
    if (reply.ok() && AllUp(*reply, args.wait)) return reply;
    if (late)
      return Status(ETIMEDOUT, "not every chunkserver named with --wait is up; 'kfs status' shows which are");
    waiting.Look("the chunkservers named with --wait to come up");
    // Between two looks: the metaserver does not call back who waits. The deadline above bounds it.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// What `kfs health` finds, by its exit code; its lines go to stderr, so that stdout is the status alone.
int Check(const GlobalOptions& global) {
  const auto members = AskAllMembers(global);
  if (!members.ok()) return Report(members.status(), kUsage);
  const std::vector<Finding> findings = Examine(*members, SystemClock().WallNow());
  std::fputs(HealthText(findings, *members).c_str(), stderr);
  return static_cast<int>(Worst(findings));
}

int RunStatus(GlobalOptions& global, const StatusArgs& args) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto reply = Poll(*admin, global, args);
  if (!reply.ok()) {
    const int failed = Report(reply.status(), admin->unreachable() ? kUnreachable : kFailed);
    return args.check ? static_cast<int>(Severity::kCritical) : failed;
  }
  // One that cannot tell about the others has told about itself all the same.
  auto conf = admin->Call<rpc::ConfShow>({});
  if (global.json) {
    json out = StatusJson(*reply);
    out["mounts_here"] = LocalMountsJson();
    if (conf.ok()) {
      out["generation"] = conf->conf().generation();
      out["peers"] = PeerStatusJson(*conf)["peers"];
    }
    PrintJson(out);
  } else {
    PrintStatus(*reply, conf.ok() ? &*conf : nullptr, args.ops);
  }
  return args.check ? Check(global) : kOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, GlobalOptions& global) {
  auto args = std::make_shared<StatusArgs>();
  CLI::App* command = app.add_subcommand("status",
                                         "Show the metaserver asked, its chunkservers, volumes and mounts, "
                                         "and the options of the mounts on this host.");
  command->fallthrough();
  command
      ->add_option("--wait", args->wait,
                   "Wait (--timeout) until the chunkserver at this address is up. May be repeated.")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->take_all();
  command->add_flag("--ops", args->ops, "Also count the operations served, and their mean time.");
  command->add_flag("--check", args->check,
                    "Also look for what is wrong, as 'kfs health' does, and tell it by its exit code: 0 "
                    "well, 1 warning, 2 critical.");
  command->footer(
      "Succeeds when the metaserver answers, whatever state the rest is in; with --check as 'kfs health'.");
  command->callback([&global, args] { global.run = [&global, args] { return RunStatus(global, *args); }; });
}

}  // namespace kfs::cli
