#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/admin_connection.h"
#include "cli/typed_words.h"

namespace kfs::cli {
namespace {

// A person waits with a finger on the key.
constexpr double kTimeoutS = 0.7;

using Words = std::vector<std::string>;

// Where the last word stands: what has been said before it.
struct Position {
  const CLI::App* command;
  const CLI::Option* value_of = nullptr;  // the last word is this option's value
  Words positionals;
};

// Options of groups and of the program are taken by their commands, too.
const CLI::Option* FindUpwards(const CLI::App* command, const std::string& arg) {
  for (; command != nullptr; command = command->get_parent()) {
    if (const CLI::Option* option = FindOption(*command, arg); option != nullptr) return option;
  }
  return nullptr;
}

void TakeGlobal(const CLI::Option& option, const std::string& value, GlobalOptions* global) {
  if (option.check_name("--metaserver")) global->metaservers.push_back(value);
  if (option.check_name("--secret-file")) global->secret_file = value;
}

const CLI::App* Subcommand(const CLI::App& app, const std::string& name) {
  const auto found =
      app.get_subcommands([&](const CLI::App* command) { return command->get_name() == name; });
  return found.empty() ? nullptr : found.front();
}

// Goes through all words but the last.
Position Walk(const CLI::App& app, const Words& words, GlobalOptions* global) {
  Position at{.command = &app, .value_of = nullptr, .positionals = {}};
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    const CLI::Option* option = FindUpwards(at.command, word);
    if (option != nullptr) {
      if (!ValueFollows(*option, word)) {
        if (size_t equals = word.find('='); equals != std::string::npos)
          TakeGlobal(*option, word.substr(equals + 1), global);
      } else if (++i + 1 < words.size()) {
        TakeGlobal(*option, words[i], global);
      } else {
        at.value_of = option;
      }
      continue;
    }
    const CLI::App* next = Subcommand(*at.command, word);
    if (next != nullptr && at.positionals.empty()) {
      at.command = next;
    } else {
      at.positionals.push_back(word);
    }
  }
  return at;
}

void AddOptions(const CLI::App* command, Words* out) {
  for (; command != nullptr; command = command->get_parent()) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_group().empty() || option->get_positional()) continue;
      for (const std::string& name : option->get_lnames()) out->push_back("--" + name);
      for (const std::string& name : option->get_snames()) out->push_back("-" + name);
    }
  }
}

const CLI::Option* PositionalAt(const CLI::App& command, size_t index) {
  const CLI::Option* last = nullptr;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    last = option;
    if (index-- == 0) return option;
  }
  // One that takes several is the last.
  return last != nullptr && last->get_items_expected_max() > 1 ? last : nullptr;
}

Words Ask(GlobalOptions& global, Names kind, const std::string& volume) {
  if (kind == Names::kNothing || kind == Names::kFile) return {};
  global.timeout_s = kTimeoutS;
  // Without a cluster there is nothing to complete with, and nobody to tell.
  if (!ResolveDefaults(&global).ok()) return {};
  auto admin = AdminConnection::Open(global);
  if (!admin.ok()) return {};
  if (kind != Names::kTransaction) {
    auto conf = (*admin)->Call<rpc::ConfShow>({});
    return conf.ok() ? KnownNames(*conf, kind, volume) : Words();
  }
  Words out;
  if (auto list = (*admin)->Call<rpc::TransactionList>({}); list.ok()) {
    for (const auto& t : list->transaction()) out.push_back(t.id());
  }
  return out;
}

}  // namespace

Words SplitLine(const std::string& line) {
  Words words(1);
  char quote = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      words.back() += line[++i];
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote == 0 && (c == ' ' || c == '\t')) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

Words KnownNames(const pb::ConfShowReply& conf, Names kind, const std::string& volume) {
  Words out;
  if (kind == Names::kVolume) {
    for (const auto& v : conf.conf().volume()) out.push_back(v.name());
  } else if (kind == Names::kPeer) {
    for (const auto& m : conf.conf().member()) out.push_back(m.address());
  } else if (kind == Names::kChunkserver) {
    for (const auto& c : conf.conf().chunkserver()) out.push_back(std::to_string(c.id()));
  } else if (kind == Names::kVolumeOption || kind == Names::kClusterOption) {
    for (const auto& o : conf.option()) {
      if (o.of_cluster() == (kind == Names::kClusterOption)) out.push_back(o.name());
    }
    if (kind == Names::kClusterOption) {
      for (const auto& [name, value] : conf.conf().option()) out.push_back(name);
    }
    for (const auto& v : conf.conf().volume()) {
      if (kind != Names::kVolumeOption || v.name() != volume) continue;
      for (const auto& [name, value] : v.option()) out.push_back(name);
    }
  }
  return out;
}

Words Complete(const CLI::App& app, GlobalOptions& global, const std::string& line) {
  Words words = SplitLine(line);
  if (words.size() < 2) return {};  // still the program's own name
  words.erase(words.begin());
  const std::string typed = words.back();
  Position at = Walk(app, words, &global);
  const CLI::Option* value_of = at.value_of;
  std::string before;  // of the word, and not to be completed: "--owner="
  Words found;
  if (size_t equals = typed.find('='); value_of == nullptr && equals != std::string::npos) {
    value_of = FindUpwards(at.command, typed);
    before = typed.substr(0, equals + 1);
  }
  if (value_of == nullptr && !typed.empty() && typed[0] == '-') {
    AddOptions(at.command, &found);
  } else if (value_of == nullptr) {
    for (const CLI::App* command : at.command->get_subcommands([](const CLI::App*) { return true; })) {
      if (at.positionals.empty() && !command->get_group().empty()) found.push_back(command->get_name());
    }
    value_of = PositionalAt(*at.command, at.positionals.size());
  }
  if (auto names = global.names.find(value_of); value_of != nullptr && names != global.names.end()) {
    for (const std::string& name :
         Ask(global, names->second, at.positionals.empty() ? "" : at.positionals.front()))
      found.push_back(before + name);
  }
  std::erase_if(found, [&](const std::string& word) { return word.rfind(typed, 0) != 0; });
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace kfs::cli
