#include <gmock/gmock.h>

#include <fstream>
#include <future>
#include <map>
#include <random>

#include "metaserver/store/cluster_store.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/member_db.h"
#include "metaserver/store/skipped_numbers.h"
#include "metaserver/store/synced_mark.h"
#include "metaserver/store/wal_sync.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/metaserver/meta_fixture.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::meta {
namespace {

class DbTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Db>> Open(const std::string& kind = "volume") {
    return Db::Open(dir_ + "/db", kind, memory_);
  }
  std::string Log() {
    std::string newest;
    for (const auto& e : std::filesystem::directory_iterator(dir_ + "/db")) {
      if (e.path().extension() == ".log" && e.path().string() > newest) newest = e.path().string();
    }
    return newest;
  }
  // What is on the disk when the process is killed: the log as it is written, not closed.
  void Kill(std::unique_ptr<Db> db) {
    std::filesystem::copy(dir_ + "/db", dir_ + "/killed", std::filesystem::copy_options::recursive);
    db.reset();
    std::filesystem::remove_all(dir_ + "/db");
    std::filesystem::rename(dir_ + "/killed", dir_ + "/db");
  }
  void ExpectCut(const std::string& kind = "volume") {
    auto db = Open(kind);
    ASSERT_FALSE(db.ok());
    EXPECT_EQ(db.status().code(), Code::kCorrupt);
    EXPECT_THAT(db.status().message(), testing::HasSubstr("its log ends before what had been made durable"));
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  DbMemory memory_{16 << 20};
};

TEST_F(DbTest, TheHistoryOfAMemberHasGapsAndNothingOfAnotherCluster) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  MemberDb members(**db);
  auto save = [&members](const std::string& cluster, uint64_t generation) {
    pb::MemberRecord record;
    record.set_uuid("m1");
    record.mutable_conf()->set_cluster_id(cluster);
    record.mutable_conf()->set_generation(generation);
    members.Save(record, [] {});
  };
  save("alone", 1);
  save("alone", 2);
  for (uint64_t generation : {4, 5, 9}) save("joined", generation);
  EXPECT_EQ(members.NewestUpTo(9)->generation(), 9u);
  EXPECT_EQ(members.NewestUpTo(8)->generation(), 5u);
  EXPECT_EQ(members.NewestUpTo(3), std::nullopt);
  EXPECT_EQ(members.At(2), std::nullopt);
}

TEST_F(DbTest, ReadsSeeTheUncommittedBatch) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  (*db)->Put("Xa", "1");
  EXPECT_EQ((*db)->Get("Xa"), "1");
  (*db)->Delete("Xa");
  EXPECT_EQ((*db)->Get("Xa"), std::nullopt);
  (*db)->Put("Xb", "2");
  (*db)->Commit();
  EXPECT_EQ((*db)->Get("Xb"), "2");
}

TEST_F(DbTest, KindAndFeaturesAreChecked) {
  ASSERT_TRUE(Open().ok());
  auto wrong = Open("cluster");
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.status().message().find("volume"), std::string::npos);
  {
    auto db = Open();
    rec::Format f;
    f.set_kind("volume");
    f.set_version(1);
    f.set_incompat(4);
    (*db)->Put(FormatKey(), f.SerializeAsString());
    (*db)->Commit();
  }
  auto newer = Open();
  ASSERT_FALSE(newer.ok());
  EXPECT_NE(newer.status().message().find("newer"), std::string::npos);
}

TEST_F(DbTest, OneAtATime) {
  auto first = Open();
  ASSERT_TRUE(first.ok());
  auto second = Open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().err(), EBUSY) << second.status().ToString();
}

// Not "in use": stopping another metaserver would help nobody.
TEST_F(DbTest, ALockFileThatCannotBeUsedIsAnErrorOfTheDisk) {
  { ASSERT_TRUE(Open().ok()); }
  std::filesystem::remove(dir_ + "/db/LOCK");
  std::filesystem::create_directory(dir_ + "/db/LOCK");
  auto db = Open();
  ASSERT_FALSE(db.ok());
  EXPECT_EQ(db.status().err(), EIO) << db.status().ToString();
  EXPECT_NE(db.status().message().find("/LOCK"), std::string::npos) << db.status().ToString();
  EXPECT_EQ(db.status().message().find("in use"), std::string::npos) << db.status().ToString();
}

TEST_F(DbTest, ATornTailIsToleratedDamageBeforeItIsNot) {
  {
    auto db = Open();
    for (int i = 0; i < 100; ++i) {
      (*db)->Put("X" + std::to_string(i), std::string(500, 'v'));
      (*db)->Commit();
    }
    Kill(std::move(*db));
  }
  std::string log = Log();
  auto size = std::filesystem::file_size(log);
  // As after kill -9 in the middle of a write.
  std::filesystem::resize_file(log, size - 100);
  {
    auto db = Open();
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    EXPECT_TRUE((*db)->Get("X98").has_value());
    EXPECT_FALSE((*db)->Get("X99").has_value());
    for (int i = 0; i < 100; ++i) {
      (*db)->Put("X" + std::to_string(i), std::string(500, 'w'));
      (*db)->Commit();
    }
  }
  log = Log();
  std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(log) / 2));
  file.write("damage", 6);
  file.close();
  auto db = Open();
  ASSERT_FALSE(db.ok());
  EXPECT_EQ(db.status().code(), Code::kCorrupt) << db.status().ToString();
}

TEST_F(DbTest, ALastRecordWithABadChecksumIsATornTail) {
  {
    auto db = Open();
    for (int i = 0; i < 100; ++i) {
      (*db)->Put("X" + std::to_string(i), std::string(500, 'v'));
      (*db)->Commit();
    }
    Kill(std::move(*db));
  }
  // Its length is there, its bytes are not: a power cut may leave that.
  std::fstream file(Log(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-50, std::ios::end);
  file.write(std::string(50, '\0').data(), 50);
  file.close();
  auto db = Open();
  ASSERT_TRUE(db.ok()) << db.status().ToString();
  EXPECT_TRUE((*db)->Get("X98").has_value());
  EXPECT_FALSE((*db)->Get("X99").has_value());
}

TEST_F(DbTest, ALogThatEndsBeforeWhatWasDurableIsDamage) {
  {
    auto db = Open();
    for (int i = 0; i < 100; ++i) {
      (*db)->Put("X" + std::to_string(i), std::string(500, 'v'));
      (*db)->Commit();
    }
  }
  std::filesystem::copy(dir_ + "/db", dir_ + "/whole", std::filesystem::copy_options::recursive);
  for (const uintmax_t part : {2, 1000}) {
    std::filesystem::resize_file(Log(), std::filesystem::file_size(Log()) / part);
    ExpectCut();
    ExpectCut();  // however often it is tried
    std::filesystem::remove_all(dir_ + "/db");
    std::filesystem::copy(dir_ + "/whole", dir_ + "/db", std::filesystem::copy_options::recursive);
  }
  std::filesystem::remove(Log());
  ExpectCut();
  // One that is made anew knows nothing of that.
  ASSERT_TRUE(Db::Destroy(dir_ + "/db").ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(DbTest, WhatIsDurableIsNotedWhileItIsOpen) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  const auto until = std::chrono::steady_clock::now() + 2 * SyncedMark::kEvery;
  for (int i = 0; std::chrono::steady_clock::now() < until; ++i) {
    (*db)->Put("X" + std::to_string(i), "v");
    (*db)->Commit();
    ASSERT_TRUE((*db)->Sync().ok());
  }
  Kill(std::move(*db));
  std::filesystem::resize_file(Log(), std::filesystem::file_size(Log()) / 10);
  ExpectCut();
}

// RocksDB takes such a record for the end of the log.
TEST_F(DbTest, ALengthBeyondTheEndIsDamageWhereWholeRecordsFollow) {
  {
    auto db = Open();
    for (int i = 0; i < 30; ++i) {
      (*db)->Put("X" + std::to_string(i), std::string(500, 'v'));
      (*db)->Commit();
    }
  }
  // The third record: crc:4 length:2 type:1 payload.
  std::fstream file(Log(), std::ios::in | std::ios::out | std::ios::binary);
  std::streamoff at = 0;
  for (int i = 0; i < 3; ++i) {
    unsigned char length[2];
    file.seekg(at + 4);
    file.read(reinterpret_cast<char*>(length), 2);
    if (i < 2) at += 7 + length[0] + 256 * length[1];
  }
  file.seekp(at + 5);
  file.put('\x7a');
  file.close();
  auto db = Open();
  ASSERT_FALSE(db.ok());
  EXPECT_EQ(db.status().code(), Code::kCorrupt) << db.status().ToString();
}

TEST_F(DbTest, ClusterIdAndVolumesLast) {
  std::string id;
  {
    auto store = ClusterStore::Open(dir_, memory_);
    ASSERT_TRUE(store.ok());
    id = (*store)->cluster_id();
    EXPECT_EQ(id.size(), 36u);
    rec::Volume v;
    v.set_name("a");
    for (uint32_t n : {1, 2}) {
      v.set_id(n);
      (*store)->PutVolume(v, [] {});
    }
    (*store)->RemoveVolume(VolumeId(1));
  }
  auto store = ClusterStore::Open(dir_, memory_);
  EXPECT_EQ((*store)->cluster_id(), id);
  EXPECT_EQ((*store)->starts(), 2u);
  ASSERT_EQ((*store)->volumes().size(), 1u);
  EXPECT_EQ((*store)->volumes().at(VolumeId(2)).name(), "a");
}

TEST_F(DbTest, WalSyncTellsEveryWaiterOnce) {
  auto db = Open();
  LoopThread thread("test");
  std::unique_ptr<WalSync> sync;
  std::promise<void> all;
  int done = 0;
  for (int i = 0; i < 50; ++i) {
    OnLoop(thread.loop(), [&] {
      if (sync == nullptr) sync = std::make_unique<WalSync>(thread.loop());
      (*db)->Put("X" + std::to_string(i), "v");
      (*db)->Commit();
      sync->Changed(db->get());
      sync->SyncNow(db->get(), [&] {
        if (++done == 50) all.set_value();
      });
    });
  }
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  OnLoop(thread.loop(), [&] { sync.reset(); });
  EXPECT_EQ(done, 50);
}

TEST(LruTest, ShrinkDropsTheLeastUsed) {
  Lru<int, int> lru;
  for (int i = 0; i < 10; ++i) lru.Set(i, i, 1000);
  ASSERT_NE(lru.Find(0), nullptr);
  lru.Shrink(lru.bytes() / 2);
  EXPECT_NE(lru.Find(0), nullptr);
  EXPECT_EQ(lru.Find(1), nullptr);
  EXPECT_LE(lru.size(), 5u);
}

class SmallCacheTest : public MetaTest {
 protected:
  SmallCacheTest() { cache_bytes_ = 4096; }
};

TEST_F(SmallCacheTest, WorksWithNextToNoMemory) {
  uint64_t d = Mkdir(1, "d");
  std::vector<uint64_t> inos;
  for (int i = 0; i < 500; ++i) inos.push_back(Mknod(d, "f" + std::to_string(i)));
  EXPECT_LE(volume().store.cache_bytes(), 4096u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(Lookup(d, "f" + std::to_string(i)), inos[i]);
  EXPECT_EQ(Names(d).size(), 500u);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(Unlink(d, "f" + std::to_string(i)), 0);
  EXPECT_EQ(Rmdir(1, "d"), 0);
  Settle();
  for (int i = 0; i < 50; ++i) executor_->EndTick();
  EXPECT_EQ(volume().store.counters().inodes(), 1u);
}

// A directory that was made since the start answers for names that it does not have without the database,
// until one of those it has is dropped from memory.
class NamesDroppedTest : public MetaTest {
 protected:
  NamesDroppedTest() { cache_bytes_ = 24 << 10; }
};

TEST_F(NamesDroppedTest, ANameThatIsThereIsNeverTakenForAbsent) {
  std::minstd_rand lot(1);
  uint64_t dirs[] = {0, 0, 1};
  std::map<std::pair<uint64_t, std::string>, uint64_t> there;
  int dropped = 0;
  for (int i = 0; i < 6000; ++i) {
    if (i % 1000 == 0) {
      for (const std::string name : {"a", "b"})
        there[{1, name + std::to_string(i)}] = dirs[name == "b"] = Mkdir(1, name + std::to_string(i));
    }
    const uint64_t dir = dirs[lot() % 3];
    // Sometimes few names, which all fit, and sometimes many.
    const std::string name = "n" + std::to_string(lot() % ((i / 500) % 2 == 0 ? 10 : 150));
    const auto known = there.find({dir, name});
    const bool exists = known != there.end();
    switch (lot() % 4) {
      case 0:
        if (const uint64_t ino = Mknod(dir, name); exists) {
          EXPECT_EQ(err(), EEXIST);
        } else {
          there[{dir, name}] = ino;
        }
        break;
      case 1:
        EXPECT_EQ(Unlink(dir, name), exists ? 0 : ENOENT);
        there.erase({dir, name});
        break;
      case 2: {
        const uint64_t to = dirs[lot() % 3];
        EXPECT_EQ(Rename(dir, name, to, name), exists ? 0 : ENOENT);
        if (exists && to != dir) {
          there[{to, name}] = known->second;
          there.erase({dir, name});
        }
        break;
      }
      default:
        EXPECT_EQ(Lookup(dir, name), exists ? known->second : 0);
        break;
    }
    dropped += volume().store.cache_bytes() > cache_bytes_ - 512;
  }
  EXPECT_GT(dropped, 100) << "all names fitted into memory";
}

using StoreTest = MetaTest;

TEST_F(StoreTest, NumbersSkipAheadAfterAnUncleanStop) {
  uint64_t a = Mknod(1, "a");
  Restart();
  EXPECT_GT(volume().store.counters().next_ino(), a + 1000);
  uint64_t next = volume().store.counters().next_ino();
  executor_->Stop();
  Restart();
  EXPECT_EQ(volume().store.counters().next_ino(), next);
}

TEST_F(StoreTest, ChunkNumbersThatWerePassedOverAreKnownAsSuch) {
  const uint64_t before = volume().store.counters().next_chunk();
  Restart();
  const uint64_t after = volume().store.counters().next_chunk();
  executor_->Stop();
  Restart();  // in good order
  EXPECT_EQ(volume().store.counters().next_chunk(), after);
  const SkippedNumbers skipped(volume().store.db());
  EXPECT_FALSE(skipped.Has(before - 1));
  EXPECT_TRUE(skipped.Has(before));
  EXPECT_TRUE(skipped.Has(after - 1));
  EXPECT_FALSE(skipped.Has(after));
}

TEST_F(DbTest, OnlyTheLatestNumbersThatWerePassedOverAreKept) {
  auto db = Open();
  ASSERT_TRUE(db.ok());
  for (uint64_t n = 0; n < SkippedNumbers::kKept + 5; ++n) {
    NoteSkipped(**db, n * 100 + 50, n * 100 + 60);
    (*db)->Commit();
  }
  const SkippedNumbers skipped(**db);
  EXPECT_FALSE(skipped.Has(50));
  EXPECT_TRUE(skipped.Has(655));
  EXPECT_FALSE(skipped.Has(640));
  EXPECT_TRUE(skipped.Has((SkippedNumbers::kKept + 4) * 100 + 59));
}

TEST_F(StoreTest, StatfsIsTheServersCapacity) {
  pb::StatfsReply r = Run<rpc::Statfs>(pb::StatfsRequest());
  EXPECT_EQ(r.capacity(), 1ull << 40);
  EXPECT_EQ(r.available(), 1ull << 39);
  EXPECT_EQ(r.files(), 1u);
}

TEST_F(StoreTest, WithoutChunkserversWritesWait) {
  uint64_t f = Mknod(1, "f");
  clock_.Advance(std::chrono::seconds(10));
  servers_->CheckSilence();
  Run<rpc::PrepareWrite>(PrepareOf(f, 0, 10));
  EXPECT_EQ(last_.code(), Code::kTryAgain);
  EXPECT_EQ(Stat(f).size(), 0u);
}

}  // namespace
}  // namespace kfs::meta
