// What every journal promises, whatever it is made of (metaserver/store/journal.h).
#include "metaserver/store/journal.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <random>

#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/faulty_disk.h"
#include "tests/unit/metaserver/memory_journal.h"

namespace kfs::meta {
namespace {

struct OfRocksDb {
  OfRocksDb() {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.env = env.get();
    rocksdb::DB* raw = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(options, dir.path() + "/db", &raw).ok());
    db.reset(raw);
    journal = std::make_unique<LocalJournal>(raw);
  }
  void Fail() { disk->writes_fail = true; }
  void AcknowledgeAll() {}

  const TempDir dir;
  const std::shared_ptr<FaultyDisk> disk = std::make_shared<FaultyDisk>(dir.path());
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  std::unique_ptr<rocksdb::DB> db;
  std::unique_ptr<Journal> journal;
};

struct InMemory {
  void Fail() { log->Fail(Status(EIO, "the log is gone")); }
  void AcknowledgeAll() {}

  const std::shared_ptr<MemoryLog> log = std::make_shared<MemoryLog>();
  const std::unique_ptr<Journal> journal = std::make_unique<MemoryJournal>(log);
};

struct LaterInMemory : InMemory {
  LaterInMemory() { log->holds = true; }
  void AcknowledgeAll() { log->Acknowledge(log->last); }
};

template <typename Kind>
class JournalTest : public testing::Test {
 protected:
  using Batches = std::vector<std::pair<LogPosition, std::string>>;

  Journal& journal() { return *kind_.journal; }
  Result<LogPosition> Append(int number, LogEpoch epoch = LogEpoch(1)) {
    rocksdb::WriteBatch batch;
    // Of several changes, so that positions are not by one.
    for (int i = 0; i <= number % 3; ++i) {
      EXPECT_TRUE(batch.Put("k" + std::to_string(i), std::to_string(number)).ok());
    }
    Result<LogPosition> at = journal().Append(batch, epoch);
    if (at.ok()) appended_.emplace_back(*at, batch.Data().substr(12));  // without RocksDB's own number
    return at;
  }
  Status Read(LogPosition after, Batches* out, size_t max = SIZE_MAX) {
    return journal().Read(after, [&](LogPosition at, std::string_view batch) {
      out->emplace_back(at, batch.substr(12));
      return out->size() < max;
    });
  }
  Batches Behind(LogPosition after) const {
    Batches out;
    for (const auto& b : appended_) {
      if (b.first > after) out.push_back(b);
    }
    return out;
  }

  Kind kind_;
  Batches appended_;
};

using Kinds = testing::Types<OfRocksDb, InMemory, LaterInMemory>;
TYPED_TEST_SUITE(JournalTest, Kinds);

TYPED_TEST(JournalTest, PositionsRiseAndAreAcknowledged) {
  LogPosition last = this->journal().acknowledged();
  for (int i = 0; i < 10; ++i) {
    const auto at = this->Append(i);
    ASSERT_TRUE(at.ok()) << at.status().ToString();
    EXPECT_GT(*at, last);
    last = *at;
    EXPECT_LE(this->journal().acknowledged(), last);
  }
  this->kind_.AcknowledgeAll();
  EXPECT_EQ(this->journal().acknowledged(), last);
  EXPECT_TRUE(this->journal().failure().ok());
}

TYPED_TEST(JournalTest, WhatWasAcknowledgedIsReadInOrderFromAnywhere) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(this->Append(i).ok());
  this->kind_.AcknowledgeAll();
  for (const auto& [at, batch] : this->appended_) {
    typename TestFixture::Batches read;
    ASSERT_TRUE(this->Read(at, &read).ok());
    EXPECT_EQ(read, this->Behind(at));
  }
  typename TestFixture::Batches some;
  ASSERT_TRUE(this->Read(this->appended_[4].first, &some, 3).ok());
  EXPECT_EQ(some.size(), 3u);
}

TYPED_TEST(JournalTest, WhoIsFencedAppendsNothing) {
  ASSERT_TRUE(this->Append(1, LogEpoch(1)).ok());
  ASSERT_TRUE(this->journal().Fence(LogEpoch(5)).ok());
  EXPECT_EQ(this->journal().Fence(LogEpoch(4)).err(), ESTALE);
  ASSERT_TRUE(this->Append(2, LogEpoch(5)).ok());
  this->kind_.AcknowledgeAll();
  EXPECT_EQ(this->Append(3, LogEpoch(4)).status().err(), ESTALE);
  EXPECT_EQ(this->journal().failure().err(), ESTALE);
  EXPECT_EQ(this->journal().acknowledged(), this->appended_.back().first);
}

TYPED_TEST(JournalTest, WhatIsNotTrimmedIsWhole) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(this->Append(i).ok());
  this->kind_.AcknowledgeAll();
  const LogPosition cut = this->appended_[9].first;
  ASSERT_TRUE(this->journal().Trim(cut).ok());
  for (const auto& [at, batch] : this->appended_) {
    typename TestFixture::Batches read;
    const Status s = this->Read(at, &read);
    if (at >= cut || s.ok()) {
      EXPECT_TRUE(s.ok()) << s.ToString();
      EXPECT_EQ(read, this->Behind(at));
    } else {
      EXPECT_EQ(s.err(), ESTALE);
    }
  }
}

TYPED_TEST(JournalTest, TheFirstAppendThatFailsIsTheLast) {
  ASSERT_TRUE(this->Append(1).ok());
  this->kind_.AcknowledgeAll();
  const LogPosition before = this->journal().acknowledged();
  this->kind_.Fail();
  EXPECT_FALSE(this->Append(2).ok());
  EXPECT_FALSE(this->journal().failure().ok());
  EXPECT_FALSE(this->Append(3).ok());
  EXPECT_EQ(this->journal().acknowledged(), before);
}

TEST(LocalJournalTest, WhatTheTablesHaveIsTrimmedAndSaysSo) {
  OfRocksDb kind;
  rocksdb::WriteBatch batch;
  ASSERT_TRUE(batch.Put("k", "v").ok());
  const auto first = kind.journal->Append(batch, {});
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(kind.journal->Append(batch, {}).ok());
  ASSERT_TRUE(kind.db->Flush(rocksdb::FlushOptions()).ok());
  const auto last = kind.journal->Append(batch, {});
  ASSERT_TRUE(last.ok());
  size_t read = 0;
  const auto count = [&](LogPosition, std::string_view) { return ++read != 0; };
  EXPECT_EQ(kind.journal->Read(*first, count).err(), ESTALE);
  EXPECT_EQ(read, 0u);
  EXPECT_TRUE(kind.journal->Read(*last, count).ok());
}

}  // namespace
}  // namespace kfs::meta
