// A metaserver without sockets: executor, one volume on a real RocksDB in a directory of its own, a clock
// that stands still until told, and chunkservers that are a function.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "metaserver/executor/executor.h"
#include "metaserver/executor/handlers.h"
#include "proto/lanes.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/registers.h"
#include "tests/unit/metaserver/test_call.h"
#include "tests/unit/metaserver/test_env.h"
#include "tests/unit/metaserver/test_links.h"

namespace kfs::meta {

struct Fenced {
  pb::FenceSessionsRequest request;
  std::function<void(Status, std::string)> done;
};

struct Mutated {
  pb::MutateChunkRequest request;
  std::function<void(Status, std::string)> done;
};

class MetaTest : public testing::Test {
 protected:
  static constexpr uint64_t kChunk = 1 << 20;

  void SetUp() override {
    Start();
    s_ = OpenSession();
  }
  void TearDown() override { Kill(); }

  void Start() {
    memory_ = std::make_unique<DbMemory>(db_bytes_);
    auto cluster = Db::Open(dir_ + "/cluster", "cluster", *memory_);
    ASSERT_TRUE(cluster.ok()) << cluster.status().ToString();
    cluster_ = std::move(*cluster);
    auto links = std::make_unique<TestLinks>([this](ServerId, Op op, const google::protobuf::MessageLite& m,
                                                    std::function<void(Status, std::string)> done) {
      if (op == Op::kDeleteChunks) {
        if (deletes_fail_) return done(Status(EIO, "not now"), "");
        auto& request = static_cast<const pb::DeleteChunksRequest&>(m);
        deleted_.insert(deleted_.end(), request.chunk().begin(), request.chunk().end());
        return done(Status(), "");
      }
      if (op == Op::kFenceSessions) {
        fenced_.push_back({static_cast<const pb::FenceSessionsRequest&>(m), std::move(done)});
        if (auto_ack_fences_) AckFences();
        return;
      }
      mutated_.push_back({static_cast<const pb::MutateChunkRequest&>(m), std::move(done)});
      if (auto_ack_) AckMutations();
    });
    servers_ = std::make_unique<Chunkservers>(*cluster_, clock_, SystemRandom(), std::move(links));
    ASSERT_TRUE(servers_->Load().ok());
    pb::ClusterConf conf;
    conf.add_chunkserver()->set_id(1);
    conf.mutable_chunkserver(0)->set_uuid("chunkserver-1");
    servers_->Configure(conf);
    pb::RegisterChunkserverRequest r;
    r.set_uuid("chunkserver-1");
    r.set_address("127.0.0.1:9");
    auto* disk = r.add_disk();
    disk->set_capacity(1ull << 40);
    disk->set_available(1ull << 39);
    ASSERT_TRUE(Registers(*servers_, r));
    executor_ = std::make_unique<Executor>(clock_, options_, nullptr, env_);
    rec::Volume info;
    info.set_id(1);
    info.set_name("vol");
    info.set_chunk_size(kChunk);
    info.set_replicas(1);
    auto db = Db::Open(dir_ + "/vol", "volume", *memory_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    auto volume = Volume::Open(info, std::move(*db), cache_bytes_, *servers_, clock_, executor_->volume_env(),
                               executor_->DrawVolumeSeed());
    ASSERT_TRUE(volume.ok()) << volume.status().ToString();
    executor_->AddVolume(std::move(*volume));
    executor_->EndTick();
  }
  // As kill -9: nothing is said to anybody.
  void Kill() {
    mutated_.clear();
    fenced_.clear();
    executor_.reset();
    servers_.reset();
    cluster_.reset();
    memory_.reset();
  }
  void Restart() {
    Kill();
    Start();
  }
  Volume& volume() { return *executor_->FindVolume("vol"); }

  void AckFences(const Status& status = {}) {
    while (!fenced_.empty()) {
      Fenced f = std::move(fenced_.front());
      fenced_.pop_front();
      fence_history_.push_back(f.request);
      f.done(status, "");
    }
  }
  void AckMutations() {
    while (!mutated_.empty()) {
      Mutated m = std::move(mutated_.front());
      mutated_.pop_front();
      history_.push_back(m.request);
      pb::MutateChunkReply reply;
      reply.set_allocated(4096);
      reply.set_no_space(no_space_);
      m.done(Status(), reply.SerializeAsString());
    }
  }

  SessionPtr OpenSession() {
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_volume("vol");
    request.set_counts_logged(!old_client_);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client");
    executor_->EndTick();
    EXPECT_TRUE(call->answered && call->status.ok()) << call->status.ToString();
    return s;
  }
  // Attaches again, as after a reconnect or a restart.
  SessionPtr Attach(const SessionPtr& old) {
    for (int i = 0; i < 3 && old->endings != 0; ++i) executor_->EndTick();  // its expiry is synced first
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    pb::OpenSessionRequest request;
    request.set_volume("vol");
    request.set_counts_logged(!old_client_);
    request.set_session(old->id.v);
    request.set_key(old->key);
    request.set_lane(lane_);
    SessionPtr s = executor_->OpenSession(call, request, "host", "client");
    executor_->EndTick();
    last_ = call->status;
    return s;
  }
  Status Reclaim(const SessionPtr& s, const pb::ReclaimRequest& request, pb::ReclaimReply* reply = nullptr) {
    auto call = std::make_shared<TestCall>(Op::kReclaim, "");
    call->session = s;
    call->lane = lane_;
    executor_->Reclaim(call, request);
    executor_->EndTick();
    if (reply != nullptr) {
      EXPECT_TRUE(reply->ParseFromString(call->reply));
    }
    return call->status;
  }
  Status ReclaimNothing(const SessionPtr& s) {
    pb::ReclaimRequest r;
    r.set_last(true);
    return Reclaim(s, r);
  }

  // As a client says that has all answers so far.
  void Acknowledge(const SessionPtr& s) {
    auto call = std::make_shared<TestCall>(Op::kKeepAlive, "");
    call->session = s;
    call->lane = lane_;
    pb::KeepAliveRequest request;
    request.set_acked(LaneBase(lane_) + op_ids_);
    executor_->KeepAlive(call, request);
    executor_->EndTick();
  }

  // Runs an op; fills op id and caller unless the request has them.
  template <typename Rpc>
  TestCallPtr Begin(typename Rpc::Request request, SessionPtr session = nullptr) {
    if (session == nullptr) session = s_;
    pb::Context* ctx = request.mutable_ctx();
    if (Rpc::kMutates && ctx->op_id() == 0) ctx->set_op_id(LaneBase(lane_) + ++op_ids_);
    if (!fixed_caller_) {
      ctx->set_uid(uid_);
      ctx->set_gid(gid_);
      ctx->set_umask(umask_);
      ctx->set_groups_known(groups_known_);
      for (uint32_t g : groups_) ctx->add_groups(g);
    }
    if (more_of_caller_) more_of_caller_(*ctx);
    auto call = std::make_shared<TestCall>(Rpc::kOp, request.SerializeAsString());
    call->session = session;
    call->lane = lane_;
    // Most tests do not care who has the file open for its data.
    constexpr bool kData = Rpc::kOp == Op::kReadLayout || Rpc::kOp == Op::kPrepareWrite ||
                           Rpc::kOp == Op::kCommitWrite || Rpc::kOp == Op::kFallocate;
    uint64_t opened = 0;
    if constexpr (kData) {
      if (opens_for_data_ && session->volume != nullptr) opened = request.ino();
    }
    if (opened != 0) session->volume->open_files.Add(*session, Ino(opened), kReadChunk | kWriteChunk);
    executor_->Execute(call);
    executor_->EndTick();
    if (opened != 0 && call->answered) session->volume->open_files.Drop(*session, Ino(opened));
    return call;
  }
  template <typename Rpc>
  typename Rpc::Reply Run(const typename Rpc::Request& request, SessionPtr session = nullptr) {
    TestCallPtr call = Begin<Rpc>(request, session);
    typename Rpc::Reply reply;
    EXPECT_TRUE(call->answered);
    last_ = call->status;
    if (call->status.ok()) {
      EXPECT_TRUE(reply.ParseFromString(call->reply));
    }
    return reply;
  }
  int err() const { return last_.err(); }

  // Lets nameless inodes, which linger for a moment, go.
  void Settle() {
    clock_.Advance(Freeing::kLinger + std::chrono::milliseconds(1));
    executor_->OnTimer();
    executor_->EndTick();
  }
  // The inode does not exist any more, once it has had its time.
  bool Gone(uint64_t ino) {
    Settle();
    Stat(ino);
    return err() == ESTALE;
  }

  // ---- short forms
  uint64_t Lookup(uint64_t parent, const std::string& name) {
    pb::LookupRequest r;
    r.set_parent(parent);
    r.set_name(name);
    return Run<rpc::Lookup>(r).attr().ino();
  }
  pb::Attr Stat(uint64_t ino) {
    pb::GetattrRequest r;
    r.set_ino(ino);
    return Run<rpc::Getattr>(r).attr();
  }
  uint64_t Mkdir(uint64_t parent, const std::string& name, uint32_t mode = 0755) {
    pb::MkdirRequest r;
    r.set_parent(parent);
    r.set_name(name);
    r.set_mode(mode);
    return Run<rpc::Mkdir>(r).attr().ino();
  }
  uint64_t Mknod(uint64_t parent, const std::string& name, uint32_t mode = S_IFREG | 0644) {
    pb::MknodRequest r;
    r.set_parent(parent);
    r.set_name(name);
    r.set_mode(mode);
    return Run<rpc::Mknod>(r).attr().ino();
  }
  pb::CreateReply Create(uint64_t parent, const std::string& name, uint32_t flags = O_RDWR,
                         uint32_t mode = 0644) {
    pb::CreateRequest r;
    r.set_parent(parent);
    r.set_name(name);
    r.set_mode(mode);
    r.set_flags(flags);
    return Run<rpc::Create>(r);
  }
  uint64_t Tmpfile(uint32_t flags = O_RDWR) {
    pb::TmpfileRequest r;
    r.set_parent(1);
    r.set_mode(0600);
    r.set_flags(flags);
    return Run<rpc::Tmpfile>(r).attr().ino();
  }
  int Symlink(uint64_t parent, const std::string& name, const std::string& target) {
    pb::SymlinkRequest r;
    r.set_parent(parent);
    r.set_name(name);
    r.set_target(target);
    Run<rpc::Symlink>(r);
    return err();
  }
  int Link(uint64_t ino, uint64_t parent, const std::string& name) {
    pb::LinkRequest r;
    r.set_ino(ino);
    r.set_parent(parent);
    r.set_name(name);
    Run<rpc::Link>(r);
    return err();
  }
  int Unlink(uint64_t parent, const std::string& name) {
    pb::UnlinkRequest r;
    r.set_parent(parent);
    r.set_name(name);
    Run<rpc::Unlink>(r);
    return err();
  }
  int Rmdir(uint64_t parent, const std::string& name) {
    pb::RmdirRequest r;
    r.set_parent(parent);
    r.set_name(name);
    Run<rpc::Rmdir>(r);
    return err();
  }
  int Rename(uint64_t parent, const std::string& name, uint64_t new_parent, const std::string& new_name,
             uint32_t flags = 0) {
    pb::RenameRequest r;
    r.set_parent(parent);
    r.set_name(name);
    r.set_new_parent(new_parent);
    r.set_new_name(new_name);
    r.set_flags(flags);
    Run<rpc::Rename>(r);
    return err();
  }
  int Open(uint64_t ino, uint32_t flags = O_RDONLY) {
    pb::OpenRequest r;
    r.set_ino(ino);
    r.set_flags(flags);
    Run<rpc::Open>(r);
    return err();
  }
  int Release(uint64_t ino) {
    pb::ReleaseRequest r;
    r.set_ino(ino);
    Run<rpc::Release>(r);
    return err();
  }
  pb::ReaddirReply Readdir(uint64_t ino, uint64_t cookie = 0, uint32_t max = 1 << 16) {
    pb::ReaddirRequest r;
    r.set_ino(ino);
    r.set_cookie(cookie);
    r.set_max_bytes(max);
    return Run<rpc::Readdir>(r);
  }
  std::vector<std::string> Names(uint64_t ino) {
    std::vector<std::string> names;
    const pb::ReaddirReply page = Readdir(ino);
    for (const auto& e : page.entry()) {
      if (e.name() != "." && e.name() != "..") names.push_back(e.name());
    }
    return names;
  }
  pb::SetattrRequest SetattrOf(uint64_t ino, uint32_t valid) {
    pb::SetattrRequest r;
    r.set_ino(ino);
    r.set_valid(valid);
    return r;
  }
  int Chmod(uint64_t ino, uint32_t mode) {
    pb::SetattrRequest r = SetattrOf(ino, pb::SetattrRequest::MODE);
    r.set_mode(mode);
    Run<rpc::Setattr>(r);
    return err();
  }
  int Chown(uint64_t ino, uint32_t uid, uint32_t gid) {
    pb::SetattrRequest r = SetattrOf(ino, pb::SetattrRequest::UID | pb::SetattrRequest::GID);
    r.set_uid(uid);
    r.set_gid(gid);
    Run<rpc::Setattr>(r);
    return err();
  }
  int Truncate(uint64_t ino, uint64_t size) {
    pb::SetattrRequest r = SetattrOf(ino, pb::SetattrRequest::SIZE);
    r.set_size(size);
    Run<rpc::Setattr>(r);
    return err();
  }
  pb::LayoutReply Layout(uint64_t ino, uint64_t offset = 0, uint64_t length = UINT64_MAX) {
    pb::ReadLayoutRequest r;
    r.set_ino(ino);
    r.set_offset(offset);
    r.set_length(length);
    return Run<rpc::ReadLayout>(r);
  }
  pb::PrepareWriteRequest PrepareOf(uint64_t ino, uint64_t offset, uint64_t length, bool append = false) {
    pb::PrepareWriteRequest r;
    r.set_ino(ino);
    r.set_offset(offset);
    r.set_length(length);
    r.set_append(append);
    return r;
  }
  pb::CommitWriteRequest CommitOf(uint64_t ino, uint64_t offset, uint64_t length,
                                  const pb::LayoutReply& layout) {
    pb::CommitWriteRequest r;
    r.set_ino(ino);
    r.set_offset(offset);
    r.set_length(length);
    r.set_append_token(layout.append_token());
    for (const auto& c : layout.chunk()) {
      auto* w = r.add_written();
      w->set_index(c.index());
      w->set_chunk(c.chunk());
      w->set_version(c.version());
      w->set_allocated(8192);
    }
    return r;
  }
  // A whole write.
  int Write(uint64_t ino, uint64_t offset, uint64_t length) {
    pb::LayoutReply layout = Run<rpc::PrepareWrite>(PrepareOf(ino, offset, length));
    if (!last_.ok()) return err();
    Run<rpc::CommitWrite>(CommitOf(ino, offset, length, layout));
    return err();
  }
  int Setxattr(uint64_t ino, const std::string& name, const std::string& value, uint32_t flags = 0) {
    pb::SetxattrRequest r;
    r.set_ino(ino);
    r.set_name(name);
    r.set_value(value);
    r.set_flags(flags);
    Run<rpc::Setxattr>(r);
    return err();
  }
  std::string Getxattr(uint64_t ino, const std::string& name) {
    pb::GetxattrRequest r;
    r.set_ino(ino);
    r.set_name(name);
    return Run<rpc::Getxattr>(r).value();
  }
  pb::SetLockRequest LockOf(uint64_t ino, uint64_t owner, pb::LockRange::Type type, bool wait = false,
                            bool flock = false) {
    pb::SetLockRequest r;
    r.mutable_lock()->set_ino(ino);
    r.mutable_lock()->set_owner(owner);
    r.mutable_lock()->set_type(type);
    r.mutable_lock()->set_flock(flock);
    r.mutable_lock()->set_end(UINT64_MAX);
    r.set_wait(wait);
    return r;
  }
  void As(uint32_t uid, uint32_t gid) {
    uid_ = uid;
    gid_ = gid;
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  TestClock clock_;
  size_t db_bytes_ = 16 << 20;
  std::unique_ptr<DbMemory> memory_;
  std::unique_ptr<Db> cluster_;
  std::unique_ptr<Chunkservers> servers_;
  ExecutorOptions options_;
  TestExecutorEnv env_;
  std::unique_ptr<Executor> executor_;
  SessionPtr s_;
  uint64_t op_ids_ = 0;
  uint8_t lane_ = 0;  // on which all is sent
  bool deletes_fail_ = false;
  std::function<void(pb::Context&)> more_of_caller_;
  size_t cache_bytes_ = 16 << 20;
  Status last_;
  uint32_t uid_ = 0, gid_ = 0, umask_ = 022;
  bool groups_known_ = true, fixed_caller_ = false;
  std::vector<uint32_t> groups_;
  bool opens_for_data_ = true;
  bool old_client_ = false;  // Session::counts_all
  bool auto_ack_fences_ = true;
  std::deque<Fenced> fenced_;  // not yet answered
  std::vector<pb::FenceSessionsRequest> fence_history_;
  bool auto_ack_ = true;
  bool no_space_ = false;                        // what they answer
  std::deque<Mutated> mutated_;                  // not yet answered
  std::vector<pb::MutateChunkRequest> history_;  // answered
  std::vector<uint64_t> deleted_;
};

}  // namespace kfs::meta
