// Which ops are logged, and what becomes of their stored answers once they are acknowledged.
#include <set>

#include "common/limits.h"
#include "memory_ops_fixture.h"
#include "proto/logged.h"

namespace kfs::meta {
namespace {

using LoggedOpsTest = MemoryOpsTest;

TEST_F(LoggedOpsTest, AcknowledgedAnswersGoWithTheNextWrite) {
  Mkdir(1, "z");
  acked_ = op_ids_;  // from here on none is
  for (const char* name : {"a", "b", "c"}) Mkdir(1, name);
  ASSERT_EQ(RepliesOnDisk(), 4u);
  acked_ = 0;
  EXPECT_EQ(WritesOf([&] { Open(1, O_RDONLY); }), 0u);
  EXPECT_EQ(s_->replies.size(), 1u);
  EXPECT_EQ(RepliesOnDisk(), 4u);
  EXPECT_EQ(WritesOf([&] { Mkdir(1, "d"); }), 1u);
  EXPECT_EQ(RepliesOnDisk(), 2u);  // the last that was acknowledged, and this one
}

TEST_F(LoggedOpsTest, AcknowledgedAnswersAreBounded) {
  Mkdir(1, "z");
  acked_ = op_ids_;
  for (size_t i = 0; i < Db::kSoonMax + 10; ++i) Mkdir(1, "d" + std::to_string(i));
  ASSERT_GE(RepliesOnDisk(), Db::kSoonMax + 10);
  acked_ = 0;
  EXPECT_EQ(WritesOf([&] { Stat(1); }), 1u);
  EXPECT_EQ(RepliesOnDisk(), 1u);  // that is not acknowledged
}

TEST_F(LoggedOpsTest, AcknowledgedAnswersAreGoneWhenTheVolumeIsClosed) {
  Mkdir(1, "a");
  Mkdir(1, "b");
  Open(1, O_RDONLY);
  ASSERT_EQ(s_->replies.size(), 1u);
  ASSERT_EQ(RepliesOnDisk(), 2u);
  std::unique_ptr<VolumeStore> closed = executor_->CloseVolume(VolumeId(1), Status(EPIPE, "moved"));
  ASSERT_NE(closed, nullptr);
  closed.reset();
  Restart();
  EXPECT_EQ(RepliesOnDisk(), 1u);
}

TEST_F(LoggedOpsTest, AcknowledgedAnswersThatAreStillStoredDoNotCountAfterARestart) {
  Mkdir(1, "a");
  Mkdir(1, "b");
  const uint64_t last = op_ids_;
  Open(1, O_RDONLY);
  pb::ReclaimReply reply;
  RestartAndReclaim({}, &reply);
  EXPECT_EQ(reply.known(), last);
  EXPECT_EQ(s_->replies.size(), 2u);
  Stat(1);  // says that they are acknowledged
  EXPECT_EQ(s_->replies_kept(), 1u);
  pb::MkdirRequest again;
  again.set_parent(1);
  again.set_name("c");
  again.mutable_ctx()->set_op_id(last - 1);
  EXPECT_EQ(Begin<rpc::Mkdir>(again)->status.err(), EINVAL);
  EXPECT_EQ(Lookup(1, "c"), 0u);
}

TEST_F(LoggedOpsTest, AnswersThatAreNotAcknowledgedAreBounded) {
  const uint64_t ino = Create(1, "f").attr().ino();
  acked_ = 1;
  for (size_t i = s_->replies_kept(); i < kRepliesKeptMax; ++i)
    s_->remembered.Keep(1000000 + i, {Op::kFlush, ""}, std::make_shared<size_t>(0));
  pb::FlushRequest flush = FlushOf(ino, 7);
  acked_ = 1;
  EXPECT_EQ(Begin<rpc::Flush>(flush)->status.code(), Code::kTryAgain);
  pb::KeepAliveRequest keep;
  keep.set_last(2000000);
  keep.add_pending(flush.ctx().op_id());
  keep.add_pending(1000005);
  auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
  call->session = s_;
  executor_->KeepAlive(call, keep);
  EXPECT_EQ(s_->remembered.size(), 1u);
  EXPECT_TRUE(Begin<rpc::Flush>(flush)->status.ok());
}

// Nor do many sessions together, which cost nobody a write.
TEST_F(LoggedOpsTest, AnswersInMemoryOfAllSessionsAreBounded) {
  const uint64_t ino = Create(1, "f").attr().ino();
  acked_ = 1;
  Run<rpc::Flush>(FlushOf(ino, 7));
  const size_t of_one = s_->remembered.bytes();
  EXPECT_GT(of_one, 0u);
  // Others take all that there is.
  auto others = std::make_shared<Session>();
  const std::string large(64u << 10, 'x');
  const auto all = std::make_shared<size_t>(0);
  for (uint64_t id = 1; *all < Remembered::kBytesAllMax; ++id)
    others->remembered.Keep(id, {Op::kOpen, large}, all);
  EXPECT_FALSE(others->remembered.HasRoom(*all));
  EXPECT_TRUE(s_->remembered.HasRoom(*all));  // who acknowledges needs little
  others->remembered.Drop(0, 1, {});
  EXPECT_TRUE(others->remembered.HasRoom(*all));
  others->remembered.Keep(1, {Op::kOpen, large}, all);
  others->remembered.Keep(1, {Op::kOpen, large}, all);  // once
  const size_t full = *all;
  Remembered taken(std::move(others->remembered));
  EXPECT_EQ(others->remembered.size(), 0u);
  EXPECT_EQ(*all, full);
  while (taken.size() != 0) taken.DropFirst();
  EXPECT_EQ(*all, 0u);
}

// However many they are, others have their turn meanwhile.
TEST_F(LoggedOpsTest, AnswersInMemoryGoInStepsWithTheirSession) {
  const uint64_t ino = Create(1, "f").attr().ino();
  acked_ = 1;
  for (int i = 0; i < 1000; ++i) {
    const pb::FlushRequest flush = FlushOf(ino, 7);
    acked_ = 1;
    Run<rpc::Flush>(flush);
  }
  EXPECT_GE(s_->remembered.size(), 1000u);
  Ending ending(s_, &volume());
  EXPECT_GE(ending.remembered.size(), 1000u);
  EXPECT_EQ(s_->remembered.size(), 0u);
  struct Env : EndingsEnv {
    explicit Env(Volume& v) : volume(v) {}
    Volume* Find(VolumeId) override { return &volume; }
    void Refuse(const CallPtr&, const Status&) override {}
    void Changed() override {}
    Volume& volume;
  } env(volume());
  Endings endings(env);
  endings.Add(std::move(ending));
  int steps = 1;
  while (endings.Step()) ++steps;
  EXPECT_GE(steps, 1000 / static_cast<int>(Endings::kStep));
}

// ---- a client of before, which takes any op that is not known for a lost change

TEST_F(LoggedOpsTest, OfAClientThatCountsAllEverythingIsKnownAfterARestart) {
  old_client_ = s_->counts_all = true;
  const uint64_t ino = Create(1, "f").attr().ino();
  const uint64_t other = Create(1, "g").attr().ino();
  EXPECT_EQ(WritesOf([&] { Open(other); }), 1u);
  const pb::ReleaseRequest release = ReleaseOf(ino);
  Run<rpc::Release>(release);
  const uint64_t release_only = acked_;
  const pb::SetLockRequest lock = Numbered(LockOf(other, 7, pb::LockRange::WRITE));
  acked_ = release_only;
  Run<rpc::SetLock>(lock);
  pb::ReclaimReply reply;
  RestartAndReclaim(Holding(other, 2), &reply);
  EXPECT_EQ(reply.known(), lock.ctx().op_id());
  // Known, but not in the memory any more: executed anew.
  for (int i = 0; i < 2; ++i) Run<rpc::Release>(release);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(locks(), 0u);
  for (int i = 0; i < 2; ++i) Run<rpc::SetLock>(lock);
  EXPECT_EQ(err(), 0);
  EXPECT_EQ(locks(), 1u);
  EXPECT_EQ(OpensOf(other), 2u);
}

TEST_F(LoggedOpsTest, OfAClientThatCountsWhatIsLoggedTheLastLoggedOpIsKnown) {
  const uint64_t ino = Create(1, "f").attr().ino();
  const uint64_t created = op_ids_;
  Release(ino);
  Open(ino);
  pb::ReclaimReply reply;
  RestartAndReclaim(Holding(ino, 1), &reply);
  EXPECT_EQ(reply.known(), created);
}

// ---- the list

// Every op that has an op id is run once, so that it changes something: one that is taken for memory only,
// and is not, is refused by the executor and fails here; so does one that is logged for nothing.
class ListTest : public MemoryOpsTest {
 protected:
  template <typename Rpc>
  typename Rpc::Reply Logs(typename Rpc::Request request, bool logged) {
    const std::string name(OpName(Rpc::kOp));
    EXPECT_EQ(IsLogged(request), logged) << name;
    request.mutable_ctx()->set_op_id(++op_ids_);
    const uint64_t before = writes();
    typename Rpc::Reply reply = Run<Rpc>(request);
    EXPECT_EQ(err(), 0) << name << ": " << last_.ToString();
    EXPECT_EQ(writes() - before, logged ? 1u : 0u) << name;
    EXPECT_EQ(s_->replies.contains(op_ids_), logged) << name;
    EXPECT_EQ(s_->remembered.contains(op_ids_), !logged) << name;
    ran_.insert(Rpc::kOp);
    return reply;
  }
  template <typename Rpc>
  typename Rpc::Request Named(const std::string& name) {
    typename Rpc::Request r;
    r.set_parent(1);
    r.set_name(name);
    return r;
  }
  std::set<Op> ran_;
};

TEST_F(ListTest, WhatChangesTheStoreIsLoggedAndNothingElse) {
  pb::CreateRequest create = Named<rpc::Create>("f");
  create.set_flags(O_RDWR);
  create.set_mode(0644);
  const uint64_t ino = Logs<rpc::Create>(create, true).attr().ino();
  Logs<rpc::Mkdir>(Named<rpc::Mkdir>("d"), true);
  Logs<rpc::Mknod>(Named<rpc::Mknod>("n"), true);
  pb::SymlinkRequest symlink = Named<rpc::Symlink>("s");
  symlink.set_target("f");
  Logs<rpc::Symlink>(symlink, true);
  pb::LinkRequest link;
  link.set_ino(ino);
  link.set_parent(1);
  link.set_name("l");
  Logs<rpc::Link>(link, true);
  pb::RenameRequest rename;
  rename.set_parent(1);
  rename.set_name("l");
  rename.set_new_parent(1);
  rename.set_new_name("m");
  Logs<rpc::Rename>(rename, true);
  Logs<rpc::Unlink>(Named<rpc::Unlink>("m"), true);
  Logs<rpc::Rmdir>(Named<rpc::Rmdir>("d"), true);
  pb::SetattrRequest setattr = SetattrOf(ino, pb::SetattrRequest::MODE);
  setattr.set_mode(0600);
  Logs<rpc::Setattr>(setattr, true);
  pb::SetxattrRequest setxattr;
  setxattr.set_ino(ino);
  setxattr.set_name("user.a");
  setxattr.set_value("b");
  Logs<rpc::Setxattr>(setxattr, true);
  pb::RemovexattrRequest removexattr;
  removexattr.set_ino(ino);
  removexattr.set_name("user.a");
  Logs<rpc::Removexattr>(removexattr, true);
  pb::TmpfileRequest tmpfile;
  tmpfile.set_parent(1);
  tmpfile.set_flags(O_RDWR);
  tmpfile.set_mode(0600);
  Logs<rpc::Tmpfile>(tmpfile, true);
  pb::OpenRequest open;
  open.set_ino(ino);
  open.set_flags(O_RDWR);
  Logs<rpc::Open>(open, false);
  open.set_flags(O_RDWR | O_TRUNC);
  Logs<rpc::Open>(open, true);
  Logs<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE), false);
  pb::FlushRequest flush;
  flush.set_ino(ino);
  flush.set_owner(7);
  Logs<rpc::Flush>(flush, false);
  pb::ReleaseRequest release;
  release.set_ino(ino);
  Logs<rpc::Release>(release, false);
  Logs<rpc::CommitWrite>(CommitOf(ino, 0, 4096, Run<rpc::PrepareWrite>(PrepareOf(ino, 0, 4096))), true);
  pb::FallocateRequest fallocate;
  fallocate.set_ino(ino);
  fallocate.set_mode(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  fallocate.set_length(4096);
  fallocate.mutable_ctx()->set_op_id(++op_ids_);
  Run<rpc::Fallocate>(fallocate);  // in several writes: chunks' servers are asked between
  EXPECT_EQ(err(), 0);
  EXPECT_TRUE(s_->replies.contains(op_ids_));
  ran_.insert(Op::kFallocate);

#define KFS_RAN(number, name, ...) EXPECT_EQ(ran_.contains(Op::k##name), rpc::name::kMutates) << #name;
  KFS_VOLUME_OPS(KFS_RAN)
#undef KFS_RAN
}

}  // namespace
}  // namespace kfs::meta
