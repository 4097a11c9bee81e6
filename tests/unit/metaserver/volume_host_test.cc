#include "metaserver/volume_host.h"

#include <gmock/gmock.h>

#include "metaserver/cluster/configuration.h"
#include "metaserver/store/keys.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class VolumeHostTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "kfs-host-XXXXXX";
    dir_ = mkdtemp(pattern.data());
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
  void TearDown() override {
    End();
    std::filesystem::remove_all(dir_);
  }
  void Begin() {
    memory_ = std::make_unique<DbMemory>(16 << 20);
    auto cluster = ClusterStore::Open(dir_, *memory_);
    ASSERT_TRUE(cluster.ok()) << cluster.status().ToString();
    cluster_ = std::move(*cluster);
    servers_ = std::make_unique<Chunkservers>(cluster_->db(), clock_);
    Executor::Hooks hooks;
    hooks.where = [this](const std::string& name) { return host_->Where(conf_, "m1", name); };
    executor_ = std::make_unique<Executor>(clock_, ExecutorOptions(), nullptr, std::move(hooks));
    jobs_ = std::make_unique<JobThread>([this](std::function<void()> fn) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(fn));
      came_.notify_all();
    });
    images_ = std::make_unique<ImageStore>(dir_, *jobs_, clock_);
    ASSERT_TRUE(images_->Open().ok());
    host_ = std::make_unique<VolumeHost>(VolumeHost::Options{dir_, 16 << 20}, *cluster_, *memory_, *executor_,
                                         *servers_, clock_, *images_);
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
  bool Serves() { return executor_->FindVolume("data") != nullptr; }
  pb::VolumeConf& data() { return *conf_.mutable_volume(0); }
  Status Where() { return host_->Where(conf_, "m1", "data"); }

  // The files of a closed database arrive as a transfer.
  Status Arrive(const std::string& transfer, const std::string& from, uint64_t epoch) {
    pb::ImageManifest manifest;
    manifest.set_transfer(transfer);
    manifest.set_cluster_id("here");
    manifest.set_volume(3);
    manifest.set_epoch(epoch);
    KFS_RETURN_IF_ERROR(Put(transfer, [](auto& r) { r.mutable_begin()->set_volume(3); }));
    auto files = ListImage(from);
    KFS_RETURN_IF_ERROR(files.status());
    for (pb::ImageFile& file : *files) {
      auto bytes = ReadPiece(from + "/" + file.name(), 0);
      KFS_RETURN_IF_ERROR(bytes.status());
      Sha256 sum;
      sum.Add(bytes->view());
      file.set_sha256(sum.Finish());
      *manifest.add_file() = file;
      KFS_RETURN_IF_ERROR(Put(
          transfer, [&](auto& r) { r.mutable_piece()->set_name(file.name()); }, std::move(*bytes)));
    }
    return Put(transfer, [&](auto& r) { *r.mutable_finish()->mutable_manifest() = manifest; });
  }
  template <typename Fill>
  Status Put(const std::string& transfer, Fill fill, Buffer payload = {}) {
    pb::ImagePutRequest request;
    request.set_transfer(transfer);
    fill(request);
    std::optional<Status> done;
    images_->Put(request, std::move(payload), [&](const Status& s) { done = s; });
    while (!done) {
      std::unique_lock lock(mutex_);
      came_.wait(lock, [&] { return !posted_.empty(); });
      auto fn = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      fn();
    }
    return *done;
  }

  // With `session` it attaches to that one.
  Status Open(pb::OpenSessionReply* reply, const pb::OpenSessionReply* session = nullptr) {
    pb::OpenSessionRequest request;
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
  Status Mkdir(const std::string& name) {
    pb::MkdirRequest r;
    r.mutable_ctx()->set_op_id(++op_ids_);
    r.set_parent(1);
    r.set_name(name);
    r.set_mode(0755);
    auto call = std::make_shared<TestCall>(Op::kMkdir, r.SerializeAsString());
    call->session = session_;
    executor_->Execute(call);
    executor_->EndTick();
    EXPECT_TRUE(call->answered);
    return call->status;
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
    EXPECT_THAT(s.message(), HasSubstr(words));
    EXPECT_FALSE(Serves());
    EXPECT_EQ(host_->Trouble(VolumeId(3)).message(), s.message());
    EXPECT_EQ(Where().message(), s.message());
    pb::OpenSessionReply none;
    EXPECT_EQ(Open(&none).message(), s.message());
  }

  std::string dir_;
  TestClock clock_;
  pb::ClusterConf conf_;
  std::unique_ptr<DbMemory> memory_;
  std::unique_ptr<ClusterStore> cluster_;
  std::unique_ptr<Chunkservers> servers_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<JobThread> jobs_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<VolumeHost> host_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> posted_;  // by the JobThread; guarded by mutex_
  SessionPtr session_;
  uint64_t op_ids_ = 0;
};

TEST_F(VolumeHostTest, AVolumeIsMadeOnceAndOpenedAgain) {
  Used();
  ExpectKept();
  EXPECT_TRUE(Apply().ok());  // nothing to do
  ExpectKept();
  Restart();
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, AnothersVolumeIsNotMade) {
  data().set_owner("m2");
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_EQ(Where().code(), Code::kNotOwner);
  EXPECT_THAT(Where().message(), HasSubstr("served by m2:7400"));
}

TEST_F(VolumeHostTest, AVolumeThatGetsAnotherOwnerIsClosed) {
  const pb::OpenSessionReply session = Used();
  data().set_owner("m2");
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_EQ(Mkdir("x").code(), Code::kNotOwner);  // on the connection that is still there
  pb::OpenSessionReply again;
  EXPECT_EQ(Open(&again, &session).code(), Code::kNotOwner);
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, AStoppedVolumeKeepsItsSessions) {
  const pb::OpenSessionReply session = Used();
  data().set_started(false);
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  const Status stopped = Mkdir("x");
  EXPECT_EQ(stopped.code(), Code::kStopped);
  EXPECT_EQ(stopped.err(), ESHUTDOWN);
  EXPECT_THAT(stopped.message(), HasSubstr("kfs volume start data"));
  pb::OpenSessionReply again;
  EXPECT_EQ(Open(&again, &session).code(), Code::kStopped);
  data().set_started(true);
  EXPECT_TRUE(Apply().ok());
  ASSERT_TRUE(Open(&again, &session).ok());
  EXPECT_EQ(again.session(), session.session());
  EXPECT_NE(again.incarnation(), session.incarnation());  // it has to reclaim
  ExpectKept();
}

TEST_F(VolumeHostTest, AStoppedVolumeStaysStoppedThroughARestart) {
  Used();
  data().set_started(false);
  Restart();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, ADeletedVolumeIsRemoved) {
  Used();
  conf_.clear_volume();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
  EXPECT_EQ(Mkdir("x").code(), Code::kUnknownSession);
  EXPECT_EQ(Where().err(), ENOENT);
}

TEST_F(VolumeHostTest, WhatWasDeletedWhileItWasAwayIsRemovedAtTheNextStart) {
  Used();
  Restart();
  conf_.clear_volume();
  EXPECT_TRUE(Apply().ok());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(VolumeHostTest, OptionsTakeEffectAtOnceAndGoBackToTheDefault) {
  Used();
  (*data().mutable_option())["read-only"] = "on";
  (*data().mutable_option())["atime"] = "off";
  (*data().mutable_option())["slow-op-ms"] = "7";
  (*data().mutable_option())["session-keep"] = "2h";
  EXPECT_TRUE(Apply().ok());
  const Volume::Settings set = executor_->FindVolume("data")->settings;
  EXPECT_TRUE(set.read_only);
  EXPECT_FALSE(set.atime);
  EXPECT_EQ(set.slow_op, std::chrono::milliseconds(7));
  EXPECT_EQ(set.session_keep, std::chrono::hours(2));
  EXPECT_EQ(Mkdir("x").err(), EROFS);
  data().clear_option();
  EXPECT_TRUE(Apply().ok());
  const Volume::Settings standard = executor_->FindVolume("data")->settings;
  EXPECT_FALSE(standard.read_only);
  EXPECT_TRUE(standard.atime);
  EXPECT_EQ(standard.slow_op, ExecutorOptions().slow_op);
  EXPECT_EQ(standard.session_keep, ExecutorOptions().session_keep);
  EXPECT_TRUE(Mkdir("x").ok());
}

// ---- what must never become an empty volume

TEST_F(VolumeHostTest, AWipedMemberDoesNotServeAnEmptyVolume) {
  Used();
  End();
  std::filesystem::remove_all(dir_);
  std::filesystem::create_directories(dir_ + "/volumes");
  Begin();
  ExpectRefused(Apply(/*incarnation=*/2), "was lost with this metaserver's disk");
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  ExpectRefused(Apply(2), "was lost with this metaserver's disk");  // however often
}

TEST_F(VolumeHostTest, ABackupPutInItsPlaceIsServedAlsoByAWipedMember) {
  Used();
  End();
  std::filesystem::copy(dir_ + "/volumes/3", dir_ + "/backup", std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(dir_ + "/cluster");
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  EXPECT_FALSE(Apply(/*incarnation=*/2).ok());
  std::filesystem::rename(dir_ + "/backup", dir_ + "/volumes/3");
  EXPECT_TRUE(Apply(2).ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, AVolumeWhoseDatabaseIsMissingIsNotMadeAnew) {
  Used();
  End();
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  ExpectRefused(Apply(), "put it back");
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
}

TEST_F(VolumeHostTest, AVolumePutBackIsServed) {
  Used();
  End();
  std::filesystem::rename(dir_ + "/volumes/3", dir_ + "/aside");
  Begin();
  EXPECT_FALSE(Apply().ok());
  std::filesystem::rename(dir_ + "/aside", dir_ + "/volumes/3");
  EXPECT_TRUE(Apply().ok());
  EXPECT_TRUE(host_->Trouble(VolumeId(3)).ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherTimeIsLeftAlone) {
  Used();
  data().set_epoch(6);  // it has been elsewhere since
  Restart();
  ExpectRefused(Apply(), "of another time");
  data().set_epoch(5);
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherClusterIsLeftAlone) {
  Used();
  conf_.set_cluster_id("elsewhere");
  Restart();
  ExpectRefused(Apply(), "holds another volume");
  conf_.set_cluster_id("here");
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
}

TEST_F(VolumeHostTest, ADatabaseOfAnotherVolumeIsLeftAlone) {
  Used();
  End();
  std::filesystem::rename(dir_ + "/volumes/3", dir_ + "/volumes/4");
  Begin();
  ASSERT_TRUE(cluster_->RemoveVolume(VolumeId(3)).ok());
  data().set_id(4);
  EXPECT_THAT(Apply().message(), HasSubstr("holds another volume"));
  EXPECT_FALSE(Serves());
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/volumes/4"));
}

TEST_F(VolumeHostTest, AStampThatCannotBeReadIsNobodys) {
  Used();
  End();
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Put(StampKey(), "\xff\xff");
    (*db)->Commit();
  }
  Begin();
  ASSERT_TRUE(cluster_->RemoveVolume(VolumeId(3)).ok());
  ExpectRefused(Apply(), "holds another volume");
}

TEST_F(VolumeHostTest, AMakingThatWasInterruptedIsBegunAnew) {
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Put(DentryKey(Ino(1), "half"), "made");
    (*db)->Commit();
  }
  EXPECT_TRUE(Apply().ok());
  ASSERT_TRUE(Serves());
  EXPECT_FALSE(executor_->FindVolume("data")->store.db().Get(DentryKey(Ino(1), "half")).has_value());
}

TEST_F(VolumeHostTest, AMakingThatWasInterruptedAfterTheStampGoesOn) {
  Used();
  End();
  Begin();
  ASSERT_TRUE(cluster_->RemoveVolume(VolumeId(3)).ok());  // as if it had not been noted yet
  EXPECT_TRUE(Apply().ok());
  ExpectKept();
  EXPECT_TRUE(cluster_->volumes().contains(VolumeId(3)));
}

TEST_F(VolumeHostTest, ADatabaseWithoutAStampIsNotOverwrittenOnceItWasWhole) {
  Used();
  End();
  {
    DbMemory memory(16 << 20);
    auto db = Db::Open(dir_ + "/volumes/3", "volume", memory);
    ASSERT_TRUE(db.ok());
    (*db)->Delete(StampKey());
    (*db)->Commit();
  }
  Begin();
  ExpectRefused(Apply(), "holds another volume");
}

TEST_F(VolumeHostTest, OneVolumeInTroubleKeepsNoOtherDown) {
  Used();
  End();
  std::filesystem::remove_all(dir_ + "/volumes/3");
  Begin();
  *conf_.add_volume() = data();
  conf_.mutable_volume(1)->set_id(4);
  conf_.mutable_volume(1)->set_name("more");
  EXPECT_EQ(Apply().err(), EIO);
  EXPECT_FALSE(Serves());
  EXPECT_NE(executor_->FindVolume("more"), nullptr);
}

TEST_F(VolumeHostTest, WhatIsSealedIsNotOpenedUntilItIsDecided) {
  ASSERT_TRUE(Apply().ok());
  host_->Hold(VolumeId(3), Status(EAGAIN, Code::kTryAgain, "held"));
  EXPECT_EQ(Where().message(), "held");
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  ASSERT_TRUE(host_->Seal(VolumeId(3), "copy", 5).ok());
  Restart();
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  EXPECT_EQ(Where().code(), Code::kTryAgain);
  EXPECT_TRUE(host_->IsSealed(data()));
  // Called off: the owner stays, with another epoch.
  data().set_from_epoch(5);
  data().set_epoch(6);
  ASSERT_TRUE(Apply().ok());
  EXPECT_TRUE(Serves());
  EXPECT_FALSE(host_->IsSealed(data()));
  Restart();
  ASSERT_TRUE(Apply().ok());
  EXPECT_TRUE(Serves());
}

TEST_F(VolumeHostTest, WhatWasHandedOverIsRemovedOnceItIsDecided) {
  ASSERT_TRUE(Apply().ok());
  host_->Hold(VolumeId(3), Status(EAGAIN, Code::kTryAgain, "held"));
  ASSERT_TRUE(host_->Seal(VolumeId(3), "copy", 5).ok());
  Restart();
  data().set_owner("m2");
  data().set_transfer("copy");
  data().set_from_epoch(5);
  data().set_epoch(6);
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(VolumeHostTest, ANewOwnerBeginsWithTheCopyThatTheConfigurationNames) {
  ASSERT_TRUE(Apply().ok());
  pb::OpenSessionReply reply;
  ASSERT_TRUE(Open(&reply).ok());
  ASSERT_TRUE(Mkdir("dir").ok());
  executor_->CloseVolume(VolumeId(3), Status(EAGAIN, "closed"));
  const std::string elsewhere = dir_ + "/elsewhere";
  std::filesystem::rename(host_->Path(VolumeId(3)), elsewhere);
  ASSERT_TRUE(cluster_->RemoveVolume(VolumeId(3)).ok());
  ASSERT_TRUE(Arrive("other", elsewhere, 4).ok());
  ASSERT_TRUE(Arrive("copy", elsewhere, 5).ok());
  data().set_from_epoch(5);
  data().set_epoch(9);
  data().set_transfer("other");  // it is of another epoch
  EXPECT_EQ(Apply().err(), EIO);
  EXPECT_FALSE(Serves());
  data().set_transfer("copy");
  Restart();
  ASSERT_TRUE(Apply().ok());
  ASSERT_TRUE(Serves());
  ASSERT_TRUE(Open(&reply).ok());
  EXPECT_EQ(Mkdir("dir").err(), EEXIST);
  EXPECT_EQ(images_->Find("copy"), nullptr);
  Restart();
  ASSERT_TRUE(Apply().ok());
  EXPECT_TRUE(Serves());
}

TEST_F(VolumeHostTest, ACopyIsKeptUntilTheConfigurationHasGonePastIt) {
  ASSERT_TRUE(Apply().ok());
  executor_->CloseVolume(VolumeId(3), Status(EAGAIN, "closed"));
  ASSERT_TRUE(Arrive("copy", host_->Path(VolumeId(3)), 5).ok());
  Restart();
  conf_.set_next_volume(3);
  images_->Sweep(conf_, "m2");
  EXPECT_NE(images_->Find("copy"), nullptr);
  data().set_epoch(6);
  data().set_from_epoch(5);
  images_->Sweep(conf_, "m2");
  EXPECT_EQ(images_->Find("copy"), nullptr);
}

TEST_F(VolumeHostTest, ADamagedOrPartialCopyIsRefused) {
  ASSERT_TRUE(Put("t", [](auto& r) { r.mutable_begin()->set_volume(3); }).ok());
  const auto piece = [](const char* name, uint64_t offset) {
    return [=](auto& r) {
      r.mutable_piece()->set_name(name);
      r.mutable_piece()->set_offset(offset);
    };
  };
  EXPECT_EQ(Put("t", piece("../cluster/CURRENT", 0), Buffer::Copy("x", 1)).err(), EINVAL);
  EXPECT_EQ(Put("t", piece("000001.sst", kImagePiece), Buffer::Copy("x", 1)).err(), EINVAL);
  EXPECT_EQ(Put("u", piece("000001.sst", 0), Buffer::Copy("x", 1)).err(), ENOENT);
  EXPECT_EQ(Put("../t", [](auto& r) { r.mutable_begin()->set_volume(3); }).err(), EINVAL);
  ASSERT_TRUE(Put("t", piece("000001.sst", 0), Buffer::Copy("x", 1)).ok());
  EXPECT_EQ(Put("t", piece("000001.sst", 1), Buffer::Copy("x", 1)).err(), EINVAL);
  const Status finished = Put("t", [](auto& r) {
    r.mutable_finish()->mutable_manifest()->set_transfer("t");
    r.mutable_finish()->mutable_manifest()->set_volume(3);
    pb::ImageFile* f = r.mutable_finish()->mutable_manifest()->add_file();
    f->set_name("000001.sst");
    f->set_size(1);
    f->set_sha256("wrong");
  });
  EXPECT_EQ(finished.code(), Code::kCorrupt);
  EXPECT_EQ(images_->Find("t"), nullptr);
}

}  // namespace
}  // namespace kfs::meta
