// A command line as words: what of it is the command, and where its last word stands. Any thread.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kfs::cli {

// `args` joined by blanks, without the options that every command takes and their values: what the history of
// the cluster remembers a command by. Arguments with blanks in them are quoted.
std::string TypedWords(const CLI::App& app, const std::vector<std::string>& args);

// The option of `app` that `arg` ("--name", "--name=value") names, or null.
const CLI::Option* FindOption(const CLI::App& app, const std::string& arg);
// It takes a value, and `arg` does not hold it: the next argument does.
bool ValueFollows(const CLI::Option& option, const std::string& arg);

}  // namespace kfs::cli
