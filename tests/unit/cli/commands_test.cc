// What every command owes its users: a sentence, a line in docs/commands.md, its place in a man page, and a
// test that runs it.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "cli/command.h"
#include "cli/man_page.h"

namespace kfs::cli {
namespace {

namespace fs = std::filesystem;

struct Command {
  std::string group, name;  // group empty: `kfs NAME`
  const CLI::App* app = nullptr;
  std::string words() const { return (group.empty() ? "" : group + " ") + name; }
};

void Collect(const CLI::App& app, const std::string& group, std::vector<Command>* out) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;  // hidden
    if (sub->get_subcommands([](const CLI::App*) { return true; }).empty()) {
      out->push_back({group, sub->get_name(), sub});
    } else {
      Collect(*sub, sub->get_name(), out);
    }
  }
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class CommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    BuildApp(app_, global_);
    Collect(app_, "", &commands_);
    ASSERT_GT(commands_.size(), 30u);
  }
  GlobalOptions global_;
  CLI::App app_;
  std::vector<Command> commands_;
  const fs::path source_ = KFS_SOURCE_DIR;
};

TEST_F(CommandsTest, EachSaysWhatItDoesInASentence) {
  for (const Command& c : commands_) {
    const std::string text = c.app->get_description();
    EXPECT_TRUE(text.ends_with('.')) << c.words() << ": '" << text << "'";
  }
}

// A line of the page that has `kfs GROUP NAME`, or `kfs GROUP ...` and `NAME` after it.
bool Documented(const std::string& page, const Command& c) {
  std::istringstream lines(page);
  std::string line;
  while (std::getline(lines, line)) {
    if (std::regex_search(line, std::regex("kfs " + c.words() + "[`, ]"))) return true;
    if (!c.group.empty() && line.find("`kfs " + c.group + " ") != std::string::npos &&
        line.find("`" + c.name + "`") != std::string::npos)
      return true;
  }
  return false;
}

TEST_F(CommandsTest, EachIsInTheDocumentOfCommands) {
  const std::string page = ReadFile(source_ / "docs/commands.md");
  ASSERT_FALSE(page.empty());
  for (const Command& c : commands_) {
    EXPECT_TRUE(Documented(page, c)) << "docs/commands.md does not name 'kfs " << c.words() << "'";
  }
  EXPECT_FALSE(Documented(page, {"volume", "paint", nullptr}));
}

TEST_F(CommandsTest, EachIsInAManPage) {
  const std::string page = ManPage(app_, "kfs");
  for (const Command& c : commands_) {
    EXPECT_TRUE(std::regex_search(page, std::regex("\\.SS kfs " + c.words() + "[ \n]"))) << c.words();
  }
}

// Whether a test runs it, in the words of a shell or of C++: `volume create`, {"volume", "create"}. Pages of
// docs/ whose commands are run count, too.
TEST_F(CommandsTest, EachIsRunByATest) {
  std::string all = ReadFile(source_ / "docs/operate.md") + ReadFile(source_ / "tests/run");
  for (const char* folder : {"tests/unit/cli", "tests/e2e", "tests/deploy", "tests/bench", "deploy"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_ / folder)) {
      const std::string name = entry.path().filename();
      if (name == "commands_test.cc" || name == "man_page_test.cc" || name == "completion_test.cc") continue;
      if (entry.is_regular_file()) all += ReadFile(entry.path());
    }
  }
  for (const Command& c : commands_) {
    const bool shell =
        std::regex_search(all, std::regex("(kfs\\S*|admin|cli|on \\w+) ([^\n|;&]* )?" + c.words() + "\\b"));
    const std::string code =
        c.group.empty() ? "\\{\"" + c.name + "\"[,}]" : "\"" + c.group + "\",\\s*\"" + c.name + "\"";
    EXPECT_TRUE(shell || std::regex_search(all, std::regex(code)))
        << "no test runs 'kfs " << c.words() << "'";
  }
}

}  // namespace
}  // namespace kfs::cli
