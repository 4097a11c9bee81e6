#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using NamesTest = MetaTest;
using RenameTest = MetaTest;
using ReaddirTest = MetaTest;

TEST_F(NamesTest, LookupFindsWhatWasMade) {
  uint64_t dir = Mkdir(1, "d");
  ASSERT_EQ(err(), 0);
  uint64_t file = Mknod(dir, "f");
  EXPECT_EQ(Lookup(1, "d"), dir);
  EXPECT_EQ(Lookup(dir, "f"), file);
  EXPECT_EQ(Lookup(dir, "g"), 0u);
  EXPECT_EQ(err(), ENOENT);
}

TEST_F(NamesTest, DotAndDotDot) {
  uint64_t dir = Mkdir(1, "d");
  EXPECT_EQ(Lookup(dir, "."), dir);
  EXPECT_EQ(Lookup(dir, ".."), 1u);
  EXPECT_EQ(Lookup(1, ".."), 1u);
}

// File handles: by number alone, of every type.
TEST_F(NamesTest, DotFindsAnInodeThatIsNoDirectory) {
  const uint64_t file = Mknod(1, "f");
  As(1000, 1000);
  EXPECT_EQ(Lookup(file, "."), file);
  EXPECT_EQ(Lookup(file, ".."), 0u);
  EXPECT_EQ(err(), ENOTDIR);
  EXPECT_EQ(Lookup(file + 1000, "."), 0u);
  EXPECT_EQ(err(), ESTALE);
}

TEST_F(NamesTest, DotFindsNothingThatWasRemovedAndIsNotOpen) {
  const uint64_t gone = Mknod(1, "gone"), open = Mknod(1, "open");
  pb::OpenRequest request;
  request.set_ino(open);
  Run<rpc::Open>(request);
  EXPECT_EQ(Unlink(1, "gone"), 0);
  EXPECT_EQ(Unlink(1, "open"), 0);
  EXPECT_EQ(Lookup(gone, "."), 0u);
  EXPECT_EQ(err(), ESTALE) << "though it lingers";
  EXPECT_EQ(Lookup(open, "."), open);
}

TEST_F(NamesTest, BadNamesAreRefusedEverywhere) {
  for (std::string name : {std::string("a/b"), std::string("a\0b", 3)}) {
    Mkdir(1, name);
    EXPECT_EQ(err(), EINVAL);
    Lookup(1, name);
    EXPECT_EQ(err(), EINVAL);
    EXPECT_EQ(Unlink(1, name), EINVAL);
    EXPECT_EQ(Rename(1, name, 1, "x"), EINVAL);
  }
  Mkdir(1, std::string(256, 'x'));
  EXPECT_EQ(err(), ENAMETOOLONG);
  Mkdir(1, std::string(255, 'x'));
  EXPECT_EQ(err(), 0);
  Mkdir(1, "");
  EXPECT_EQ(err(), ENOENT);
  Mkdir(1, ".");
  EXPECT_EQ(err(), EEXIST);
}

TEST_F(NamesTest, AnyOtherByteIsAName) {
  for (std::string name : {" lead", "trail ", "new\nline", "\xff\xfe", "ü"}) {
    Mknod(1, name);
    EXPECT_EQ(err(), 0) << name;
    EXPECT_NE(Lookup(1, name), 0u);
  }
}

TEST_F(NamesTest, MakingTwiceIsEexist) {
  Mkdir(1, "d");
  Mkdir(1, "d");
  EXPECT_EQ(err(), EEXIST);
  Mknod(1, "d");
  EXPECT_EQ(err(), EEXIST);
}

TEST_F(NamesTest, ParentMustBeADirectory) {
  uint64_t file = Mknod(1, "f");
  Mkdir(file, "d");
  EXPECT_EQ(err(), ENOTDIR);
  Lookup(file, "x");
  EXPECT_EQ(err(), ENOTDIR);
  Lookup(12345, "x");
  EXPECT_EQ(err(), ESTALE);
}

TEST_F(NamesTest, DirectoryLinksAndTimes) {
  pb::Attr before = Stat(1);
  EXPECT_EQ(before.nlink(), 2u);
  clock_.Advance(std::chrono::seconds(5));
  uint64_t dir = Mkdir(1, "d");
  pb::Attr after = Stat(1);
  EXPECT_EQ(after.nlink(), 3u);
  EXPECT_EQ(after.mtime(), clock_.wall);
  EXPECT_EQ(after.ctime(), clock_.wall);
  EXPECT_GT(after.change(), before.change());
  EXPECT_EQ(Stat(dir).nlink(), 2u);
  EXPECT_EQ(Rmdir(1, "d"), 0);
  EXPECT_EQ(Stat(1).nlink(), 2u);
}

TEST_F(NamesTest, UnlinkAndRmdirErrors) {
  uint64_t dir = Mkdir(1, "d");
  Mknod(dir, "f");
  EXPECT_EQ(Unlink(1, "d"), EISDIR);
  EXPECT_EQ(Rmdir(1, "d"), ENOTEMPTY);
  EXPECT_EQ(Rmdir(dir, "f"), ENOTDIR);
  EXPECT_EQ(Rmdir(1, "none"), ENOENT);
  EXPECT_EQ(Unlink(1, "none"), ENOENT);
  EXPECT_EQ(Rmdir(dir, "."), EINVAL);
  EXPECT_EQ(Rmdir(dir, ".."), ENOTEMPTY);
  EXPECT_EQ(Unlink(dir, "f"), 0);
  EXPECT_EQ(Rmdir(1, "d"), 0);
  EXPECT_TRUE(Gone(dir));
}

TEST_F(NamesTest, HardLinks) {
  uint64_t file = Mknod(1, "a");
  EXPECT_EQ(Link(file, 1, "b"), 0);
  EXPECT_EQ(Stat(file).nlink(), 2u);
  EXPECT_EQ(Link(file, 1, "b"), EEXIST);
  EXPECT_EQ(Link(Mkdir(1, "d"), 1, "e"), EPERM);
  EXPECT_EQ(Unlink(1, "a"), 0);
  EXPECT_EQ(Stat(file).nlink(), 1u);
  EXPECT_EQ(Lookup(1, "b"), file);
  EXPECT_EQ(Unlink(1, "b"), 0);
  EXPECT_TRUE(Gone(file));
}

TEST_F(NamesTest, Symlinks) {
  EXPECT_EQ(Symlink(1, "l", "target/x"), 0);
  pb::ReadlinkRequest r;
  r.set_ino(Lookup(1, "l"));
  EXPECT_EQ(Run<rpc::Readlink>(r).target(), "target/x");
  EXPECT_EQ(Stat(r.ino()).size(), 8u);
  EXPECT_EQ(Stat(r.ino()).mode(), uint32_t{S_IFLNK} | 0777);
  EXPECT_EQ(Symlink(1, "m", ""), ENOENT);
  EXPECT_EQ(Symlink(1, "m", std::string(4096, 'x')), ENAMETOOLONG);
  EXPECT_EQ(Symlink(1, "m", std::string(4095, 'x')), 0);
  r.set_ino(1);
  Run<rpc::Readlink>(r);
  EXPECT_EQ(err(), EINVAL);
}

TEST_F(NamesTest, DevicesAreRoots) {
  As(1000, 1000);
  Chmod(1, 0777);
  As(0, 0);
  Chmod(1, 0777);
  As(1000, 1000);
  Mknod(1, "fifo", S_IFIFO | 0644);
  EXPECT_EQ(err(), 0);
  Mknod(1, "sock", S_IFSOCK | 0644);
  EXPECT_EQ(err(), 0);
  pb::MknodRequest r;
  r.set_parent(1);
  r.set_name("null");
  r.set_mode(S_IFCHR | 0666);
  r.set_rdev(0x103);
  Run<rpc::Mknod>(r);
  EXPECT_EQ(err(), EPERM);
  As(0, 0);
  EXPECT_EQ(Run<rpc::Mknod>(r).attr().rdev(), 0x103u);
}

TEST_F(RenameTest, PlainAndReplace) {
  uint64_t a = Mknod(1, "a"), b = Mknod(1, "b");
  EXPECT_EQ(Rename(1, "a", 1, "c"), 0);
  EXPECT_EQ(Lookup(1, "c"), a);
  EXPECT_EQ(Lookup(1, "a"), 0u);
  EXPECT_EQ(Rename(1, "c", 1, "b"), 0);
  EXPECT_EQ(Lookup(1, "b"), a);
  EXPECT_TRUE(Gone(b));
  EXPECT_EQ(Names(1), std::vector<std::string>{"b"});
}

TEST_F(RenameTest, Matrix) {
  uint64_t empty = Mkdir(1, "empty"), full = Mkdir(1, "full");
  Mknod(full, "x");
  Mknod(1, "file");
  EXPECT_EQ(Rename(1, "file", 1, "empty"), EISDIR);
  EXPECT_EQ(Rename(1, "empty", 1, "file"), ENOTDIR);
  EXPECT_EQ(Rename(1, "empty", 1, "full"), ENOTEMPTY);
  EXPECT_EQ(Rename(1, "none", 1, "x"), ENOENT);
  EXPECT_EQ(Rename(1, "file", 1, ".."), EBUSY);
  EXPECT_EQ(Rename(1, "file", 1, "full", 1), EEXIST);
  EXPECT_EQ(Rename(1, "file", 1, "new", 1), 0);
  EXPECT_EQ(Rename(1, "new", 1, "new"), 0);
  EXPECT_EQ(Rename(1, "full", 1, "empty"), 0);
  EXPECT_EQ(Lookup(1, "empty"), full);
  EXPECT_TRUE(Gone(empty));
  EXPECT_EQ(Rename(1, "new", 1, "x", 3), EINVAL);
  EXPECT_EQ(Rename(1, "new", 1, "x", 4), EINVAL);
  EXPECT_EQ(Stat(1).nlink(), 3u);
}

TEST_F(RenameTest, IntoItsOwnSubtree) {
  uint64_t a = Mkdir(1, "a"), b = Mkdir(a, "b"), c = Mkdir(b, "c");
  EXPECT_EQ(Rename(1, "a", c, "x"), EINVAL);
  EXPECT_EQ(Rename(1, "a", a, "x"), EINVAL);
  EXPECT_EQ(Rename(b, "c", 1, "a"), ENOTEMPTY);
  EXPECT_EQ(Rename(1, "a", b, "c", 2), EINVAL);
}

TEST_F(RenameTest, MovesOfDirectoriesKeepLinksAndParents) {
  uint64_t a = Mkdir(1, "a"), b = Mkdir(1, "b"), d = Mkdir(a, "d");
  EXPECT_EQ(Rename(a, "d", b, "d"), 0);
  EXPECT_EQ(Stat(a).nlink(), 2u);
  EXPECT_EQ(Stat(b).nlink(), 3u);
  EXPECT_EQ(Lookup(d, ".."), b);
  EXPECT_EQ(Rmdir(1, "a"), 0);
  // Replacing an empty directory in another one.
  uint64_t e = Mkdir(1, "e");
  EXPECT_EQ(Rename(1, "e", b, "d"), 0);
  EXPECT_EQ(Stat(b).nlink(), 3u);
  EXPECT_EQ(Stat(1).nlink(), 3u);
  EXPECT_EQ(Lookup(b, "d"), e);
}

TEST_F(RenameTest, TwoNamesOfOneFileStay) {
  uint64_t a = Mknod(1, "a");
  Link(a, 1, "b");
  EXPECT_EQ(Rename(1, "a", 1, "b"), 0);
  EXPECT_EQ(Lookup(1, "a"), a);
  EXPECT_EQ(Lookup(1, "b"), a);
  EXPECT_EQ(Stat(a).nlink(), 2u);
}

TEST_F(RenameTest, Exchange) {
  uint64_t a = Mkdir(1, "a"), d = Mkdir(a, "d"), f = Mknod(1, "f");
  EXPECT_EQ(Rename(a, "d", 1, "f", 2), 0);
  EXPECT_EQ(Lookup(a, "d"), f);
  EXPECT_EQ(Lookup(1, "f"), d);
  EXPECT_EQ(Lookup(d, ".."), 1u);
  EXPECT_EQ(Stat(a).nlink(), 2u);
  EXPECT_EQ(Stat(1).nlink(), 4u);
  EXPECT_EQ(Rename(a, "d", 1, "none", 2), ENOENT);
}

TEST_F(RenameTest, CookiesBelongToNames) {
  Mknod(1, "a");
  Mknod(1, "b");
  Mknod(1, "c");
  auto cookie = [&](const std::string& name) -> uint64_t {
    const pb::ReaddirReply page = Readdir(1);
    for (const auto& e : page.entry()) {
      if (e.name() == name) return e.cookie();
    }
    return 0;
  };
  uint64_t a = cookie("a"), b = cookie("b"), c = cookie("c");
  EXPECT_EQ(Rename(1, "c", 1, "a"), 0);
  EXPECT_EQ(cookie("a"), a);
  EXPECT_EQ(Rename(1, "a", 1, "b", 2), 0);
  EXPECT_EQ(cookie("a"), a);
  EXPECT_EQ(cookie("b"), b);
  EXPECT_EQ(Rename(1, "a", 1, "z"), 0);
  EXPECT_GT(cookie("z"), c);
}

TEST_F(RenameTest, StickyDirectories) {
  uint64_t dir = Mkdir(1, "tmp", 0777);
  Chmod(dir, 01777);
  As(1000, 1000);
  Mknod(dir, "mine");
  As(1001, 1001);
  Mknod(dir, "other");
  EXPECT_EQ(Rename(dir, "mine", dir, "x"), EPERM);
  EXPECT_EQ(Rename(dir, "other", dir, "mine"), EPERM);
  EXPECT_EQ(Unlink(dir, "mine"), EPERM);
  As(1000, 1000);
  EXPECT_EQ(Rename(dir, "mine", dir, "x"), 0);
}

TEST_F(ReaddirTest, DotsFirstThenCookiesRise) {
  for (int i = 0; i < 10; ++i) Mknod(1, "f" + std::to_string(i));
  pb::ReaddirReply page = Readdir(1);
  ASSERT_EQ(page.entry_size(), 12);
  EXPECT_TRUE(page.eof());
  EXPECT_EQ(page.entry(0).name(), ".");
  EXPECT_EQ(page.entry(0).cookie(), 1u);
  EXPECT_EQ(page.entry(1).name(), "..");
  for (int i = 1; i < page.entry_size(); ++i) EXPECT_GT(page.entry(i).cookie(), page.entry(i - 1).cookie());
  EXPECT_EQ(page.entry(2).type(), uint32_t{S_IFREG >> 12});
}

TEST_F(ReaddirTest, WhatStaysIsSeenExactlyOnceUnderChange) {
  uint64_t dir = Mkdir(1, "d");
  for (int i = 0; i < 200; ++i) Mknod(dir, "stay" + std::to_string(i));
  for (int i = 0; i < 200; ++i) Mknod(dir, "go" + std::to_string(i));
  std::map<std::string, int> seen;
  uint64_t cookie = 0;
  int round = 0;
  while (true) {
    pb::ReaddirReply page = Readdir(dir, cookie, 600);
    ASSERT_GT(page.entry_size(), 0);
    for (const auto& e : page.entry()) {
      ++seen[e.name()];
      cookie = e.cookie();
    }
    Unlink(dir, "go" + std::to_string(round));
    Rename(dir, "go" + std::to_string(199 - round), dir, "moved" + std::to_string(round));
    Mknod(dir, "new" + std::to_string(round++));
    if (page.eof() || round > 150) break;
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(seen["stay" + std::to_string(i)], 1) << i;
}

TEST_F(ReaddirTest, PlusHasAttributes) {
  uint64_t f = Mknod(1, "f");
  pb::ReaddirRequest r;
  r.set_ino(1);
  r.set_max_bytes(65536);
  r.set_plus(true);
  pb::ReaddirReply page = Run<rpc::Readdir>(r);
  ASSERT_EQ(page.entry_size(), 3);
  EXPECT_EQ(page.entry(2).attr().ino(), f);
}

TEST_F(ReaddirTest, RemovedButOpenDirectoryReadsAsEmpty) {
  uint64_t dir = Mkdir(1, "d");
  EXPECT_EQ(Open(dir, O_DIRECTORY), 0);
  EXPECT_EQ(Rmdir(1, "d"), 0);
  pb::ReaddirReply page = Readdir(dir);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(page.entry_size(), 0);
  EXPECT_EQ(Stat(dir).nlink(), 0u);
  Mknod(dir, "x");
  EXPECT_EQ(err(), ENOENT);
  EXPECT_EQ(Release(dir), 0);
  EXPECT_TRUE(Gone(dir));
}

TEST_F(NamesTest, EverythingSurvivesAReopenWithAnEmptyCache) {
  uint64_t d = Mkdir(1, "d");
  std::vector<uint64_t> inos;
  for (int i = 0; i < 100; ++i) inos.push_back(Mknod(d, "f" + std::to_string(i)));
  Rename(d, "f0", 1, "moved");
  SessionPtr old = s_;
  Restart();
  s_ = Attach(old);
  EXPECT_EQ(ReclaimNothing(s_).err(), 0);
  for (int i = 1; i < 100; ++i) EXPECT_EQ(Lookup(d, "f" + std::to_string(i)), inos[i]);
  EXPECT_EQ(Lookup(1, "moved"), inos[0]);
  EXPECT_EQ(Names(d).size(), 99u);
}

TEST_F(NamesTest, InodeNumbersAreNotUsedAgain) {
  uint64_t a = Mknod(1, "a");
  Unlink(1, "a");
  Restart();
  s_ = OpenSession();
  clock_.Advance(std::chrono::minutes(1));
  executor_->OnTimer();  // the old session ends
  s_ = OpenSession();
  EXPECT_GT(Mknod(1, "b"), a);
}

TEST_F(ReaddirTest, AListingEndsAtTheCookieThatItNames) {
  const uint64_t d = Mkdir(1, "d");
  for (int i = 0; i < 10; ++i) Mknod(d, std::to_string(i));
  const pb::ReaddirReply first = Readdir(d, 0, 200);
  ASSERT_FALSE(first.eof());
  for (int i = 0; i < 10; ++i) Rename(d, std::to_string(i), d, "new" + std::to_string(i));
  pb::ReaddirRequest rest;
  rest.set_ino(d);
  rest.set_max_bytes(1 << 16);
  rest.set_cookie(first.entry(first.entry_size() - 1).cookie());
  rest.set_last(first.last());
  const pb::ReaddirReply bounded = Run<rpc::Readdir>(rest);
  EXPECT_EQ(bounded.entry_size(), 0);
  EXPECT_TRUE(bounded.eof());
  rest.set_last(0);
  EXPECT_EQ(Run<rpc::Readdir>(rest).entry_size(), 10);
}

}  // namespace
}  // namespace kfs::meta
