#include "cli/completion.h"

#include <gmock/gmock.h>

#include <cstdio>

#include "cli_fixture.h"

namespace kfs::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using Words = std::vector<std::string>;

class CompletionTest : public CliFixture {
 protected:
  void SetUp() override {
    CliFixture::SetUp();
    pb::ConfShowReply conf;
    for (const char* name : {"data", "dump", "home"}) conf.mutable_conf()->add_volume()->set_name(name);
    (*conf.mutable_conf()->mutable_volume(0)->mutable_option())["old"] = "1";
    conf.mutable_conf()->add_member()->set_address("m1:7400");
    conf.mutable_conf()->add_member()->set_address("m2:7400");
    conf.mutable_conf()->add_chunkserver()->set_id(17);
    conf.add_option()->set_name("atime");
    conf.add_option()->set_name("quorum");
    conf.mutable_option(1)->set_of_cluster(true);
    member_.Answer<rpc::ConfShow>(conf);
    pb::TransactionListReply list;
    list.add_transaction()->set_id("1f2e3d");
    member_.Answer<rpc::TransactionList>(list);
  }
  Words After(const std::string& line) {
    GlobalOptions global;
    CLI::App app;
    BuildApp(app, global);
    return Complete(app, global, line);
  }
  // With the test's cluster named on the line.
  Words AfterKfs(const std::string& rest) {
    return After("kfs --metaserver " + member_.address() + " --secret-file=" + dir_ + "/secret " + rest);
  }
};

TEST_F(CompletionTest, CommandsComeFromTheTree) {
  EXPECT_THAT(After("kfs "), testing::IsSupersetOf({"mount", "status", "df", "volume", "peer", "chunkserver",
                                                    "cluster", "bench", "version"}));
  EXPECT_THAT(After("kfs vol"), ElementsAre("volume"));
  EXPECT_THAT(After("kfs volume st"), ElementsAre("start", "status", "stop"));
  EXPECT_THAT(After("kfs --json cluster trans"), ElementsAre("transactions", "transitions"));
  EXPECT_THAT(After("kfs nonsense "), IsEmpty());
  EXPECT_THAT(After("kfs"), IsEmpty());
}

TEST_F(CompletionTest, OptionsAreTheCommandsOwnAndEverybodys) {
  EXPECT_THAT(After("kfs volume create --"), testing::IsSupersetOf({"--owner", "--label", "--chunk-size",
                                                                    "--dry-run", "--json", "--metaserver"}));
  EXPECT_THAT(After("kfs volume create --"), Not(Contains("--lost")));
  EXPECT_THAT(After("kfs chunkserver remove --lo"), ElementsAre("--lost"));
}

TEST_F(CompletionTest, NamesAreAskedOfTheCluster) {
  EXPECT_THAT(AfterKfs("volume stop d"), ElementsAre("data", "dump"));
  EXPECT_THAT(AfterKfs("volume move data "), ElementsAre("m1:7400", "m2:7400"));
  EXPECT_THAT(AfterKfs("volume set data "), ElementsAre("atime", "old"));
  EXPECT_THAT(AfterKfs("volume set home "), ElementsAre("atime"));
  EXPECT_THAT(AfterKfs("cluster set "), ElementsAre("quorum"));
  EXPECT_THAT(AfterKfs("chunkserver remove "), ElementsAre("17"));
  EXPECT_THAT(AfterKfs("cluster abort 1"), ElementsAre("1f2e3d"));
  EXPECT_THAT(AfterKfs("volume create new --owner m2"), ElementsAre("m2:7400"));
  EXPECT_THAT(AfterKfs("volume create new --owner=m2"), ElementsAre("--owner=m2:7400"));
  // A name that is new is nobody's to know, and an argument too many is none.
  EXPECT_THAT(AfterKfs("volume create d"), IsEmpty());
  EXPECT_THAT(AfterKfs("volume start data "), IsEmpty());
}

TEST_F(CompletionTest, WithoutAClusterThereAreNoNamesAndNoWords) {
  member_.Stop();
  EXPECT_THAT(AfterKfs("volume stop d"), IsEmpty());
  EXPECT_THAT(AfterKfs("volume sto"), ElementsAre("stop"));
}

TEST(SplitLine, IsAShells) {
  EXPECT_THAT(SplitLine("kfs  volume  "), ElementsAre("kfs", "volume", ""));
  EXPECT_THAT(SplitLine("a 'b c' \"d e\" f\\ g"), ElementsAre("a", "b c", "d e", "f g"));
  EXPECT_THAT(SplitLine(""), ElementsAre(""));
}

// The script with a program that answers as ours does.
std::string Bash(const std::string& line, const std::string& answers) {
  std::string command = "bash -c 'source " KFS_SOURCE_DIR
                        "/cli/completion/kfs.bash; kfs() { [ \"$1\" = --complete ] && printf -- \"" +
                        answers + "\"; }; COMP_WORDBREAKS=$\" \\t\\n=:\"; COMP_LINE=\"" + line +
                        "\"; COMP_POINT=${#COMP_LINE}; COMP_WORDS=(kfs); _kfs; echo \"${COMPREPLY[*]}\"'";
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) out += static_cast<char>(c);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return out;
}

TEST(CompletionScript, GivesBashWhatStandsBehindItsWordBreaks) {
  EXPECT_EQ(Bash("kfs volume d", "data\\ndump\\n"), "data dump\n");
  EXPECT_EQ(Bash("kfs volume move data m1:7", "m1:7400\\nm1:7401\\n"), "7400 7401\n");
  EXPECT_EQ(Bash("kfs volume create x --owner=m", "--owner=m1:7400\\n"), "m1:7400\n");
  EXPECT_EQ(Bash("kfs nothing ", ""), "\n");
}

}  // namespace
}  // namespace kfs::cli
