// The path-level calls.
#include <sys/stat.h>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {
namespace {

class Path : public ::testing::Test {
 protected:
  Path() : client(cluster.Client()) {}
  void Link(const std::string& name, const std::string& target) {
    ASSERT_TRUE(
        client->Wait<Entry>([&](auto done) { client->Symlink({}, kRootIno, name, target, done); }).ok());
  }
  FakeCluster cluster;
  std::unique_ptr<KfsClient> client;
};

TEST_F(Path, WriteReadRenameListRemove) {
  ASSERT_TRUE(client->Mkdir({}, "/a", 0755).ok());
  ASSERT_TRUE(client->Mkdir({}, "/a/b/", 0755).ok());
  const std::string big(200'000, 'x');
  ASSERT_TRUE(client->WriteFile({}, "/a/b/f", big, 0644).ok());
  EXPECT_EQ(*client->ReadFile({}, "/a//b/f"), big);
  ASSERT_TRUE(client->WriteFile({}, "/a/b/f", "short", 0644).ok());
  EXPECT_EQ(*client->ReadFile({}, "/a/b/f"), "short");
  ASSERT_TRUE(client->Rename({}, "/a/b/f", "/a/g").ok());
  EXPECT_EQ(client->Stat({}, "/a/b/f").status().err(), ENOENT);
  EXPECT_EQ(client->Stat({}, "/a/g")->size, 5u);
  EXPECT_EQ(client->List({}, "/a")->size(), 2u);
  EXPECT_TRUE(client->Remove({}, "/a/g").ok());
  EXPECT_TRUE(client->Remove({}, "/a/b").ok());
  EXPECT_TRUE(client->List({}, "/a")->empty());
  cluster.On([&] { EXPECT_EQ(cluster.released.size(), 4u); });
}

TEST_F(Path, ListsInPages) {
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(client->Mkdir({}, "/d" + std::to_string(i), 0755).ok());
  auto all = client->List({}, "/");
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 7u);
  cluster.On([&] { EXPECT_EQ(cluster.Seen(Op::kReaddir), 4u); });
}

TEST_F(Path, SymlinksAreFollowed) {
  ASSERT_TRUE(client->Mkdir({}, "/real", 0755).ok());
  Link("relative", "real");
  Link("absolute", "/relative");
  ASSERT_TRUE(client->WriteFile({}, "/absolute/f", "data", 0644).ok());
  EXPECT_EQ(*client->ReadFile({}, "/real/f"), "data");
  EXPECT_TRUE(S_ISDIR(client->Stat({}, "/absolute")->mode));
  EXPECT_EQ(client->Stat({}, "/real/../relative/f")->size, 4u);
  Link("dangling", "target");
  ASSERT_TRUE(client->WriteFile({}, "/dangling", "x", 0644).ok());  // makes the target
  EXPECT_EQ(*client->ReadFile({}, "/target"), "x");
  EXPECT_TRUE(client->Remove({}, "/dangling").ok());  // the link itself
  EXPECT_TRUE(client->Stat({}, "/target").ok());
}

TEST_F(Path, SymlinkLoopsEndWithEloop) {
  Link("a", "b");
  Link("b", "a");
  EXPECT_EQ(client->Stat({}, "/a").status().err(), ELOOP);
  EXPECT_EQ(client->Stat({}, "/a/x").status().err(), ELOOP);
}

TEST_F(Path, ErrorsNameThePath) {
  ASSERT_TRUE(client->WriteFile({}, "/f", "x", 0644).ok());
  auto status = client->Stat({}, "/f/x").status();
  EXPECT_EQ(status.err(), ENOTDIR);
  EXPECT_NE(status.message().find("/f/x"), std::string::npos);
  EXPECT_EQ(client->Stat({}, "/no/where").status().err(), ENOENT);
  EXPECT_EQ(client->Mkdir({}, "/", 0755).status().err(), EEXIST);
  EXPECT_EQ(client->Remove({}, "/").err(), EBUSY);
}

}  // namespace
}  // namespace kfs::test
