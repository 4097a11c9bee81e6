// A member's volumes, opened and closed by its VolumeHost as a configuration of one volume says.
#pragma once

#include <gmock/gmock.h>

#include "metaserver/cluster/configuration.h"
#include "metaserver/hosting/volume_host.h"
#include "metaserver/store/keys.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {

class VolumeHostTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(dir_ + "/volumes");
    conf_.set_cluster_id("here");
    conf_.set_generation(5);
    for (const char* uuid : {"m1", "m2"}) {
      pb::MemberConf* m = conf_.add_member();
      m->set_uuid(uuid);
      m->set_address(std::string(uuid) + ":7400");
      m->set_incarnation(1);
    }
    pb::VolumeConf* v = conf_.add_volume();
    v->set_id(3);
    v->set_name("data");
    v->set_owner("m1");
    v->set_owner_incarnation(1);
    v->set_epoch(5);
    v->set_started(true);
    v->set_replicas(1);
    v->set_chunk_size(1 << 20);
    Begin();
  }
  void TearDown() override { End(); }
  void Begin() {
    memory_ = std::make_unique<DbMemory>(16 << 20, DbEnv{.env = env_});
    auto cluster = ClusterStore::Open(dir_, *memory_);
    ASSERT_TRUE(cluster.ok()) << cluster.status().ToString();
    cluster_ = std::move(*cluster);
    servers_ = std::make_unique<Chunkservers>(cluster_->db(), clock_);
    executor_env_.where = [this](const std::string& name) { return host_->WhyNotServed(conf_, "m1", name); };
    executor_env_.damaged = [this](VolumeId id) { damaged_.insert(id); };
    executor_ = std::make_unique<Executor>(clock_, ExecutorOptions(), nullptr, executor_env_);
    jobs_ = std::make_unique<JobThread>(
        [this](std::function<void()> fn) {
          std::lock_guard lock(mutex_);
          posted_.push_back(std::move(fn));
          came_.notify_all();
        },
        threads_.StartWorkers("test", 1));
    images_ = std::make_unique<ImageStore>(dir_, SystemFiles(), *jobs_, clock_);
    ASSERT_TRUE(images_->Open().ok());
    host_ = std::make_unique<VolumeHost>(VolumeHost::Options{dir_, 16 << 20}, SystemFiles(), *cluster_,
                                         *memory_, *executor_, *servers_, clock_, *images_, points_);
  }
  void End() {
    session_.reset();
    host_.reset();
    images_.reset();
    jobs_.reset();
    posted_.clear();
    executor_.reset();
    servers_.reset();
    cluster_.reset();
    memory_.reset();
  }
  void Restart() {
    End();
    Begin();
  }
  Status Apply(uint64_t incarnation = 1) { return host_->Apply(conf_, "m1", incarnation); }
  // Held as a stopped one that is copied. Without threads it has been done when this returns.
  Result<std::unique_ptr<Db>> HoldStopped(const Status& why = {}) {
    Result<std::unique_ptr<Db>> held = Status(EAGAIN, "not yet");
    host_->HoldStopped(conf_, data(), 1, why,
                       [&held](Result<std::unique_ptr<Db>> db) { held = std::move(db); });
    return held;
  }
  bool Serves() { return executor_->FindVolume("data") != nullptr; }
  pb::VolumeConf& data() { return *conf_.mutable_volume(0); }
  Status Where() { return host_->WhyNotServed(conf_, "m1", "data"); }

  // With `session` it attaches to that one.
  Status Open(pb::OpenSessionReply* reply, const pb::OpenSessionReply* session = nullptr) {
    pb::OpenSessionRequest request;
    request.set_counts_logged(true);
    request.set_volume("data");
    if (session != nullptr) {
      request.set_session(session->session());
      request.set_key(session->key());
    }
    auto call = std::make_shared<TestCall>(Op::kOpenSession, "");
    session_ = executor_->OpenSession(call, request, "host", "client");
    executor_->EndTick();
    EXPECT_TRUE(call->answered);
    if (call->status.ok()) {
      EXPECT_TRUE(reply->ParseFromString(call->reply));
    }
    return call->status;
  }
  template <typename Rpc>
  Status Run(const typename Rpc::Request& request) {
    auto call = std::make_shared<TestCall>(Rpc::kOp, request.SerializeAsString());
    call->session = session_;
    executor_->Execute(call);
    executor_->EndTick();
    EXPECT_TRUE(call->answered);
    return call->status;
  }
  Status Mkdir(const std::string& name) {
    pb::MkdirRequest r;
    r.mutable_ctx()->set_op_id(++op_ids_);
    r.set_parent(1);
    r.set_name(name);
    r.set_mode(0755);
    return Run<rpc::Mkdir>(r);
  }
  // A mount that has made a directory.
  pb::OpenSessionReply Used() {
    pb::OpenSessionReply session;
    EXPECT_TRUE(Apply().ok());
    EXPECT_TRUE(Open(&session).ok());
    EXPECT_TRUE(Mkdir("kept").ok());
    return session;
  }
  // The volume is served, and is the one with the directory in it.
  void ExpectKept() {
    ASSERT_TRUE(Serves()) << Where().ToString();
    EXPECT_TRUE(executor_->FindVolume("data")->store.db().Get(DentryKey(Ino(1), "kept")).has_value());
  }
  void ExpectRefused(const Status& s, const std::string& words) {
    EXPECT_EQ(s.err(), EIO) << s.ToString();
    EXPECT_THAT(s.message(), testing::HasSubstr(words));
    EXPECT_FALSE(Serves());
    EXPECT_EQ(host_->Trouble(VolumeId(3)).message(), s.message());
    EXPECT_EQ(Where().message(), s.message());
    pb::OpenSessionReply none;
    EXPECT_EQ(Open(&none).message(), s.message());
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  TestClock clock_;
  SyncPoints points_{"key"};
  pb::ClusterConf conf_;
  rocksdb::Env* env_ = nullptr;  // of the databases; null: the usual one
  std::unique_ptr<DbMemory> memory_;
  std::unique_ptr<ClusterStore> cluster_;
  std::unique_ptr<Chunkservers> servers_;
  TestExecutorEnv executor_env_;
  std::unique_ptr<Executor> executor_;
  EventLoop threads_;  // where they come from; it does not run
  std::unique_ptr<JobThread> jobs_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<VolumeHost> host_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> posted_;  // by the JobThread; guarded by mutex_
  std::set<VolumeId> damaged_;                // as told by the executor
  SessionPtr session_;
  uint64_t op_ids_ = 0;
};

}  // namespace kfs::meta
