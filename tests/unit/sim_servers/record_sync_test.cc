// Records of the cluster's database that a thread syncs, in virtual time.
#include "metaserver/store/record_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/store/member_db.h"
#include "tests/sim/disk/sim_disk.h"
#include "tests/sim/disk/sim_env.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::meta {
namespace {

using sim::kMilli;
using testing::ElementsAre;
using testing::IsEmpty;

class RecordSyncTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(disk_.Mkdir("/data"), 0);
    ASSERT_EQ(disk_.SyncDir("/"), 0);
    Open();
    process_ = world_.AddHost("10.0.0.1")->Start("metaserver");
    On([this] {
      thread_ = std::make_unique<WalSync>(process_->loop(), "kfs-records");
      records_ = std::make_unique<RecordSync>(*db_);
      records_->UseThread(thread_.get());
    });
  }
  void TearDown() override {
    On([this] {
      records_.reset();
      thread_.reset();
    });
    db_.reset();
  }
  void Open() {
    auto opened = Db::Open("/data/cluster", "cluster", memory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(*opened);
  }
  // What `fn` leaves for later has not happened when this returns.
  void On(const std::function<void()>& fn) {
    bool done = false;
    world_.At(world_.now(), process_, [&] {
      fn();
      done = true;
      told_in_call_ = told_;
    });
    ASSERT_TRUE(world_.RunUntil([&] { return done; }, sim::kSecond));
  }
  void Store(const std::string& what) {
    db_->Put("X", what);
    db_->Commit();
    records_->Sync([this, what] { told_.push_back(what); });
  }

  sim::SimDisk disk_{{.seed = 1, .sync_covers_names = true}};
  sim::SimEnv env_{disk_, 1};
  bool ended_ = false;
  DbMemory memory_{
      16 << 20, {.env = &env_, .one_thread = true, .on_end = [this](const std::string&) { ended_ = true; }}};
  sim::World world_{1};
  std::unique_ptr<Db> db_;
  std::shared_ptr<sim::Process> process_;
  std::unique_ptr<WalSync> thread_;
  std::unique_ptr<RecordSync> records_;
  std::unique_ptr<MemberDb> members_;
  std::vector<std::string> told_, told_in_call_;
};

TEST_F(RecordSyncTest, WhoeverStoresIsToldLaterAndInOrder) {
  On([this] {
    Store("a");
    Store("b");
    EXPECT_FALSE(records_->idle());
  });
  EXPECT_THAT(told_in_call_, IsEmpty());
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_THAT(told_, ElementsAre("a", "b"));
  EXPECT_TRUE(records_->idle());
  EXPECT_GT(db_->synced_at(), 0u);
}

TEST_F(RecordSyncTest, ASyncThatFailsEndsTheProcessAndNobodyIsTold) {
  disk_.SetFaults({.sync_eio = 10000});
  On([this] { Store("a"); });
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_TRUE(ended_);
  EXPECT_TRUE(db_->lost());
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(RecordSyncTest, WhoeverWaitsAtTheEndIsNotToldAndWhatIsStoredLaterIsSyncedAtOnce) {
  On([this] {
    Store("a");
    records_->UseThread(nullptr);
    Store("b");
  });
  EXPECT_THAT(told_in_call_, ElementsAre("b"));
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_THAT(told_, ElementsAre("b"));
}

class ChunkserverRecordTest : public RecordSyncTest {
 protected:
  void SetUp() override {
    RecordSyncTest::SetUp();
    On([this] {
      servers_ = std::make_unique<Chunkservers>(*db_, process_->loop().clock());
      servers_->SyncOn(thread_.get());
      servers_->Configure(Conf());
    });
  }
  void TearDown() override {
    On([this] { servers_.reset(); });
    RecordSyncTest::TearDown();
  }
  static pb::ClusterConf Conf() {
    pb::ClusterConf conf;
    conf.add_chunkserver()->set_id(1);
    conf.mutable_chunkserver(0)->set_uuid("u");
    return conf;
  }
  void Register(const std::string& address, const std::string& name) {
    pb::RegisterChunkserverRequest request;
    request.set_uuid("u");
    request.set_address(address);
    servers_->Register(request, nullptr, [this, name](const Result<ServerId>& id) {
      told_.push_back(name + (id.ok() ? "" : " refused"));
    });
  }
  std::unique_ptr<Chunkservers> servers_;
};

TEST_F(ChunkserverRecordTest, OneThatRegistersIsUpWhenItsAddressIsOnDisk) {
  On([this] {
    Register("10.0.0.2:1", "first");
    Register("10.0.0.2:1", "the same again");
    EXPECT_FALSE(servers_->all().begin()->second.up);
  });
  EXPECT_THAT(told_in_call_, IsEmpty());
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_THAT(told_, ElementsAre("first", "the same again"));
  EXPECT_TRUE(servers_->all().begin()->second.up);
  On([this] { Register("10.0.0.2:1", "nothing new"); });
  EXPECT_THAT(told_in_call_, ElementsAre("first", "the same again", "nothing new"));
}

TEST_F(ChunkserverRecordTest, OneThatIsRemovedMeanwhileIsNotLetIn) {
  On([this] {
    Register("10.0.0.2:1", "first");
    servers_->Configure(pb::ClusterConf());
  });
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_THAT(told_, ElementsAre("first refused"));
}

TEST_F(RecordSyncTest, AMemberSavesWithoutWaiting) {
  On([this] {
    auto members = std::make_unique<MemberDb>(*db_);
    members->SyncOn(thread_.get());
    pb::MemberRecord record;
    record.set_uuid("m1");
    members->Save(record, [this] { told_.push_back("m1"); });
    EXPECT_EQ(members->Load().uuid(), "m1");
    members_ = std::move(members);
  });
  EXPECT_THAT(told_in_call_, IsEmpty());
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_THAT(told_, ElementsAre("m1"));
  members_.reset();
}

}  // namespace
}  // namespace kfs::meta
