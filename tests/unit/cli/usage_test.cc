// What is said when a command line is not understood, or an answer takes its time.
#include <nlohmann/json.hpp>

#include "cli/help.h"
#include "cli_fixture.h"

namespace kfs::cli {
namespace {

class UsageTest : public CliFixture {};

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(UsageTest, SaysWhatWasProbablyMeant) {
  const std::pair<std::vector<std::string>, std::string> kCases[] = {
      {{"stauts"}, "did you mean 'kfs status'?"},
      {{"volume", "lst"}, "did you mean 'kfs volume list'?"},
      {{"volum", "list"}, "did you mean 'kfs volume'?"},
      {{"probe", "m2"}, "did you mean 'kfs peer probe'?"},
      {{"unmount", "/mnt"}, "did you mean 'kfs umount'?"},
      {{"volume", "rm", "data"}, "did you mean 'kfs volume delete'?"},
      {{"volume", "create", "data", "--ownr", "m1"}, "did you mean '--owner'?"},
      {{"status", "--jsno"}, "did you mean '--json'?"},
  };
  for (const auto& [args, meant] : kCases) {
    EXPECT_EQ(Run(args), kUsage) << args[0];
    EXPECT_TRUE(Has(err_, meant)) << args[0] << ": " << err_;
  }
  EXPECT_EQ(Run({"xyzzy"}), kUsage);
  EXPECT_FALSE(Has(err_, "did you mean")) << err_;
  EXPECT_TRUE(Has(err_, "'xyzzy' is no command of kfs")) << err_;
}

TEST_F(UsageTest, ArgumentsAreNamedInTheirOrder) {
  EXPECT_EQ(Run({"volume", "info", "a", "b", "c", "d"}), kUsage);
  EXPECT_TRUE(Has(err_, "'b' 'c' 'd'")) << err_;
  EXPECT_EQ(Run({"volume", "move"}), kUsage);
  EXPECT_TRUE(Has(err_, "NAME is required. Usage: kfs volume move NAME PEER")) << err_;
  EXPECT_EQ(Run({"volume", "move", "data"}), kUsage);
  EXPECT_TRUE(Has(err_, "PEER is required")) << err_;
}

TEST_F(UsageTest, HelpOfACommandHasTheOptionsOfAll) {
  EXPECT_EQ(Run({"volume", "info", "--help"}), kOk);
  EXPECT_TRUE(Has(out_, "Options of every command")) << out_;
  EXPECT_TRUE(Has(out_, "--secret-file")) << out_;
  EXPECT_EQ(Run({"help", "volume", "info"}), kOk) << err_;
  EXPECT_TRUE(Has(out_, "kfs volume info")) << out_;
  EXPECT_TRUE(Has(out_, "--secret-file")) << out_;
  EXPECT_EQ(Run({"help"}), kOk);
  EXPECT_TRUE(Has(out_, "chunkserver")) << out_;
  EXPECT_EQ(Run({"help", "volume", "inof"}), kUsage);
  EXPECT_TRUE(Has(err_, "did you mean 'kfs volume info'?")) << err_;
}

TEST_F(UsageTest, ErrorsAreJsonWhereJsonIsAskedFor) {
  member_.Answer<rpc::VolumeInfo>({}, Status(ENOENT, "there is no volume \"x\""));
  EXPECT_EQ(Run({"volume", "info", "x", "--json"}), kNotFound);
  const auto refused = nlohmann::json::parse(err_);
  EXPECT_EQ(refused["error"]["exit_code"], 4);
  EXPECT_EQ(refused["error"]["errno"], "ENOENT");
  EXPECT_EQ(refused["error"]["message"], "there is no volume \"x\"");
  EXPECT_EQ(Run({"volume", "inof", "x", "--json"}), kUsage);
  EXPECT_EQ(nlohmann::json::parse(err_)["error"]["exit_code"], 2);
  EXPECT_EQ(Run({"volume", "info", "x"}), kNotFound);
  EXPECT_TRUE(err_.starts_with("kfs: there is no volume")) << err_;
}

TEST_F(UsageTest, SaysWhomItWaitsForAfterASecond) {
  member_.NeverAnswer<rpc::VolumeList>();
  EXPECT_EQ(Run({"volume", "list", "--timeout", "1.5"}), kFailed);
  EXPECT_TRUE(err_.starts_with("kfs: waiting for " + member_.address() + " to answer")) << err_;
  EXPECT_EQ(Run({"volume", "list", "--timeout", "0.3"}), kFailed);
  EXPECT_FALSE(Has(err_, "waiting for")) << err_;
}

TEST_F(UsageTest, AChunkserversPortIsSaidToBeOne) {
  FakeMember chunkserver("c0ffee");
  GlobalOptions global;
  CLI::App app;
  BuildApp(app, global);
  testing::internal::CaptureStderr();
  const int code = RunCommandLine(
      app, global, {"status", "--metaserver", chunkserver.address(), "--secret-file", dir_ + "/secret"});
  err_ = testing::internal::GetCapturedStderr();
  EXPECT_EQ(code, kUnreachable);
  EXPECT_TRUE(Has(err_, "is a chunkserver")) << err_;
}

TEST_F(UsageTest, PeerWhyFailsWhenSomethingIsWrong) {
  pb::PeerWhyReply why;
  why.add_finding()->set_good(true);
  member_.Answer<rpc::PeerWhy>(why);
  EXPECT_EQ(Run({"peer", "why", "m2"}), kOk) << err_;
  why.add_finding()->set_words("no answer");
  member_.Answer<rpc::PeerWhy>(why);
  EXPECT_EQ(Run({"peer", "why", "m2"}), kFailed);
}

TEST_F(UsageTest, UmountOfWhatIsNotMounted) {
  EXPECT_EQ(Run({"umount", dir_}), kNotFound);
  EXPECT_TRUE(Has(err_, "no KFS volume is mounted on")) << err_;
}

}  // namespace
}  // namespace kfs::cli
