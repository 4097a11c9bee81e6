#include "cli/typed_words.h"

#include <CLI/CLI.hpp>

namespace kfs::cli {

const CLI::Option* FindOption(const CLI::App& app, const std::string& arg) {
  if (arg.size() < 2 || arg[0] != '-') return nullptr;
  return app.get_option_no_throw(arg.substr(0, arg.find('=')));
}

bool ValueFollows(const CLI::Option& option, const std::string& arg) {
  return option.get_items_expected_max() != 0 && arg.find('=') == std::string::npos;
}

std::string TypedWords(const CLI::App& app, const std::vector<std::string>& args) {
  std::string out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (const CLI::Option* global = FindOption(app, args[i]); global != nullptr) {
      if (ValueFollows(*global, args[i])) ++i;
      continue;
    }
    bool quote = args[i].empty() || args[i].find_first_of(" \t\n") != std::string::npos;
    out += (out.empty() ? "" : " ") + (quote ? "'" + args[i] + "'" : args[i]);
  }
  return out;
}

}  // namespace kfs::cli
