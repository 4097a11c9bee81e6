// kfs cluster log, kfs cluster revert
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/change.h"
#include "cli/output.h"
#include "cli/reports.h"

namespace kfs::cli {

using nlohmann::json;

namespace {

// Between an entry and the next one, which is older; empty: nothing is missing.
std::string GapText(const pb::ConfLogReply::Entry& newer, const pb::ConfLogReply::Entry& older) {
  const uint64_t first = older.generation() + 1, last = newer.follows();
  if (last < first) return "";
  return fmt::format(
      "\n{}: made while this metaserver was away, and not kept here; another one knows (--metaserver)\n",
      first == last ? fmt::format("generation {}", first) : fmt::format("generations {} to {}", first, last));
}

}  // namespace

// Who it was is what they say; the key they have proven.
std::string AskerText(const std::string& who, const std::string& key) {
  if (who.empty() && key.empty()) return "";
  return fmt::format(" by {}{}", who.empty() ? "?" : who, key.empty() ? "" : " with key " + key);
}

std::string LogText(const pb::ConfLogReply& log) {
  std::string out;
  const pb::ConfLogReply::Entry* newer = nullptr;
  for (const auto& e : log.entry()) {
    if (newer != nullptr) out += GapText(*newer, e);
    newer = &e;
    out += fmt::format("{}generation {}  {}  asked of {}{}\n  kfs {}\n", out.empty() ? "" : "\n",
                       e.generation(), HumanTime(e.time()), e.originator().empty() ? "-" : e.originator(),
                       AskerText(e.asked_by(), e.asked_key()), e.command());
    for (const std::string& line : e.difference()) out += "    " + line + "\n";
    if (e.difference().empty()) out += "    (what it changed is not kept)\n";
  }
  return out.empty() ? "the configuration has not been changed yet\n" : out;
}

json LogJson(const pb::ConfLogReply& log) {
  json out = json::array();
  for (const auto& e : log.entry()) {
    out.push_back({{"generation", e.generation()},
                   {"time_ns", e.time()},
                   {"command", e.command()},
                   {"transaction", e.transaction()},
                   {"difference", StringsJson(e.difference())},
                   {"checksum", Hex(e.checksum())},
                   {"originator", e.originator()},
                   {"follows", e.follows()},
                   {"asked_by", e.asked_by()},
                   {"asked_key", e.asked_key()}});
  }
  return out;
}

namespace {

// As ConfLogRequest.count has it.
constexpr uint32_t kPage = 100;

int RunLog(GlobalOptions& global, uint32_t count) {
  int code = kOk;
  auto admin = OpenOrReport(global, &code);
  if (admin == nullptr) return code;
  pb::ConfLogReply all;
  pb::ConfLogRequest request;
  for (uint32_t left = count; left != 0;) {
    request.set_count(std::min(left, kPage));
    auto page = ReplyOrReport(*admin, admin->Call<rpc::ConfLog>(request), &code);
    if (page == nullptr) return code;
    if (page->entry().empty()) break;
    left -= std::min(left, static_cast<uint32_t>(page->entry_size()));
    request.set_before(page->entry().rbegin()->generation());
    all.MergeFrom(*page);
    if (request.before() <= 1) break;
  }
  if (global.json) {
    PrintJson(LogJson(all));
  } else {
    Print(LogText(all));
  }
  return kOk;
}

}  // namespace

void AddClusterLogCommand(CLI::App& cluster, GlobalOptions& global) {
  auto count = std::make_shared<uint32_t>(20);
  CLI::App* command =
      cluster.add_subcommand("log", "Show the changes of the configuration, the newest first.");
  command->fallthrough();
  command->add_option("-n,--count", *count, "So many of them. Default: 20.")
      ->type_name("N")
      ->check(CLI::Range(1, 100000).description(""));
  command->callback([&global, count] { global.run = [&global, count] { return RunLog(global, *count); }; });
}

void AddClusterRevertCommand(CLI::App& cluster, GlobalOptions& global) {
  auto generation = std::make_shared<uint64_t>(0);
  CLI::App* command = cluster.add_subcommand(
      "revert", "Make options, labels and which volumes are started as they were in an earlier generation.");
  command->fallthrough();
  command->add_option("GENERATION", *generation, "Its number: see kfs cluster log.")
      ->required()
      ->type_name("")
      ->check(CLI::Range(int64_t{1}, INT64_MAX).description(""));
  MakeChangeCommand(command, global,
                    {.build =
                         [generation](pb::Change* change) {
                           change->mutable_revert()->mutable_to()->set_generation(*generation);
                           return Status();
                         },
                     .confirm = nullptr,
                     .next = nullptr});
  command->footer(
      "Members, chunkservers, owners, and which volumes there are stay as they are. It is a change as any "
      "other, "
      "with a\ngeneration of its own.");
}

}  // namespace kfs::cli
