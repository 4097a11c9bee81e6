// What is not in the database yet is read as if it were: by key, and in order, through any number of layers.
#include "metaserver/store/overlay.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "metaserver/store/db.h"
#include "metaserver/store/db_view.h"
#include "metaserver/store/keys.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::meta {
namespace {

using Records = std::map<std::string, std::optional<std::string>>;  // nullopt: deleted

Records From(const Overlay& overlay, std::string_view from, std::string_view end) {
  Records seen;
  std::string last;
  for (Overlay::Cursor at(overlay, from, end); at.valid(); at.Next()) {
    EXPECT_TRUE(seen.empty() || last < at.key());
    last = at.key();
    seen[last] = at.value();
  }
  return seen;
}

class OverlayTest : public testing::Test {
 protected:
  std::string Key() { return "k" + std::to_string(random_() % 40); }
  std::optional<std::string> Value() {
    if (random_() % 4 == 0) return std::nullopt;
    return std::to_string(random_() % 1000);
  }
  // Of its keys in [from, end).
  static Records Of(const Records& all, const std::string& from, const std::string& end) {
    return {all.lower_bound(from), end.empty() ? all.end() : all.lower_bound(end)};
  }

  const unsigned seed_ = static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed());
  std::mt19937 random_{seed_};
};

TEST_F(OverlayTest, TheLatestCountsUntilItsLayerGoes) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  Overlay overlay;
  std::deque<Records> layers(1);  // the oldest first
  for (int step = 0; step < 4000; ++step) {
    if (const unsigned what = random_() % 12; what == 0 && layers.size() < 5) {
      overlay.Seal();
      layers.emplace_back();
    } else if (what == 1 && layers.size() > 1) {
      overlay.DropOldest();
      layers.pop_front();
    } else {
      const std::string key = Key();
      const std::optional<std::string> value = Value();
      overlay.Put(key, value);
      layers.back()[key] = value;
    }
    Records all;
    for (const Records& layer : layers) {
      for (const auto& [key, value] : layer) all[key] = value;
    }
    const std::string from = Key(), end = random_() % 2 == 0 ? "" : from + "5";
    ASSERT_EQ(From(overlay, from, end), Of(all, from, end)) << "step " << step;
    const Overlay::Value* found = overlay.Find(from);
    ASSERT_EQ(found != nullptr, all.contains(from));
    if (found != nullptr) {
      ASSERT_EQ(found->has_value(), all[from].has_value());
    }
    Records open;
    overlay.ForEachOpen([&](std::string_view key, Overlay::Value value) { open[std::string(key)] = value; });
    ASSERT_EQ(open, layers.back());
    ASSERT_EQ(overlay.empty(), layers.size() == 1 && layers[0].empty());
    if (layers.size() == 1) {
      ASSERT_EQ(overlay.sealed_bytes(), 0u);
    }
  }
}

class DbOverlayTest : public OverlayTest {
 protected:
  void SetUp() override {
    auto db = Db::Open(dir_.path() + "/db", "volume", memory_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = std::move(*db);
  }
  template <typename Source>
  static Records Scan(Source& source, const std::string& from, size_t max = SIZE_MAX) {
    Records seen;
    source.Scan("k", from, [&](std::string_view key, std::string_view value) {
      seen[std::string(key)] = value;
      return seen.size() < max;
    });
    return seen;
  }

  const TempDir dir_;
  DbMemory memory_{16 << 20};
  std::unique_ptr<Db> db_;
};

TEST_F(DbOverlayTest, AScanSeesTheBatchAndDoesNotWriteIt) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  Records written, now;  // without what is deleted
  for (int step = 0; step < 3000; ++step) {
    const std::string key = Key();
    const std::optional<std::string> value = Value();
    const bool soon = random_() % 3 == 0;
    if (value) {
      soon ? db_->PutSoon(key, *value) : db_->Put(key, *value);
      now[key] = value;
    } else {
      soon ? db_->DeleteSoon(key) : db_->Delete(key);
      now.erase(key);
    }
    if (random_() % 50 == 0 && db_->dirty()) {
      db_->Commit();
      written = now;
    }
    const std::string from = random_() % 2 == 0 ? "" : Key();
    const size_t max = 1 + random_() % 50;
    Records expected = Of(now, from, "");
    while (expected.size() > max) expected.erase(std::prev(expected.end()));
    ASSERT_EQ(Scan(*db_, from, max), expected) << "step " << step;
    DbView view(*db_);
    ASSERT_EQ(Scan(view, ""), written) << "step " << step;
  }
}

TEST_F(DbOverlayTest, WhatMayStayForAWhileIsReadMeanwhile) {
  db_->Put("k1", "old");
  db_->Commit();
  db_->PutSoon("k1", "new");
  db_->PutSoon("k2", "");
  EXPECT_FALSE(db_->dirty());
  EXPECT_EQ(db_->Get("k1"), "new");
  db_->DeleteSoon("k1");
  EXPECT_EQ(Scan(*db_, ""), (Records{{"k2", ""}}));
  db_->Put("k2", "again");  // an order of its own is not needed
  db_->Commit();
  EXPECT_EQ(Scan(*db_, ""), (Records{{"k2", "again"}}));
}

TEST_F(DbOverlayTest, AllOfAPrefixIsDeletedInABatchOfItsOwn) {
  for (const char* key : {"j", "k1", "k2", "l"}) db_->Put(key, "x");
  db_->Commit();
  const uint64_t before = db_->writes();
  db_->DeleteAll("k");
  EXPECT_EQ(db_->writes(), before + 1);
  EXPECT_EQ(Scan(*db_, ""), Records());
  EXPECT_TRUE(db_->Get("j") && db_->Get("l"));
}

TEST_F(DbOverlayTest, ARangeIsDeletedAmongKeysWhoseLastPlaceIsRemembered) {
  const SessionId one(1), other(2);
  for (uint64_t i = 0; i < 50; ++i) {
    for (const SessionId session : {one, other}) db_->Put(ReplyKey(session, i), "x");
    db_->Commit();
    if (i % 10 == 9) db_->DeleteAll(ReplyPrefix(one));
  }
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_FALSE(db_->Get(ReplyKey(one, i)));
    EXPECT_TRUE(db_->Get(ReplyKey(other, i)));
  }
}

}  // namespace
}  // namespace kfs::meta
