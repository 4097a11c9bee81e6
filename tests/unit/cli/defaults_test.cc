#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/command.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::cli {
namespace {

class ResolveDefaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("KFS_METASERVER");
    unsetenv("KFS_SECRET_FILE");
  }
  void TearDown() override {
    unsetenv("KFS_METASERVER");
    unsetenv("KFS_SECRET_FILE");
  }
  std::string File(const std::string& text) {
    std::ofstream(dir_ + "/client.toml") << text;
    return dir_ + "/client.toml";
  }
  const TempDir temp_;
  const std::string dir_ = temp_.path();
};

TEST_F(ResolveDefaultsTest, WithoutAnythingItIsThisMachine) {
  GlobalOptions options;
  ASSERT_TRUE(ResolveDefaults(&options, dir_ + "/none").ok());
  EXPECT_EQ(options.metaservers, std::vector<std::string>{"127.0.0.1:7400"});
  EXPECT_EQ(options.secret_file, "/etc/kfs/secret");
  EXPECT_EQ(options.timeout_s, kReadTimeoutS);
}

TEST_F(ResolveDefaultsTest, ATimeOutThatWasGivenStays) {
  GlobalOptions options;
  options.timeout_s = 0.5;
  ASSERT_TRUE(ResolveDefaults(&options, dir_ + "/none").ok());
  EXPECT_EQ(options.timeout_s, 0.5);
}

TEST_F(ResolveDefaultsTest, CommandLineGoesBeforeEnvironmentBeforeFile) {
  std::string file = File("metaservers = [\"file:1\", \"file:2\"]\nsecret-file = \"/file\"\n");
  GlobalOptions from_file;
  ASSERT_TRUE(ResolveDefaults(&from_file, file).ok());
  EXPECT_EQ(from_file.metaservers, (std::vector<std::string>{"file:1", "file:2"}));
  EXPECT_EQ(from_file.secret_file, "/file");

  setenv("KFS_METASERVER", "env:1,env:2", 1);
  GlobalOptions from_env;
  ASSERT_TRUE(ResolveDefaults(&from_env, file).ok());
  EXPECT_EQ(from_env.metaservers, (std::vector<std::string>{"env:1", "env:2"}));
  EXPECT_EQ(from_env.secret_file, "/file");

  GlobalOptions given;
  given.metaservers = {"given:1"};
  ASSERT_TRUE(ResolveDefaults(&given, file).ok());
  EXPECT_EQ(given.metaservers, std::vector<std::string>{"given:1"});
}

TEST_F(ResolveDefaultsTest, AFileThatCannotBeUnderstoodIsTold) {
  GlobalOptions options;
  Status s = ResolveDefaults(&options, File("metaserver = \"x\"\n"));
  ASSERT_FALSE(s.ok());
  EXPECT_NE(s.message().find("did you mean metaservers"), std::string::npos) << s.message();
}

}  // namespace
}  // namespace kfs::cli
