#include "cli/help.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/admin_connection.h"
#include "cli/output.h"
#include "cli/typed_words.h"

namespace kfs::cli {
namespace {

using HelpWords = std::vector<std::string>;

class Formatter : public CLI::Formatter {
 public:
  std::string make_subcommands(const CLI::App* app, CLI::AppFormatMode mode) const override {
    std::string out;
    const CLI::App* root = app;
    while (root->get_parent() != nullptr) root = root->get_parent();
    if (root != app && mode == CLI::AppFormatMode::Normal) {
      out = make_group("Options of every command", false, root->get_options([root](const CLI::Option* o) {
        return !o->get_group().empty() && !o->get_positional() && o != root->get_help_ptr();
      }));
    }
    return out + CLI::Formatter::make_subcommands(app, mode);
  }
};

std::vector<const CLI::App*> Commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); });
}

const CLI::App* Find(const CLI::App& app, const std::string& name) {
  for (const CLI::App* c : Commands(app)) {
    if (c->get_name() == name) return c;
  }
  return nullptr;
}

HelpWords NamesOf(const CLI::App& app) {
  HelpWords names;
  for (const CLI::App* c : Commands(app)) names.push_back(c->get_name());
  return names;
}

std::string FullName(const CLI::App& app) {
  return app.get_parent() == nullptr ? "kfs" : FullName(*app.get_parent()) + " " + app.get_name();
}

const CLI::Option* FindTowardsRoot(const CLI::App* at, const std::string& arg) {
  for (; at != nullptr; at = at->get_parent()) {
    if (const CLI::Option* option = FindOption(*at, arg); option != nullptr) return option;
  }
  return nullptr;
}

// Where the words lead: the command, and the first word that is not understood there.
struct Walked {
  const CLI::App* at;
  std::string unknown;
  bool option = false;
};

Walked Walk(const CLI::App& app, const HelpWords& args) {
  Walked w{.at = &app, .unknown = "", .option = false};
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") break;
    if (arg.size() > 1 && arg[0] == '-') {
      const CLI::Option* option = FindTowardsRoot(w.at, arg);
      // A short option may have its value, or another option, right behind it.
      if (option == nullptr && arg[1] != '-') option = FindTowardsRoot(w.at, arg.substr(0, 2));
      if (option == nullptr) return {w.at, arg, true};
      if (ValueFollows(*option, arg)) ++i;
      continue;
    }
    if (Commands(*w.at).empty()) continue;
    const CLI::App* next = Find(*w.at, arg);
    if (next == nullptr) return {w.at, arg, false};
    w.at = next;
  }
  return w;
}

// Words that other programs use.
constexpr std::pair<const char*, const char*> kSynonyms[] = {
    {"unmount", "umount"}, {"ls", "list"},      {"rm", "delete"},   {"rm", "remove"},  {"remove", "delete"},
    {"delete", "remove"},  {"show", "info"},    {"new", "create"},  {"add", "create"}, {"add", "probe"},
    {"join", "probe"},     {"leave", "detach"}, {"check", "health"}};

size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string DidYouMean(const CLI::App& app, const Walked& w) {
  if (w.option) {
    HelpWords known;
    for (const CLI::App* at = w.at; at != nullptr; at = at->get_parent()) {
      for (const CLI::Option* o : at->get_options()) {
        for (const std::string& name : o->get_lnames()) known.push_back("--" + name);
      }
    }
    return Nearest(w.unknown.substr(0, w.unknown.find('=')), known);
  }
  if (const std::string near = Nearest(w.unknown, NamesOf(*w.at)); !near.empty())
    return FullName(*w.at) + " " + near;
  if (w.at != &app) return "";
  // "kfs probe": a command of a group.
  std::string found;
  for (const CLI::App* group : Commands(app)) {
    if (Find(*group, w.unknown) == nullptr) continue;
    found += (found.empty() ? "" : "' or '") + FullName(*group) + " " + w.unknown;
  }
  return found;
}

std::string Usage(const CLI::App& command) {
  std::string out = FullName(command);
  for (const CLI::Option* o : command.get_options()) {
    if (!o->get_positional()) continue;
    const std::string name = o->get_name(true) + (o->get_items_expected_max() > 1 ? "..." : "");
    out += " " + (o->get_required() ? name : "[" + name + "]");
  }
  return out;
}

}  // namespace

int RunHelp(const CLI::App& app, const HelpWords& words) {
  const Walked w = Walk(app, words);
  if (w.unknown.empty()) {
    Print(w.at->get_formatter()->make_help(w.at, FullName(*w.at), CLI::AppFormatMode::Normal));
    return kOk;
  }
  Report(Status(EINVAL, ExplainUsage(app, words, "")), kUsage);
  return kUsage;
}

std::shared_ptr<CLI::FormatterBase> HelpFormatter() { return std::make_shared<Formatter>(); }

std::string Nearest(const std::string& word, const HelpWords& known) {
  if (word.size() > 64) return "";
  for (const auto& [other, ours] : kSynonyms) {
    if (word == other && std::count(known.begin(), known.end(), ours) != 0) return ours;
  }
  std::string nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& name : known) {
    size_t distance = Distance(word, name);
    if (word.size() >= 3 && name.starts_with(word)) distance = 1;
    if (distance < least) least = distance, nearest = name;
  }
  return nearest;
}

std::string ExplainUsage(const CLI::App& app, const HelpWords& args, const std::string& error) {
  const Walked w = Walk(app, args);
  std::string out = error, more = FullName(*w.at) + " --help";
  if (!w.unknown.empty()) {
    out = fmt::format("'{}' is no {} of {}", w.unknown, w.option ? "option" : "command", FullName(*w.at));
    if (const std::string meant = DidYouMean(app, w); !meant.empty())
      out += fmt::format("; did you mean '{}'?", meant);
  } else if (const HelpWords left = app.remaining(true); error.find("not expected") != std::string::npos) {
    // In the order in which they were typed.
    out = fmt::format("more arguments than it takes:");
    for (const std::string& word : left) out += " '" + word + "'";
    out += ". Usage: " + Usage(*w.at);
  } else if (error.find(" is required") != std::string::npos) {
    out = fmt::format("{}. Usage: {}", error, Usage(*w.at));
  }
  return fmt::format("{}\nTry '{}'.", out, more);
}

// For the list of commands: its words are commands, too, which the parser would take for what is to be run,
// so that RunCommandLine asks for it before (RunHelp).
void AddHelpCommand(CLI::App& app, GlobalOptions& global) {
  auto words = std::make_shared<HelpWords>();
  CLI::App* command = app.add_subcommand("help", "Explain a command; without one, list them.");
  command->fallthrough();
  command->add_option("COMMAND", *words, "As 'volume create'.")->type_name("");
  command->callback([&app, &global, words] { global.run = [&app, words] { return RunHelp(app, *words); }; });
}

}  // namespace kfs::cli
