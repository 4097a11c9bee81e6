// A directory as a session's root, with a key that is bound to it and without.
#include <list>

#include "tests/unit/metaserver/rooted_session.h"

namespace kfs::meta {
namespace {

TEST_F(SessionRootTest, TheDirectoryIsInodeOne) {
  const SessionPtr s = Open("/in/");
  ASSERT_NE(s, nullptr) << last_.ToString();
  In(s, [&] {
    EXPECT_EQ(Stat(1).ino(), 1u);
    EXPECT_EQ(Names(1), (std::vector<std::string>{"deep", "g"}));
    EXPECT_EQ(Lookup(1, "g"), g_);
    EXPECT_EQ(Lookup(1, ".."), 1u);
    EXPECT_EQ(Lookup(deep_, ".."), 1u);
    const pb::ReaddirReply page = Readdir(1);
    for (const auto& e : page.entry()) {
      if (e.name() == "." || e.name() == "..") {
        EXPECT_EQ(e.ino(), 1u) << e.name();
      }
    }
    const uint64_t made = Mknod(1, "new");
    EXPECT_EQ(Rename(1, "new", deep_, "moved"), 0);
    EXPECT_EQ(Lookup(deep_, "moved"), made);
    EXPECT_EQ(Link(made, 1, "linked"), 0);
    Run<rpc::SetLock>(LockOf(1, 7, pb::LockRange::WRITE, false, true));
    EXPECT_EQ(err(), 0);
    return 0;
  });
  EXPECT_NE(Lookup(in_, "linked"), 0u);
  EXPECT_EQ(volume().locks.FlockHolders(Ino(in_)).size(), 1u);
  EXPECT_EQ(volume().locks.FlockHolders(Ino(1)).size(), 0u);
}

TEST_F(SessionRootTest, WhatCannotBeMountedIsSaid) {
  Symlink(1, "link", "in");
  const struct {
    const char* path;
    int err;
    Code code;
  } table[] = {{"nowhere", ENOENT, Code::kNoDirectory}, {"in/nowhere/x", ENOENT, Code::kNoDirectory},
               {"top", ENOTDIR, Code::kNone},           {"in/g/x", ENOTDIR, Code::kNone},
               {"link", ENOTDIR, Code::kNone},          {"in/../out", EINVAL, Code::kNone}};
  for (const auto& t : table) {
    EXPECT_EQ(Open(t.path), nullptr) << t.path;
    EXPECT_EQ(err(), t.err) << t.path;
    EXPECT_EQ(last_.code(), t.code) << t.path;
  }
  EXPECT_EQ(Open(std::string("in\0x", 4)), nullptr);
  EXPECT_EQ(Open(std::string(5000, 'x')), nullptr);
  EXPECT_EQ(Open("in/" + std::string(256, 'x')), nullptr);
  EXPECT_NE(Open("//in/.//deep/"), nullptr);
}

TEST_F(SessionRootTest, RenamedItStaysTheRootAndRemovedItIsGone) {
  const SessionPtr s = Open("in/deep");
  EXPECT_EQ(Rename(in_, "deep", out_, "elsewhere"), 0);
  EXPECT_EQ(In(s, [&] { return Lookup(1, "f"); }), f_);
  // So it does for the mount's next session, and after a restart.
  const SessionPtr next = Open("in/deep", {}, deep_);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(In(next, [&] { return Lookup(1, "f"); }), f_);
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  EXPECT_TRUE(ReclaimNothing(Attach(next)).ok());
  const SessionPtr again = Attach(s);
  EXPECT_TRUE(ReclaimNothing(again).ok());
  EXPECT_EQ(In(again, [&] { return Lookup(1, "f"); }), f_);
  EXPECT_EQ(Unlink(deep_, "f"), 0);
  EXPECT_EQ(Rmdir(out_, "elsewhere"), 0);
  Settle();
  EXPECT_EQ(StatIn(again, 1), ESTALE);
  EXPECT_EQ(In(again, [&] { return Mknod(1, "x"), err(); }), ESTALE);
}

TEST_F(SessionRootTest, AKeyOpensItsDirectoryAndWhatIsBelow) {
  EXPECT_NE(Open("", Bound("in")), nullptr);
  EXPECT_NE(Open("in", Bound("in")), nullptr);
  EXPECT_NE(Open("in/deep", Bound("in")), nullptr);
  EXPECT_EQ(Open("in/none", Bound("in")), nullptr);
  EXPECT_EQ(err(), ENOENT);
  // Whether it is there or not.
  for (const char* path : {"out", "none", "top", "out/secret", "inn"}) {
    EXPECT_EQ(Open(path, Bound("in")), nullptr) << path;
    EXPECT_EQ(err(), EACCES) << path;
  }
  EXPECT_EQ(Open("", Bound("gone")), nullptr);
  EXPECT_EQ(err(), ENOENT);
  EXPECT_EQ(Open("", Bound("in"), out_), nullptr);
  EXPECT_NE(Open("", Bound("in"), deep_), nullptr);
  MountRights other = Bound("in");
  other.volume = 2;
  EXPECT_EQ(Open("", other), nullptr);
  EXPECT_EQ(err(), EACCES);
}

TEST_F(SessionRootTest, ASessionIsAttachedWithItsOwnKeyOnly) {
  const SessionPtr s = Open("", Bound("in"));
  MountRights other = Bound("in");
  other.key = "mount/other/2";
  EXPECT_EQ(AttachWith(s, other), nullptr);
  EXPECT_EQ(last_.code(), Code::kUnknownSession);
  EXPECT_EQ(AttachWith(s, {}), nullptr);
  EXPECT_EQ(AttachWith(s_, Bound("in")), nullptr);
  EXPECT_EQ(AttachWith(s, Bound("in")), s);
}

TEST_F(SessionRootTest, WhatIsBelowIsFoundByItsNumber) {
  SessionPtr s = Open("", Bound("in"));
  // As after a restart: handles and open files are older than the session's memory.
  for (uint64_t ino : {f_, g_, deep_}) EXPECT_EQ(StatIn(s, ino), 0) << ino;
  for (uint64_t ino : {secret_, out_, top_, in_ + 1000}) EXPECT_EQ(StatIn(s, ino), ESTALE) << ino;
  // Named to the session, then moved out: as an open file it can be used on.
  EXPECT_EQ(Rename(deep_, "f", out_, "f"), 0);
  EXPECT_EQ(StatIn(s, f_), 0);
  const SessionPtr other = Open("", Bound("in"));
  EXPECT_EQ(StatIn(other, f_), ESTALE);
  // One of several names lies within.
  EXPECT_EQ(Link(secret_, in_, "shared"), 0);
  EXPECT_EQ(StatIn(other, secret_), ESTALE);
  EXPECT_EQ(In(other, [&] { return Lookup(1, "shared"); }), secret_);
  EXPECT_EQ(StatIn(other, secret_), 0);
  // The one that is known goes.
  EXPECT_EQ(Link(g_, out_, "g"), 0);
  EXPECT_EQ(Unlink(in_, "g"), 0);
  EXPECT_EQ(StatIn(other, g_), ESTALE);
}

TEST_F(SessionRootTest, NoWayUpFromADirectoryThatWasMovedOut) {
  const SessionPtr s = Open("", Bound("in"));
  EXPECT_EQ(In(s, [&] { return Lookup(1, "deep"); }), deep_);
  EXPECT_EQ(Rename(in_, "deep", out_, "deep"), 0);
  In(s, [&] {
    Lookup(deep_, "..");
    EXPECT_EQ(err(), ENOENT);
    const pb::ReaddirReply page = Readdir(deep_);
    for (const auto& e : page.entry()) {
      if (e.name() == "..") {
        EXPECT_EQ(e.ino(), deep_);
      }
    }
    return 0;
  });
  // Nor without a key, to the volume's root: 1 is another's name there.
  const SessionPtr free = Open("in");
  EXPECT_EQ(In(free, [&] { return Lookup(out_, ".."), err(); }), ENOENT);
}

TEST_F(SessionRootTest, ReclaimingOpensNothingOutside) {
  SessionPtr s = Open("", Bound("in"));
  std::vector<pb::ReclaimRequest::Open> opens;
  for (uint64_t ino : {secret_, f_, g_}) {
    pb::ReclaimRequest::Open& open = opens.emplace_back();
    open.set_ino(ino);
    open.set_count(1);
    *open.mutable_proof() = Proof(s, ino);
  }
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  s = AttachWith(s, Bound("in"));
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->root, Ino(in_));
  pb::ReclaimRequest r;
  for (const auto& open : opens) *r.add_open() = open;
  for (uint64_t ino : {secret_, g_}) {
    auto* lock = r.add_lock();
    lock->set_ino(ino);
    lock->set_type(pb::LockRange::WRITE);
    lock->set_end(UINT64_MAX);
  }
  r.set_last(true);
  pb::ReclaimReply reply;
  EXPECT_TRUE(Reclaim(s, r, &reply).ok());
  EXPECT_EQ(std::vector<uint64_t>(reply.lost().begin(), reply.lost().end()),
            (std::vector<uint64_t>{secret_, secret_}));
  EXPECT_EQ(StatIn(s, secret_), ESTALE);
  EXPECT_TRUE(volume().open_files.IsOpen(Ino(f_)));
}

TEST_F(SessionRootTest, MemoryOfWhatWasNamedIsBounded) {
  Reach reach{Ino(in_), std::make_shared<size_t>(0)};
  EXPECT_EQ(Link(secret_, in_, "shared"), 0);
  reach.Named(Ino(secret_));
  EXPECT_TRUE(reach.Allows(volume().store, Ino(secret_)));
  for (uint64_t i = 0; i < Reach::kKept * 2; ++i) {
    reach.Named(Ino(1000000 + i));
    if (i % 1000 == 0) {
      EXPECT_TRUE(reach.Allows(volume().store, Ino(secret_)));  // in use: stays
    }
  }
  for (uint64_t i = 0; i < Reach::kKept * 2; ++i) reach.Named(Ino(5000000 + i));
  EXPECT_FALSE(reach.Allows(volume().store, Ino(secret_)));
  EXPECT_TRUE(reach.Allows(volume().store, Ino(f_)));
}

TEST_F(SessionRootTest, MemoryOfWhatWasNamedToAllSessionsIsBounded) {
  const auto all = std::make_shared<size_t>(0);
  {
    std::list<Reach> others;
    uint64_t ino = 1000000;
    for (size_t n = 0; n < Reach::kKeptOfAll / Reach::kKept + 10; ++n) {
      Reach& reach = others.emplace_back(Ino(in_), all);
      for (size_t i = 0; i < Reach::kKept; ++i) reach.Named(Ino(++ino));
    }
    EXPECT_LE(*all, Reach::kKeptOfAll + others.size() * Reach::kKeptAlways);
    // Those that go on give way, and know what they were told of last.
    Reach& first = others.front();
    const size_t before = *all;
    for (size_t i = 0; i < Reach::kKeptAlways; ++i) first.Named(Ino(++ino));
    EXPECT_LE(*all, before - Reach::kKept / 2 + Reach::kKeptAlways);
    EXPECT_TRUE(first.Allows(volume().store, Ino(ino)));
    EXPECT_TRUE(first.Allows(volume().store, Ino(ino - Reach::kKeptAlways / 4)));
  }
  EXPECT_EQ(*all, 0u);
}

}  // namespace
}  // namespace kfs::meta
