// Whose disks they are, and what stands in the names and headers of chunks.
#include "store_fixture.h"

namespace kfs {
namespace {

class IdentityTest : public StoreTest {};

TEST_F(IdentityTest, IdentityIsKept) {
  dirs_ = {root_ + "/d0", root_ + "/d1"};
  Open();
  const std::string uuid = store_->server_uuid();
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(store_->cluster_id(), "");
  ASSERT_TRUE(store_->AdoptCluster("cluster-a").ok());
  Open();
  EXPECT_EQ(store_->server_uuid(), uuid);
  EXPECT_EQ(store_->cluster_id(), "cluster-a");
  EXPECT_TRUE(store_->AdoptCluster("cluster-a").ok());
  EXPECT_EQ(store_->AdoptCluster("cluster-b").code(), Code::kWrongCluster);
  store_.reset();
  std::swap(dirs_[0], dirs_[1]);
  std::filesystem::remove_all(dirs_[0]);  // a replaced first disk
  Open();
  EXPECT_EQ(store_->server_uuid(), uuid);
}

TEST_F(IdentityTest, DisksOfTwoChunkserversDoNotMix) {
  Open();
  store_.reset();
  dirs_ = {root_ + "/d1"};
  Open();
  store_.reset();
  dirs_ = {root_ + "/d0", root_ + "/d1"};
  auto opened = ChunkStore::Open(StoreOptions());
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find("belongs to chunkserver"), std::string::npos);
}

TEST_F(IdentityTest, ADamagedIdentityTakesThatDiskOutOnly) {
  dirs_ = {root_ + "/d0", root_ + "/d1"};
  Open();
  store_.reset();
  Flip(dirs_[1] + "/kfs-disk", 40);
  Open();
  EXPECT_TRUE(store_->disks()[0]->healthy());
  EXPECT_FALSE(store_->disks()[1]->healthy());
  EXPECT_EQ(Read(0, 1).status().err(), EIO) << "it may be on the disk that is out";
}

TEST_F(IdentityTest, ADirectoryInUseIsRefused) {
  Open();
  auto second = ChunkStore::Open(StoreOptions());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("in use"), std::string::npos) << second.status().ToString();
}

TEST_F(IdentityTest, NoDirectoryAtAll) {
  dirs_ = {};
  EXPECT_FALSE(ChunkStore::Open(StoreOptions()).ok());
  dirs_ = {root_ + "/not/there"};
  EXPECT_FALSE(ChunkStore::Open(StoreOptions()).ok());
}

TEST(FormatTest, HeaderRoundTrip) {
  ChunkHeader h{.key = {VolumeId(3), ChunkId(77)},
                .version = ChunkVersion(9),
                .dirty = false,
                .boot = ParseBootId("fb712eaa-a76c-46c7-9d36-3939761302f0")};
  char raw[kMetaHeaderUsed];
  EncodeChunkHeader(h, raw);
  auto back = DecodeChunkHeader(raw, h.key);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->version, h.version);
  EXPECT_EQ(back->dirty, false);
  EXPECT_EQ(back->boot, h.boot);
  EXPECT_EQ(h.boot[0], 0xfb);
}

TEST(FormatTest, NamesRoundTrip) {
  ChunkId id;
  std::string_view suffix;
  EXPECT_TRUE(Disk::ParseName("000000000000002a.meta", &id, &suffix));
  EXPECT_EQ(id.v, 42u);
  EXPECT_EQ(suffix, "meta");
  for (const char* bad : {"", ".", "2a.meta", "000000000000002g.meta", "000000000000002ameta"}) {
    EXPECT_FALSE(Disk::ParseName(bad, &id, &suffix)) << bad;
  }
}

}  // namespace
}  // namespace kfs
