#include "cli/key_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/common/temp_dir.h"

namespace kfs::cli {
namespace {

using testing::HasSubstr;

TEST(KeyArguments, WhoIsSquashed) {
  const struct {
    const char* text;
    pb::KeyConf::Squash who;
    uint32_t uid, gid;
  } table[] = {{"root", pb::KeyConf::ROOT, 65534, 65534},
               {"all", pb::KeyConf::ALL, 65534, 65534},
               {"root=1:2", pb::KeyConf::ROOT, 1, 2},
               {"all=1000:4294967294", pb::KeyConf::ALL, 1000, 4294967294u}};
  for (const auto& t : table) {
    pb::KeyConf key;
    EXPECT_TRUE(ParseSquash(t.text, &key).ok()) << t.text;
    EXPECT_EQ(key.squash(), t.who);
    EXPECT_EQ(key.squash_uid(), t.uid);
    EXPECT_EQ(key.squash_gid(), t.gid);
  }
  for (const char* bad :
       {"", "none", "root=", "root=1", "root=1:", "all=:1", "all=1:2:3", "root=-1:0", "root=1:4294967296"}) {
    pb::KeyConf key;
    EXPECT_THAT(ParseSquash(bad, &key).message(), HasSubstr("root=UID:GID")) << bad;
  }
}

TEST(KeyArguments, WhenItExpires) {
  constexpr TimeNs kNow = 1800000000ll * 1000000000;  // 2027-01-15T08:00:00Z
  const std::pair<const char*, int64_t> table[] = {{"90s", 1800000090},
                                                   {"45m", 1800002700},
                                                   {"12h", 1800043200},
                                                   {"30d", 1802592000},
                                                   {"2w", 1801209600},
                                                   {"2027-01-31", 1801440000},
                                                   {"2027-01-31T12:00:00Z", 1801396800},
                                                   {"2027-01-31T12:00Z", 1801396800}};
  for (const auto& [text, seconds] : table) {
    auto r = ParseExpiry(text, kNow);
    ASSERT_TRUE(r.ok()) << text << ": " << r.status().ToString();
    EXPECT_EQ(*r / 1000000000, seconds) << text;
  }
  for (const char* bad : {"", "d", "0d", "-1d", "1", "1y", "2027-02-31", "2026-01-01", "2027-01-31T12:00:00",
                          "soon", "99999999999d", "9223372036854775807w"})
    EXPECT_FALSE(ParseExpiry(bad, kNow).ok()) << bad;
}

TEST(KeyArguments, ThePathOfADirectory) {
  EXPECT_EQ(*ParseKeyPath("/projects//apollo/./x/"), "projects/apollo/x");
  EXPECT_EQ(*ParseKeyPath("/"), "");
  EXPECT_EQ(*ParseKeyPath("a b"), "a b");
  EXPECT_FALSE(ParseKeyPath("/a/../b").ok());
}

TEST(KeyArguments, TheFileIsNewAndOnlyItsOwners) {
  const TempDir dir;
  const std::string path = dir.path() + "/key";
  umask(0);
  {
    auto file = KeyFile::Make(path);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    struct stat st;
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
  }
  EXPECT_FALSE(std::filesystem::exists(path)) << "nothing was written, and yet it stays";
  {
    auto file = KeyFile::Make(path);
    ASSERT_TRUE(file.ok());
    KeyFile moved(std::move(*file));
    EXPECT_TRUE(moved.Write("kfs-key 1\n").ok());
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "kfs-key 1\n");
  EXPECT_EQ(KeyFile::Make(path).status().err(), EEXIST);
  std::filesystem::create_symlink("/nowhere/else", dir.path() + "/link");
  EXPECT_FALSE(KeyFile::Make(dir.path() + "/link").ok());
  EXPECT_EQ(KeyFile::Make(dir.path() + "/none/key").status().err(), ENOENT);
}

}  // namespace
}  // namespace kfs::cli
