// A volume's database on its way from one owner to the next: sealed, copied, begun with.
#include "tests/unit/metaserver/volume_host_fixture.h"

namespace kfs::meta {
namespace {

class VolumeCopiesTest : public VolumeHostTest {
 protected:
  // The files of a closed database arrive as a transfer.
  Status Arrive(const std::string& transfer, const std::string& from, uint64_t epoch) {
    pb::ImageManifest manifest;
    manifest.set_transfer(transfer);
    manifest.set_cluster_id("here");
    manifest.set_volume(3);
    manifest.set_epoch(epoch);
    KFS_RETURN_IF_ERROR(Put(transfer, [](auto& r) { r.mutable_begin()->set_volume(3); }));
    auto files = ListImage(SystemFiles(), from);
    KFS_RETURN_IF_ERROR(files.status());
    for (pb::ImageFile& file : *files) {
      Sha256 sum;
      for (uint64_t offset = 0; offset <= file.size(); offset += kImagePiece) {
        auto bytes = ReadPiece(SystemFiles(), from + "/" + file.name(), offset);
        KFS_RETURN_IF_ERROR(bytes.status());
        sum.Add(bytes->view());
        KFS_RETURN_IF_ERROR(Put(
            transfer,
            [&](auto& r) {
              r.mutable_piece()->set_name(file.name());
              r.mutable_piece()->set_offset(offset);
            },
            std::move(*bytes)));
      }
      file.set_sha256(sum.Finish());
      *manifest.add_file() = file;
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
  void Seal() {
    Status sealed(EIO, "not yet");
    host_->Seal(VolumeId(3), "copy", 5, [&](const Status& s) { sealed = s; });
    ASSERT_TRUE(sealed.ok()) << sealed.ToString();
  }
};

TEST_F(VolumeCopiesTest, WhatIsSealedIsNotOpenedUntilItIsDecided) {
  ASSERT_TRUE(Apply().ok());
  host_->Hold(VolumeId(3), Status(EAGAIN, Code::kTryAgain, "held"), [] {});
  EXPECT_EQ(Where().message(), "held");
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(Serves());
  Seal();
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

TEST_F(VolumeCopiesTest, WhatWasHandedOverIsRemovedOnceItIsDecided) {
  ASSERT_TRUE(Apply().ok());
  host_->Hold(VolumeId(3), Status(EAGAIN, Code::kTryAgain, "held"), [] {});
  Seal();
  Restart();
  data().set_owner("m2");
  data().set_transfer("copy");
  data().set_from_epoch(5);
  data().set_epoch(6);
  ASSERT_TRUE(Apply().ok());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
  EXPECT_TRUE(cluster_->volumes().empty());
}

TEST_F(VolumeCopiesTest, ANewOwnerBeginsWithTheCopyThatTheConfigurationNames) {
  ASSERT_TRUE(Apply().ok());
  pb::OpenSessionReply reply;
  ASSERT_TRUE(Open(&reply).ok());
  ASSERT_TRUE(Mkdir("dir").ok());
  executor_->CloseVolume(VolumeId(3), Status(EAGAIN, "closed"));
  const std::string elsewhere = dir_ + "/elsewhere";
  std::filesystem::rename(host_->Path(VolumeId(3)), elsewhere);
  cluster_->RemoveVolume(VolumeId(3));
  ASSERT_TRUE(Arrive("other", elsewhere, 4).ok());
  ASSERT_TRUE(Arrive("copy", elsewhere, 5).ok());
  data().set_from_epoch(5);
  data().set_epoch(9);
  data().set_transfer("other");  // it is of another epoch
  EXPECT_EQ(Apply().err(), EIO);
  EXPECT_FALSE(Serves());
  data().set_transfer("lost");  // nothing is made in its place
  Restart();
  EXPECT_EQ(Apply().err(), EIO);
  EXPECT_FALSE(Serves());
  EXPECT_FALSE(std::filesystem::exists(host_->Path(VolumeId(3))));
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

TEST_F(VolumeCopiesTest, ARestoredVolumeIsAsItWasWithoutTheSessionsOfThatTime) {
  const pb::OpenSessionReply session = Used();
  const uint64_t ino = executor_->FindVolume("data")->store.counters().next_ino();
  executor_->CloseVolume(VolumeId(3), Status(EAGAIN, "closed"));
  ASSERT_TRUE(Arrive("backup", host_->Path(VolumeId(3)), 5).ok());
  ASSERT_TRUE(Apply().ok());
  pb::OpenSessionReply reply;
  ASSERT_TRUE(Open(&reply).ok());
  ASSERT_TRUE(Mkdir("later").ok());
  // Chunkservers know how far it was: the backup is behind that, and no older copy.
  ASSERT_TRUE(
      points_.Heard(points_.Signed(VolumeId(3), executor_->FindVolume("data")->line, uint64_t{1} << 40, 1)));
  data().set_started(false);
  ASSERT_TRUE(Apply().ok());
  data().set_transfer("backup");
  data().set_restored(true);
  data().set_from_epoch(5);
  data().set_epoch(9);
  ASSERT_TRUE(Apply().ok());
  data().set_started(true);
  for (int start = 0; start < 2; ++start) {
    ASSERT_TRUE(Apply().ok());
    ExpectKept();
    VolumeStore& store = executor_->FindVolume("data")->store;
    EXPECT_FALSE(store.db().Get(DentryKey(Ino(1), "later")).has_value());
    EXPECT_GT(store.counters().next_ino(), ino + (1 << 27));  // none that was given out since
    EXPECT_EQ(Open(&reply, &session).code(), Code::kUnknownSession);
    for (const char* prefix : {"S", "A", "M", "G"})
      store.db().Scan(prefix, "", [&](std::string_view key, std::string_view) {
        ADD_FAILURE() << "left: " << testing::PrintToString(key);
        return true;
      });
    ASSERT_TRUE(std::filesystem::exists(host_->Path(VolumeId(3)) + ".replaced"));
    EXPECT_EQ(images_->Find("backup"), nullptr);
    Restart();
  }
  ASSERT_TRUE(Apply().ok());
  ASSERT_TRUE(Open(&reply).ok());
  EXPECT_TRUE(Mkdir("later").ok());
}

TEST_F(VolumeCopiesTest, ABackupRestoredAgainGivesOutOtherNumbers) {
  (void)Used();
  executor_->CloseVolume(VolumeId(3), Status(EAGAIN, "closed"));
  const std::string backup = dir_ + "/backup";
  std::filesystem::copy(host_->Path(VolumeId(3)), backup);
  uint64_t ino = 0, chunk = 0, session = 0;
  for (uint64_t restore = 0; restore < 4; ++restore) {
    if (restore == 2) {  // nothing is left of what was there before
      std::filesystem::remove_all(host_->Path(VolumeId(3)));
      std::filesystem::remove_all(host_->Path(VolumeId(3)) + ".replaced");
    }
    const std::string transfer = "backup" + std::to_string(restore);
    ASSERT_TRUE(Arrive(transfer, backup, 5).ok());
    data().set_started(false);
    ASSERT_TRUE(Apply().ok());
    data().set_transfer(transfer);
    data().set_restored(true);
    data().set_from_epoch(data().epoch());
    data().set_epoch(data().epoch() + 3);
    data().set_started(true);
    ASSERT_TRUE(Apply().ok());
    ExpectKept();
    VolumeStore& store = executor_->FindVolume("data")->store;
    EXPECT_GT(store.counters().next_ino(), ino + 1000000);
    EXPECT_GT(store.counters().next_chunk(), chunk + 1000000);
    EXPECT_GT(store.counters().next_session(), session + 10000);
    EXPECT_LT(store.counters().next_session(), uint64_t{1} << 39);
    ino = store.counters().next_ino();
    chunk = store.counters().next_chunk();
    session = store.counters().next_session();
  }
}

TEST_F(VolumeCopiesTest, ACopyIsKeptUntilTheConfigurationHasGonePastIt) {
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
  EXPECT_NE(images_->Find("copy"), nullptr) << "a backup may be of a state that is long past";
  clock_.Advance(ImageStore::kNamedWithin);
  images_->Sweep(conf_, "m2");
  EXPECT_EQ(images_->Find("copy"), nullptr);
}

TEST_F(VolumeCopiesTest, ADamagedOrPartialCopyIsRefused) {
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
