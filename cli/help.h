// Help, `kfs help`, and what to say when the command line is not understood. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"

namespace CLI {
class FormatterBase;
}

namespace kfs::cli {

// Every command's help ends with the options that all commands take. Set before commands are added.
std::shared_ptr<CLI::FormatterBase> HelpFormatter();

// `args` were not understood (`error`: CLI11's words): says which word, and what was probably meant.
std::string ExplainUsage(const CLI::App& app, const std::vector<std::string>& args, const std::string& error);

// `kfs help WORDS...`: gives the exit code.
int RunHelp(const CLI::App& app, const std::vector<std::string>& words);

// The nearest of `known` to a word that was mistyped; empty: none is near.
std::string Nearest(const std::string& word, const std::vector<std::string>& known);

}  // namespace kfs::cli
