// A directory as a session's root: with a key that is bound to it nothing else can be reached, by any op.
#include <google/protobuf/descriptor.h>

#include <random>
#include <set>

#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

MountRights Bound(const std::string& path) {
  MountRights rights;
  rights.key = "mount/laptops/1";
  rights.path = path;
  return rights;
}

class SessionRootTest : public MetaTest {
 protected:
  void SetUp() override {
    MetaTest::SetUp();
    // /in/deep/f, /in/g, /out/secret, /top
    in_ = Mkdir(1, "in");
    deep_ = Mkdir(in_, "deep");
    f_ = Mknod(deep_, "f");
    g_ = Mknod(in_, "g");
    out_ = Mkdir(1, "out");
    secret_ = Mknod(out_, "secret");
    top_ = Mknod(1, "top");
  }

  SessionPtr Open(const std::string& path, const MountRights& rights = {}, uint64_t root = 0) {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_volume("vol");
    request.set_path(path);
    request.set_root(root);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client", rights);
    executor_->EndTick();
    last_ = call->status;
    return s;
  }
  SessionPtr AttachWith(const SessionPtr& old, const MountRights& rights) {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_volume("vol");
    request.set_session(old->id.v);
    request.set_key(old->key);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client", rights);
    executor_->EndTick();
    last_ = call->status;
    return s;
  }
  // As another session for a while.
  template <typename Fn>
  auto In(const SessionPtr& s, Fn fn) {
    const SessionPtr mine = std::exchange(s_, s);
    auto result = fn();
    s_ = mine;
    return result;
  }
  int StatIn(const SessionPtr& s, uint64_t ino) {
    return In(s, [&] { return Stat(ino), err(); });
  }

  uint64_t in_ = 0, deep_ = 0, f_ = 0, g_ = 0, out_ = 0, secret_ = 0, top_ = 0;
};

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
  Restart();
  s_ = Attach(s_);
  EXPECT_TRUE(ReclaimNothing(s_).ok());
  s = AttachWith(s, Bound("in"));
  ASSERT_NE(s, nullptr);
  EXPECT_EQ(s->root, Ino(in_));
  pb::ReclaimRequest r;
  for (uint64_t ino : {secret_, f_}) {
    r.add_open()->set_ino(ino);
    r.mutable_open(r.open_size() - 1)->set_count(1);
  }
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
  EXPECT_TRUE(volume().IsOpen(Ino(f_)));
}

TEST_F(SessionRootTest, MemoryOfWhatWasNamedIsBounded) {
  Reach reach{Ino(in_)};
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

// ---- every op of the table

// The fields of a message that hold inode numbers, in it and in what it holds.
void InodeFields(const google::protobuf::Descriptor* d, std::set<std::string>* out) {
  for (int i = 0; i < d->field_count(); ++i) {
    const auto* f = d->field(i);
    if (f->message_type() != nullptr) {
      InodeFields(f->message_type(), out);
    } else if (f->name().find("ino") != std::string::npos || f->name().find("parent") != std::string::npos) {
      out->insert(f->name());
    }
  }
}

// A new op with inodes under another name has to be taught to MapInodes.
TEST(SessionView, KnowsEveryInodeOfEveryOp) {
  std::set<std::string> fields;
#define KFS_FIELDS(name)                                 \
  InodeFields(pb::name##Request::descriptor(), &fields); \
  InodeFields(rpc::name::Reply::descriptor(), &fields);
  KFS_META_OPS(KFS_FIELDS)
#undef KFS_FIELDS
  EXPECT_EQ(fields, (std::set<std::string>{"ino", "parent", "new_parent", "replaced_ino"}));
}

class ConfinedOpsTest : public SessionRootTest {
 protected:
  // Sets each inode field in turn to `bad`, the others to what is allowed: none of it may succeed, and
  // nothing may be told of the inode.
  template <typename Rpc>
  void TryAll(const SessionPtr& s, uint64_t bad) {
    typename Rpc::Request base;
    MapInodes(&base, [&](uint64_t) { return deep_; });
    Fill(&base);
    int fields = 0;
    CountFields(&base, &fields);
    for (int field = 0; field < fields; ++field) {
      typename Rpc::Request request = base;
      int at = 0;
      MapInodes(&request, [&](uint64_t ino) { return at++ == field ? bad : ino; });
      TestCallPtr call = Begin<Rpc>(request, s);
      ASSERT_TRUE(call->answered) << OpName(Rpc::kOp) << " waits";
      EXPECT_EQ(call->status.err(), ESTALE)
          << OpName(Rpc::kOp) << " field " << field << ": " << call->status.ToString();
      EXPECT_TRUE(call->reply.empty());
    }
  }
  template <typename Rpc>
  void Try(const SessionPtr& s, const std::function<uint64_t(uint64_t)>& pick,
           const std::function<std::string()>& name, const std::set<uint64_t>& hidden) {
    typename Rpc::Request r;
    Fill(&r);
    MapInodes(&r, pick);
    if constexpr (requires { r.set_name(""); }) r.set_name(name());
    if constexpr (requires { r.set_new_name(""); }) r.set_new_name(name());
    if constexpr (requires { r.set_mode(1); }) r.set_mode(pick(0) % 2 == 0 ? 0755 : S_IFREG | 0644);
    TestCallPtr call = Begin<Rpc>(r, s);
    typename Rpc::Reply reply;
    if (!call->answered || !call->status.ok()) return;
    ASSERT_TRUE(reply.ParseFromString(call->reply));
    MapInodes(&reply, [&](uint64_t ino) {
      EXPECT_FALSE(hidden.contains(ino)) << OpName(Rpc::kOp) << " tells of " << ino;
      return ino;
    });
  }
  template <typename Message>
  static void CountFields(Message* m, int* n) {
    MapInodes(m, [n](uint64_t ino) {
      ++*n;
      return ino;
    });
  }
  template <typename Request>
  void Fill(Request* r) {
    if constexpr (requires { r->set_name(""); }) r->set_name("name");
    if constexpr (requires { r->set_new_name(""); }) r->set_new_name("new");
    if constexpr (requires { r->set_length(1); }) r->set_length(4096);
    if constexpr (requires { r->mutable_lock()->set_end(1); }) {
      r->mutable_lock()->set_ino(deep_);
      r->mutable_lock()->set_end(UINT64_MAX);
    }
  }
};

TEST_F(ConfinedOpsTest, NumbersThatWereGuessedAreStaleOnEveryOp) {
  opens_for_data_ = false;  // an inode that the session has open was named to it
  const SessionPtr s = Open("", Bound("in"));
  for (uint64_t bad : {secret_, out_, top_, uint64_t{0}, UINT64_MAX}) {
#define KFS_TRY(name) TryAll<rpc::name>(s, bad);
    KFS_META_OPS(KFS_TRY)
#undef KFS_TRY
  }
}

// Ops at random, with every number that there is: the outside neither changes nor is told of.
TEST_F(ConfinedOpsTest, RandomOpsLeaveTheOutsideAlone) {
  opens_for_data_ = false;
  const SessionPtr s = Open("", Bound("in"));
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> before;
  auto outside = [&] {
    std::vector<std::string> all;
    for (uint64_t ino : {uint64_t{1}, out_, secret_, top_}) {
      pb::Attr a = Stat(ino);
      a.clear_atime();
      all.push_back(a.SerializeAsString());
    }
    for (uint64_t dir : {uint64_t{1}, out_}) {
      for (const std::string& name : Names(dir)) all.push_back(name);
    }
    return all;
  };
  before = outside();
  const std::set<uint64_t> hidden = {out_, secret_, top_};
  const std::function<uint64_t(uint64_t)> pick = [&](uint64_t) { return random() % 24; };
  const char* names[] = {"f", "g", "deep", "..", ".", "secret", "out", "a", "b"};
  const std::function<std::string()> name = [&] { return names[random() % std::size(names)]; };
  std::vector<std::function<void()>> ops;
#define KFS_RANDOM(Name) ops.push_back([&] { Try<rpc::Name>(s, pick, name, hidden); });
  KFS_META_OPS(KFS_RANDOM)
#undef KFS_RANDOM
  for (int i = 0; i < 4000; ++i) ops[random() % ops.size()]();
  EXPECT_EQ(outside(), before);
}

// ---- rights

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
