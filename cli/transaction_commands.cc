// kfs cluster transactions, transitions, abort: what the state machines of the metaserver asked are doing.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;
using Transaction = pb::TransactionListReply::Transaction;

namespace {

// As much of an id as people compare; 'abort' and 'transitions' take the first letters.
std::string Short(const std::string& id) { return id.substr(0, 8); }

std::string Kind(const Transaction& t) {
  return fmt::format("{}{}", t.read() ? "read" : "change", t.participant() ? ", as peer" : "");
}

std::string Took(const Transaction& t, TimeNs now) {
  const int64_t ns = (t.ended() == 0 ? now : t.ended()) - t.started();
  return fmt::format("{:.1f} ms", static_cast<double>(std::max<int64_t>(ns, 0)) / 1e6);
}

std::string Offset(const pb::TransactionListReply::Step& step) {
  return fmt::format("{:+10.3f} ms", static_cast<double>(step.micros()) / 1000);
}

// How it ended; of a running one its state and who has said what.
std::string StateText(const Transaction& t) {
  if (t.ended() != 0) return t.outcome();
  std::string out = t.state();
  if (!t.answer().empty()) out += ": " + PairsText(t.answer());
  return out;
}

}  // namespace

std::string TransactionsText(const pb::TransactionListReply& list, bool steps, TimeNs now) {
  if (list.transaction().empty()) return "no transaction since this metaserver was started\n";
  Table table({"ID", "KIND", "STARTED", "TOOK", "ASKED OF", "COMMAND", "STATE"}, {3});
  for (const Transaction& t : list.transaction()) {
    table.Add({Short(t.id()), Kind(t), HumanTime(t.started()), Took(t, now), t.originator(), t.command(),
               StateText(t)});
  }
  std::string out = table.Text();
  if (!steps) return out;
  for (const Transaction& t : list.transaction()) {
    out += fmt::format("\n{}  {}{}\n", Short(t.id()), t.command(), AskerText(t.asked_by(), t.asked_key()));
    for (const auto& s : t.step())
      out += fmt::format("  {}  {} -> {} ({})\n", Offset(s), s.from(), s.to(), s.event());
  }
  return out;
}

std::string TransitionsText(const pb::TransactionListReply& list, const std::string& id) {
  std::string out;
  for (const Transaction& t : list.transaction()) {
    if (t.id().rfind(id, 0) != 0) continue;
    out += fmt::format("{}{}  {}, {}, started {}{}\n", out.empty() ? "" : "\n", t.id(), t.command(), Kind(t),
                       HumanTime(t.started()), AskerText(t.asked_by(), t.asked_key()));
    for (const auto& s : t.step()) {
      out += fmt::format("{}  Transitioning from '{}' to '{}' due to event '{}'\n", Offset(s), s.from(),
                         s.to(), s.event());
    }
  }
  return out;
}

json TransactionsJson(const pb::TransactionListReply& list) {
  json out = json::array();
  for (const Transaction& t : list.transaction()) {
    json steps = json::array();
    for (const auto& s : t.step())
      steps.push_back({{"micros", s.micros()}, {"from", s.from()}, {"event", s.event()}, {"to", s.to()}});
    out.push_back({{"id", t.id()},
                   {"command", t.command()},
                   {"asked_by", t.asked_by()},
                   {"asked_key", t.asked_key()},
                   {"originator", t.originator()},
                   {"state", t.state()},
                   {"started_ns", t.started()},
                   {"ended_ns", t.ended()},
                   {"outcome", t.outcome()},
                   {"answers", PairsJson(t.answer())},
                   {"read", t.read()},
                   {"participant", t.participant()},
                   {"steps", steps}});
  }
  return out;
}

namespace {

Status NoTransaction(const std::string& id) {
  return Status(
      ENOENT,
      fmt::format("the metaserver asked knows no transaction {} (see: kfs cluster transactions)", id));
}

int RunTransactions(GlobalOptions& global, bool steps) {
  int code = kOk;
  auto list = CallOrReport<rpc::TransactionList>(global, {}, &code);
  if (list == nullptr) return code;
  if (global.json) {
    PrintJson(TransactionsJson(*list));
  } else {
    Print(TransactionsText(*list, steps, SystemClock().WallNow()));
  }
  return kOk;
}

int RunTransitions(GlobalOptions& global, const std::string& id) {
  int code = kOk;
  auto list = CallOrReport<rpc::TransactionList>(global, {}, &code);
  if (list == nullptr) return code;
  auto* kept = list->mutable_transaction();
  kept->erase(std::remove_if(kept->begin(), kept->end(),
                             [&](const Transaction& t) { return t.id().rfind(id, 0) != 0; }),
              kept->end());
  if (kept->empty() && !id.empty()) return Report(NoTransaction(id), kNotFound);
  if (global.json) {
    PrintJson(TransactionsJson(*list));
  } else {
    Print(kept->empty() ? TransactionsText(*list, false, 0) : TransitionsText(*list, ""));
  }
  return kOk;
}

// The whole id of the one running transaction that begins so.
Result<std::string> Resolve(const pb::TransactionListReply& list, const std::string& id) {
  std::string found;
  for (const Transaction& t : list.transaction()) {
    if (t.id() == id) return id;
    if (t.ended() != 0 || t.id().rfind(id, 0) != 0) continue;
    if (!found.empty() && found != t.id())
      return Status(EINVAL, fmt::format("several running transactions begin with {} (say more of it)", id));
    found = t.id();
  }
  if (found.empty()) return NoTransaction(id);
  return found;
}

int RunAbort(GlobalOptions& global, const std::string& id) {
  if (global.timeout_s == 0) global.timeout_s = kChangeTimeoutS;
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  auto list = ReplyOrReport(*admin, admin->Call<rpc::TransactionList>({}), &code);
  if (list == nullptr) return code;
  auto whole = Resolve(*list, id);
  if (!whole.ok()) return Report(whole.status(), ExitCodeOf(whole.status(), false));
  pb::TransactionAbortRequest request;
  request.set_id(*whole);
  if (ReplyOrReport(*admin, admin->Change<rpc::TransactionAbort>(request), &code) == nullptr) return code;
  if (global.json) {
    PrintJson({{"aborted", *whole}});
  } else {
    Print(fmt::format("transaction {} is aborted; nothing has changed\n", *whole));
  }
  return kOk;
}

CLI::Option* AddId(CLI::App* command, GlobalOptions& global, const char* words, std::string* id) {
  CLI::Option* option = command->add_option("ID", *id, words)->type_name("");
  global.names[option] = Names::kTransaction;
  return option;
}

}  // namespace

void AddTransactionCommands(CLI::App& cluster, GlobalOptions& global) {
  auto steps = std::make_shared<bool>(false);
  CLI::App* transactions = cluster.add_subcommand(
      "transactions", "List the transactions that run, and the last ones, of the metaserver asked.");
  transactions->fallthrough();
  transactions->add_flag("--steps", *steps, "Also show each one's way through the states.");
  transactions->callback(
      [&global, steps] { global.run = [&global, steps] { return RunTransactions(global, *steps); }; });

  auto shown = std::make_shared<std::string>();
  CLI::App* transitions = cluster.add_subcommand(
      "transitions",
      "Show the transitions of the state machines, with the time since each transaction began.");
  transitions->fallthrough();
  AddId(transitions, global, "The first letters of the transaction's id. Default: all of them.", shown.get());
  transitions->callback(
      [&global, shown] { global.run = [&global, shown] { return RunTransitions(global, *shown); }; });

  auto aborted = std::make_shared<std::string>();
  CLI::App* abort = cluster.add_subcommand(
      "abort", "End a running transaction of the metaserver asked. Nothing has changed then.");
  abort->fallthrough();
  AddId(abort, global, "The first letters of the transaction's id.", aborted.get())->required();
  abort->callback(
      [&global, aborted] { global.run = [&global, aborted] { return RunAbort(global, *aborted); }; });
  abort->footer("Refused once its commit has been sent: it will be made or dropped as a whole.");
}

}  // namespace kfs::cli
