#include "cli/man_page.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace kfs::cli {
namespace {

class ManPageTest : public testing::Test {
 protected:
  void SetUp() override { BuildApp(app_, global_); }
  GlobalOptions global_;
  CLI::App app_;
};

TEST_F(ManPageTest, EveryCommandIsInThePage) {
  std::string page = ManPage(app_, "kfs");
  for (const char* command :
       {"kfs status", "kfs df", "kfs volume create NAME", "kfs volume list", "kfs volume info NAME",
        "kfs volume delete NAME", "kfs volume set NAME OPTION [VALUE]", "kfs volume move NAME PEER",
        "kfs peer probe ADDRESS", "kfs peer address PEER ADDRESS", "kfs chunkserver label ID [LABEL...]",
        "kfs cluster revert GENERATION", "kfs cluster transitions [ID]", "kfs bench meta", "kfs version",
        "kfs mount SOURCE DIRECTORY"}) {
    EXPECT_NE(page.find(std::string(".SS ") + command + "\n"), std::string::npos) << command;
  }
}

TEST_F(ManPageTest, TheMountPageHasTwoNames) {
  EXPECT_NE(ManPage(app_, "kfs-mount").find("timeo=N"), std::string::npos);
  EXPECT_NE(ManPage(app_, "mount.kfs").find("mount \\-t kfs"), std::string::npos);
  EXPECT_EQ(ManPage(app_, "nonsense"), "");
  EXPECT_EQ(ManPage(app_, "kfs-df"), "") << "it is no group";
}

TEST_F(ManPageTest, EachGroupHasAPage) {
  for (const CLI::App* group : app_.get_subcommands([](const CLI::App*) { return true; })) {
    if (group->get_subcommands([](const CLI::App*) { return true; }).empty() || group->get_name() == "bench")
      continue;
    const std::string page = ManPage(app_, "kfs-" + group->get_name());
    for (const CLI::App* command : group->get_subcommands([](const CLI::App*) { return true; }))
      EXPECT_NE(page.find(".SS kfs " + group->get_name() + " " + command->get_name()), std::string::npos)
          << group->get_name() << " " << command->get_name();
    EXPECT_NE(page.find("metaserver"), std::string::npos) << "the options that every command takes";
  }
}

TEST(DaemonManPage, HasEveryOptionOfTheSample) {
  std::string page =
      DaemonManPage("kfs-metaserver",
                    "# Configuration of kfs-metaserver. Every option is listed with its default.\n"
                    "\n# Address. Allowed: any.\n#listen = \"127.0.0.1:7400\"\n"
                    "\n# .Seconds\\.\n#session-ttl = 30\n");
  EXPECT_NE(page.find(".B listen\nAddress. Allowed: any. Default: \"127.0.0.1:7400\"\n"), std::string::npos)
      << page;
  // No text begins a request of roff.
  EXPECT_NE(page.find(".B session\\-ttl\n\\&.Seconds\\e. Default: 30\n"), std::string::npos) << page;
}

}  // namespace
}  // namespace kfs::cli
