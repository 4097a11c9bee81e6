#include "metaserver/store/member_db.h"

#include <gmock/gmock.h>

#include "metaserver/store/keys.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/meta_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class MemberDbTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override {
    store_.reset();
    db_.reset();
  }
  void Open() {
    store_.reset();
    db_.reset();
    auto db = Db::Open(dir_ + "/cluster", "cluster", memory_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = std::move(*db);
    store_ = std::make_unique<MemberDb>(*db_);
  }
  static pb::MemberRecord RecordAt(uint64_t generation, const std::string& cluster = "here") {
    pb::MemberRecord r;
    r.set_uuid("m1");
    r.set_incarnation(1);
    r.mutable_conf()->set_cluster_id(cluster);
    r.mutable_conf()->set_generation(generation);
    r.mutable_conf()->set_command("command " + std::to_string(generation));
    return r;
  }
  size_t Kept() {
    size_t n = 0;
    db_->Scan(GenerationPrefix(), "", [&](std::string_view, std::string_view) { return ++n, true; });
    return n;
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  DbMemory memory_{16 << 20};
  std::unique_ptr<Db> db_;
  std::unique_ptr<MemberDb> store_;
};

TEST_F(MemberDbTest, TheRecordAndTheHistoryLast) {
  EXPECT_TRUE(*store_->Empty());
  store_->Save(RecordAt(1), [] {});
  pb::MemberRecord r = RecordAt(2);
  r.mutable_promised()->set_counter(9);
  store_->Save(r, [] {});
  Open();
  EXPECT_FALSE(*store_->Empty());
  EXPECT_EQ(store_->Load().SerializeAsString(), r.SerializeAsString());
  EXPECT_EQ(store_->At(1)->command(), "command 1");
  EXPECT_EQ(store_->At(2)->command(), "command 2");
  EXPECT_EQ(store_->At(3), std::nullopt);
}

TEST_F(MemberDbTest, APromiseAddsNothingToTheHistory) {
  store_->Save(RecordAt(5), [] {});
  pb::MemberRecord r = RecordAt(5);
  r.mutable_promised()->set_counter(1);
  store_->Save(r, [] {});
  EXPECT_EQ(Kept(), 1u);
  EXPECT_EQ(store_->Load().promised().counter(), 1u);
}

TEST_F(MemberDbTest, TheHistoryIsBoundedAlsoWhereGenerationsWereMissed) {
  constexpr uint64_t kKept = MemberDb::kHistoryKept;
  for (uint64_t g = 1; g <= 5; ++g) store_->Save(RecordAt(g), [] {});
  store_->Save(RecordAt(kKept + 3), [] {});
  EXPECT_EQ(store_->At(3), std::nullopt);
  EXPECT_NE(store_->At(4), std::nullopt);
  EXPECT_EQ(Kept(), 3u);
  Open();
  store_->Load();
  store_->Save(RecordAt(3 * kKept), [] {});  // it was away for long
  EXPECT_EQ(Kept(), 1u);
}

TEST_F(MemberDbTest, AnotherClustersHistoryIsForgotten) {
  for (uint64_t g = 1; g <= 4; ++g) store_->Save(RecordAt(g, "alone"), [] {});
  Open();
  store_->Load();
  store_->Save(RecordAt(4, "together"), [] {});
  EXPECT_EQ(store_->At(3), std::nullopt);
  EXPECT_EQ(store_->At(4)->cluster_id(), "together");
}

TEST_F(MemberDbTest, ADamagedRecordIsSaidWithWhatToDo) {
  for (const char* damage : {"\xff\xff", ""}) {
    db_->Put(MemberKey(), damage);
    db_->Commit();
    Result<bool> empty = store_->Empty();
    ASSERT_FALSE(empty.ok());
    EXPECT_EQ(empty.status().err(), EIO);
    EXPECT_EQ(empty.status().code(), Code::kCorrupt);
    EXPECT_THAT(empty.status().message(), HasSubstr(dir_ + "/cluster"));
    EXPECT_THAT(empty.status().message(), HasSubstr("kfs peer repair"));
  }
}

}  // namespace
}  // namespace kfs::meta
