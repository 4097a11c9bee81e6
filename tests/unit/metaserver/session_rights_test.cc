// What a key allows beyond its directory: reading only, squashed callers, for some time.
#include "tests/unit/metaserver/rooted_session.h"

namespace kfs::meta {
namespace {

TEST_F(SessionRootTest, AKeyForReadingChangesNothing) {
  MountRights rights;
  rights.key = "mount/readers/1";
  rights.read_only = true;
  const SessionPtr s = Open("", rights);
  As(0, 0);
  const pb::Attr before = Stat(f_);
  In(s, [&] {
    EXPECT_EQ((Mkdir(1, "x"), err()), EROFS);
    EXPECT_EQ((Mknod(1, "x"), err()), EROFS);
    EXPECT_EQ((Create(1, "x"), err()), EROFS);
    EXPECT_EQ((Tmpfile(), err()), EROFS);
    EXPECT_EQ(Symlink(1, "x", "y"), EROFS);
    EXPECT_EQ(Link(f_, 1, "x"), EROFS);
    EXPECT_EQ(Unlink(1, "top"), EROFS);
    EXPECT_EQ(Rename(1, "top", 1, "x"), EROFS);
    EXPECT_EQ(Chmod(f_, 0600), EROFS);
    EXPECT_EQ(Truncate(f_, 5), EROFS);
    EXPECT_EQ(Setxattr(f_, "user.a", "b"), EROFS);
    EXPECT_EQ(MetaTest::Open(f_, O_RDWR), EROFS);
    EXPECT_EQ(MetaTest::Open(f_, O_RDONLY), 0);
    Run<rpc::PrepareWrite>(PrepareOf(f_, 0, 10));
    EXPECT_EQ(err(), EROFS);
    pb::FallocateRequest allocate;
    allocate.set_ino(f_);
    allocate.set_length(10);
    Run<rpc::Fallocate>(allocate);
    EXPECT_EQ(err(), EROFS);
    pb::AccessRequest access;
    access.set_ino(f_);
    access.set_mask(2);
    Run<rpc::Access>(access);
    EXPECT_EQ(err(), EROFS);
    Layout(f_);
    EXPECT_EQ(err(), 0);
    return 0;
  });
  EXPECT_EQ(Stat(f_).SerializeAsString(), before.SerializeAsString());
}

TEST_F(SessionRootTest, SquashedRootIsNobodyWhateverTheMountBelieves) {
  MountRights rights;
  rights.key = "mount/guests/1";
  rights.squash = pb::KeyConf::ROOT;
  rights.squash_uid = 65534;
  rights.squash_gid = 65533;
  const SessionPtr s = Open("", rights);
  As(0, 0);
  Chmod(1, 0777);
  Chmod(secret_, 0600);
  In(s, [&] {
    EXPECT_EQ(MetaTest::Open(secret_), EACCES);
    EXPECT_EQ(Chmod(secret_, 0777), EPERM);
    EXPECT_EQ(Chown(secret_, 0, 0), EPERM);
    EXPECT_EQ((Mknod(1, "dev", S_IFBLK | 0600), err()), EPERM);
    const uint64_t mine = Mknod(1, "mine");
    EXPECT_EQ(Stat(mine).uid(), 65534u);
    EXPECT_EQ(Stat(mine).gid(), 65533u);
    // A request that names no caller is root's no more than another.
    fixed_caller_ = true;
    pb::OpenRequest open;
    open.set_ino(secret_);
    Run<rpc::Open>(open);
    EXPECT_EQ(err(), EACCES);
    fixed_caller_ = false;
    // Others are who they are, but in no group of root's.
    As(1000, 0);
    groups_ = {0, 5};
    const uint64_t theirs = Mknod(1, "theirs");
    EXPECT_EQ(Stat(theirs).uid(), 1000u);
    EXPECT_EQ(Stat(theirs).gid(), 65533u);
    return 0;
  });
  As(0, 0);
  groups_ = {};
  Chmod(secret_, 0640);
  As(1000, 1000);
  groups_ = {0};
  EXPECT_EQ(MetaTest::Open(secret_), 0);
  EXPECT_EQ(In(s, [&] { return MetaTest::Open(secret_); }), EACCES);
}

TEST_F(SessionRootTest, SquashedAllAreOne) {
  MountRights rights;
  rights.key = "mount/guests/1";
  rights.squash = pb::KeyConf::ALL;
  rights.squash_uid = 70;
  rights.squash_gid = 71;
  Chmod(1, 0777);
  const SessionPtr s = Open("", rights);
  As(1000, 1000);
  groups_ = {0, 27};
  In(s, [&] {
    const uint64_t mine = Mknod(1, "mine", S_IFREG | 0600);
    EXPECT_EQ(Stat(mine).uid(), 70u);
    EXPECT_EQ(Stat(mine).gid(), 71u);
    As(0, 0);
    EXPECT_EQ(MetaTest::Open(mine), 0);
    return 0;
  });
}

// What a session says that it has open, with all rights.
pb::ReclaimRequest Claim(uint64_t ino, bool last = true) {
  pb::ReclaimRequest r;
  r.add_open()->set_ino(ino);
  r.mutable_open(0)->set_count(1);
  r.mutable_open(0)->set_rights(kReadChunk | kWriteChunk);
  r.set_last(last);
  return r;
}

TEST_F(SessionRootTest, WhatIsSaidToBeOpenIsNotTakenFromWhoHasReclaimed) {
  Chmod(secret_, 0600);
  const SessionPtr s = Open("");
  pb::ReclaimReply reply;
  for (bool last : {true, false}) {
    EXPECT_TRUE(Reclaim(s, Claim(secret_, last), &reply).ok());
    EXPECT_EQ(reply.lost_size(), 1);
    EXPECT_FALSE(s->opens.contains(Ino(secret_)));
    EXPECT_FALSE(volume().in_grace());  // nobody's locks wait for it again
  }
  // Whoever has lost the answer is told the same again.
  As(0, 0);
  EXPECT_EQ(In(s, [&] { return MetaTest::Open(secret_, O_RDONLY); }), 0);
  reply.Clear();
  EXPECT_TRUE(Reclaim(s, Claim(secret_), &reply).ok());
  EXPECT_EQ(reply.lost_size(), 0);
  EXPECT_EQ(s->opens.at(Ino(secret_)).rights, uint32_t{kReadChunk});
}

TEST_F(SessionRootTest, AfterARestartASessionHasOpenWhatWasProvenToIt) {
  MountRights reads, all, root, in = Bound("in");
  reads.key = "mount/readers/1";
  reads.read_only = true;
  all.key = "mount/guests/2";
  all.squash = pb::KeyConf::ALL;
  root.key = "mount/guests/3";
  root.squash = pb::KeyConf::ROOT;
  for (MountRights* r : {&all, &root}) r->squash_uid = r->squash_gid = 65534;
  As(0, 0);
  Chmod(secret_, 0600);
  Chmod(f_, 0644);
  struct One {
    SessionPtr session;
    MountRights rights;
    pb::OpenProof proof;
  };
  std::vector<One> all_of_them;
  for (const MountRights& r : {reads, all, root, in}) {
    One one{Open("", r), r, {}};
    one.proof = Proof(one.session, f_);
    EXPECT_EQ(err(), 0);
    EXPECT_EQ(one.proof.rights(), uint32_t{kReadChunk}) << r.key;
    all_of_them.push_back(one);
  }
  // Its last name below what one of them may see is another than that it came by.
  EXPECT_EQ(Link(f_, in_, "second"), 0);
  EXPECT_EQ(Unlink(deep_, "f"), 0);
  Restart();
  for (size_t i = 0; i < all_of_them.size(); ++i) {
    One& one = all_of_them[i];
    one.session = AttachWith(one.session, one.rights);
    ASSERT_NE(one.session, nullptr);
    const auto claimed = [&](uint64_t ino, const pb::OpenProof& proof) {
      pb::ReclaimRequest r = Claim(ino, false);
      *r.mutable_open(0)->mutable_proof() = proof;
      pb::ReclaimReply reply;
      EXPECT_TRUE(Reclaim(one.session, r, &reply).ok());
      return reply.lost_size() == 0;
    };
    EXPECT_FALSE(claimed(f_, {})) << one.rights.key;
    EXPECT_FALSE(claimed(secret_, one.proof)) << one.rights.key;
    EXPECT_FALSE(claimed(f_, all_of_them[(i + 1) % all_of_them.size()].proof)) << one.rights.key;
    pb::OpenProof more = one.proof;
    more.set_rights(kReadChunk | kWriteChunk);
    EXPECT_FALSE(claimed(f_, more)) << one.rights.key;
    EXPECT_TRUE(claimed(f_, one.proof)) << one.rights.key;
    EXPECT_EQ(one.session->opens.at(Ino(f_)).rights, uint32_t{kReadChunk}) << one.rights.key;
    EXPECT_TRUE(ReclaimNothing(one.session).ok());
  }
}

TEST_F(SessionRootTest, OneKeysSessionsDoNotPushOutOthers) {
  const SessionPtr others = Open("");
  ASSERT_NE(others, nullptr);
  volume().Expire(others);
  MountRights rights;
  rights.key = "mount/loop/1";
  SessionPtr first, last;
  for (int i = 0; i < 8192; ++i) {
    last = Open("", rights);
    ASSERT_NE(last, nullptr) << i;
    if (i == 0) first = last;
  }
  EXPECT_EQ(Open("", rights), nullptr);
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  // One of its own that has expired makes room.
  volume().Expire(first);
  EXPECT_NE(Open("", rights), nullptr);
  EXPECT_EQ(AttachWith(first, rights), nullptr);
  EXPECT_EQ(Open("", rights), nullptr);
  rights.key = "mount/other/1";
  EXPECT_NE(Open("", rights), nullptr);
  EXPECT_NE(AttachWith(others, {}), nullptr);
}

// Who asks for room again and again would have all sessions looked through each time, outside of any turn.
TEST_F(SessionRootTest, WhichSessionHasExpiredTheLongestAgoIsKnownWithoutALookAtAll) {
  MountRights rights;
  std::vector<SessionPtr> of_a, of_b;
  for (int i = 0; i < 3; ++i) {
    rights.key = "mount/a/1";
    of_a.push_back(Open("", rights));
    rights.key = "mount/b/1";
    of_b.push_back(Open("", rights));
  }
  const std::string a = "mount/a/1", b = "mount/b/1", c = "root/2";
  const auto oldest = [&](const std::string* key) { return volume().OldestExpired(key); };
  EXPECT_EQ(oldest(nullptr), nullptr);
  const auto expire = [&](const SessionPtr& s) {
    clock_.Advance(std::chrono::milliseconds(1));
    volume().Expire(s);
  };
  for (const SessionPtr& s : {of_a[1], of_b[0], of_a[0], of_b[2]}) expire(s);
  EXPECT_EQ(oldest(nullptr), of_a[1]);
  EXPECT_EQ(oldest(&a), of_a[1]);
  EXPECT_EQ(oldest(&b), of_b[0]);
  EXPECT_EQ(oldest(&c), nullptr);
  volume().Revive(*of_a[1]);
  EXPECT_EQ(oldest(&a), of_a[0]);
  EXPECT_EQ(oldest(nullptr), of_b[0]);
  volume().ChangeKey(*of_b[0], c);
  EXPECT_EQ(oldest(&c), of_b[0]);
  EXPECT_EQ(oldest(&b), of_b[2]);
  volume().EndSession(of_b[0], "test");
  EXPECT_EQ(oldest(&c), nullptr);
  EXPECT_EQ(oldest(nullptr), of_a[0]);
  const SessionId first = of_a[0]->id;
  Restart();
  ASSERT_NE(volume().OldestExpired(&a), nullptr);
  EXPECT_EQ(volume().OldestExpired(&a)->id, first);
  EXPECT_EQ(volume().OldestExpired(nullptr)->id, first);
}

TEST_F(SessionRootTest, ASessionThatGoesOverToANewRootSecretIsCountedThere) {
  MountRights rights;
  rights.key = "root/1";
  SessionPtr s = Open("", rights);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(volume().SessionsOf("root/1"), 1u);
  rights.key = "root/2";
  s = AttachWith(s, rights);
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(volume().SessionsOf("root/1"), 0u);
  EXPECT_EQ(volume().SessionsOf("root/2"), 1u);
  volume().EndSession(s, "test");
  EXPECT_EQ(volume().SessionsOf("root/2"), 0u);
}

TEST_F(SessionRootTest, SquashedCallersNeitherTruncateNorLockWhatTheyCannotOpen) {
  MountRights rights;
  rights.key = "mount/guests/1";
  rights.squash = pb::KeyConf::ALL;
  rights.squash_uid = rights.squash_gid = 65534;
  As(0, 0);
  Chmod(secret_, 0600);
  Chmod(f_, 0644);
  const SessionPtr s = Open("", rights);
  In(s, [&] {
    pb::SetattrRequest cut;
    cut.set_ino(secret_);
    cut.set_valid(pb::SetattrRequest::SIZE | pb::SetattrRequest::OPEN_FILE);
    Run<rpc::Setattr>(cut);
    EXPECT_EQ(err(), EACCES);
    pb::SetLockRequest lock;
    for (const auto& [ino, wanted] : {std::pair(secret_, EACCES), std::pair(f_, 0)}) {
      lock.mutable_lock()->set_ino(ino);
      lock.mutable_lock()->set_type(pb::LockRange::WRITE);
      lock.mutable_lock()->set_end(UINT64_MAX);
      lock.mutable_ctx()->set_op_id(0);
      Run<rpc::SetLock>(lock);
      EXPECT_EQ(err(), wanted) << ino;
    }
    return 0;
  });
}

TEST_F(SessionRootTest, RightsLiveThroughARestart) {
  MountRights rights = Bound("in");
  rights.read_only = true;
  SessionPtr s = Open("", rights);
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  s = AttachWith(s, rights);
  ASSERT_NE(s, nullptr);
  EXPECT_TRUE(ReclaimNothing(s).ok());
  EXPECT_EQ(StatIn(s, secret_), ESTALE);
  EXPECT_EQ(In(s, [&] { return Mknod(1, "x"), err(); }), EROFS);
}

TEST_F(SessionRootTest, SessionsEndWithTheirKey) {
  MountRights soon = Bound("in");
  soon.expires = clock_.WallNow() + 5ll * 1000000000;
  const SessionPtr s = Open("", soon);
  MountRights other = Bound("in");
  other.key = "mount/other/2";
  const SessionPtr t = Open("", other);
  clock_.Advance(std::chrono::seconds(6));
  executor_->OnTimer();
  executor_->EndTick();
  EXPECT_EQ(s->volume, nullptr);
  EXPECT_NE(t->volume, nullptr);
  std::vector<std::string> asked;
  executor_->EndSessionsOfKeys([&](const std::string& key) {
    asked.push_back(key);
    return false;
  });
  executor_->EndTick();
  EXPECT_EQ(asked, std::vector<std::string>{"mount/other/2"});
  EXPECT_EQ(t->volume, nullptr);
  EXPECT_NE(s_->volume, nullptr);
  Restart();
  EXPECT_EQ(AttachWith(t, other), nullptr);
}

}  // namespace
}  // namespace kfs::meta
