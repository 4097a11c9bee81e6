#include "metaserver/store/wal_sync.h"

#include <gtest/gtest.h>

#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::meta {
namespace {

using sim::kMilli;

// In virtual time: when it comes can be said exactly.
class WalSyncTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Db::Open(dir_.File("db"), "volume", memory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(*opened);
    process_ = world_.AddHost("10.0.0.1")->Start("metaserver");
    world_.At(0, process_, [this] { sync_ = std::make_unique<WalSync>(process_->loop()); });
    world_.RunUntil(kMilli);
  }
  void TearDown() override {
    world_.At(world_.now(), process_, [this] { sync_.reset(); });
    world_.RunUntil(world_.now() + kMilli);
  }
  void Write(size_t bytes) {
    world_.At(world_.now(), process_, [this, bytes] {
      db_->Put("X", std::string(bytes, 'x'));
      db_->Commit();
      if (db_->TakeUnsynced()) sync_->Changed(db_.get());
    });
    world_.RunUntil(world_.now() + kMilli);
  }

  TempDir dir_;
  DbMemory memory_{64 << 20};
  sim::World world_{1};
  std::unique_ptr<Db> db_;
  std::shared_ptr<sim::Process> process_;
  std::unique_ptr<WalSync> sync_;
};

TEST_F(WalSyncTest, ALittleHasHalfASecond) {
  const uint64_t before = db_->synced_at();
  Write(100);
  world_.RunUntil(world_.now() + 450 * kMilli);
  EXPECT_EQ(db_->synced_at(), before);
  world_.RunUntil(world_.now() + 100 * kMilli);
  EXPECT_GT(db_->synced_at(), before);
}

TEST_F(WalSyncTest, MuchIsSyncedAtOnce) {
  const uint64_t before = db_->synced_at();
  for (int i = 0; i < 3; ++i) Write(1 << 20);
  EXPECT_EQ(db_->synced_at(), before);
  for (int i = 0; i < 2; ++i) Write(1 << 20);
  world_.RunUntil(world_.now() + 10 * kMilli);
  const uint64_t much = db_->synced_at();
  EXPECT_GT(much, before);
  Write(100);  // counted anew
  world_.RunUntil(world_.now() + 450 * kMilli);
  EXPECT_EQ(db_->synced_at(), much);
}

}  // namespace
}  // namespace kfs::meta
