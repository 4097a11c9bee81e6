// Lists of files on a chunkserver, from records as the metaserver writes them.
#include "metaserver/chunks/chunk_files.h"

#include <gtest/gtest.h>

#include <map>

#include "metaserver/store/db.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/records.pb.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs::meta {
namespace {

using File = pb::ChunkserverFilesReply::File;

class ChunkFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    auto db = Db::Open(temp_.path() + "/db", "volume", memory_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = std::move(*db);
    PutInode(1, 1);
  }
  void PutInode(uint64_t ino, uint64_t parent, uint32_t nlink = 1) {
    rec::Inode inode;
    inode.set_ino(ino);
    inode.set_parent(parent);
    inode.set_nlink(nlink);
    inode.set_size(ino * 10);
    db_->Put(InodeKey(Ino(ino)), inode.SerializeAsString());
  }
  void PutName(uint64_t dir, uint64_t cookie, const std::string& name, uint64_t ino) {
    rec::Dentry dentry;
    dentry.set_ino(ino);
    dentry.set_cookie(cookie);
    dentry.set_name(name);
    db_->Put(CookieKey(Ino(dir), cookie), dentry.SerializeAsString());
  }
  void PutFile(uint64_t dir, uint64_t cookie, const std::string& name, uint64_t ino) {
    PutInode(ino, dir);
    PutName(dir, cookie, name, ino);
  }
  void PutChunk(uint64_t ino, uint32_t index, uint64_t server) {
    rec::Chunk chunk;
    chunk.set_chunk(ino * 1000 + index);
    chunk.add_server(server);
    db_->Put(ChunkKey(Ino(ino), index), chunk.SerializeAsString());
  }
  // All pages. A file that goes on in another one counts once.
  std::map<uint64_t, File> All(uint64_t server, const ChunkFilesLimits& limits = {}) {
    db_->Commit();
    std::map<uint64_t, File> out;
    pb::ChunkserverFilesRequest request;
    request.set_server(server);
    for (pages_ = 1; pages_ < 10000; ++pages_) {
      DbView view(*db_);
      pb::ChunkserverFilesReply reply;
      EXPECT_TRUE(ChunkFilesPage(view, request, limits, &reply).ok());
      for (const File& f : reply.file()) {
        const uint64_t before = out[f.ino()].chunks();
        out[f.ino()] = f;
        out[f.ino()].set_chunks(before + f.chunks());
      }
      if (!reply.has_next()) return out;
      *request.mutable_from() = reply.next();
    }
    ADD_FAILURE() << "the list does not end";
    return out;
  }

  const TempDir temp_;
  DbMemory memory_{16 << 20};
  std::unique_ptr<Db> db_;
  int pages_ = 0;
};

TEST_F(ChunkFilesTest, WhatIsOnAChunkserverIsNamedByItsPath) {
  PutFile(1, 1, "dir", 2);
  PutFile(2, 1, "sub", 3);
  PutFile(3, 1, "file", 4);
  PutFile(1, 2, "other", 5);
  for (uint32_t i = 0; i < 3; ++i) PutChunk(4, i, i == 1 ? 8 : 7);
  PutChunk(5, 0, 8);
  auto on_7 = All(7);
  ASSERT_EQ(on_7.size(), 1u);
  EXPECT_EQ(on_7[4].path(), "dir/sub/file");
  EXPECT_EQ(on_7[4].named(), File::PATH);
  EXPECT_EQ(on_7[4].chunks(), 2u);
  EXPECT_EQ(on_7[4].size(), 40u);
  auto on_8 = All(8);
  ASSERT_EQ(on_8.size(), 2u);
  EXPECT_EQ(on_8[4].chunks(), 1u);
  EXPECT_EQ(on_8[5].path(), "other");
  EXPECT_TRUE(All(9).empty());
}

TEST_F(ChunkFilesTest, PagesOfAnySizeGiveTheSame) {
  PutFile(1, 1, "dir", 2);
  for (uint64_t i = 0; i < 50; ++i) {
    PutFile(i % 3 == 0 ? 1 : 2, 10 + i, "file" + std::to_string(i), 100 + i);
    for (uint32_t c = 0; c < 5; ++c) PutChunk(100 + i, c, 7 + c % 2);
  }
  const auto whole = All(7);
  ASSERT_EQ(whole.size(), 50u);
  EXPECT_EQ(pages_, 1);
  for (const ChunkFilesLimits& limits : {ChunkFilesLimits{.records = 1}, ChunkFilesLimits{.records = 7},
                                         ChunkFilesLimits{.files = 3}, ChunkFilesLimits{.all_bytes = 30}}) {
    auto parts = All(7, limits);
    EXPECT_GT(pages_, 2);
    ASSERT_EQ(parts.size(), whole.size());
    for (const auto& [ino, file] : whole)
      EXPECT_EQ(parts[ino].SerializeAsString(), file.SerializeAsString()) << ino;
  }
}

TEST_F(ChunkFilesTest, WhatHasNoPathIsSaidAsSuch) {
  PutInode(10, 1, 0);  // removed and open
  PutInode(11, 0);     // the name that is known has been removed, another one is there
  PutInode(12, 1);     // not found in its directory
  PutName(1, 1, "else", 13);
  for (uint64_t ino : {10, 11, 12, 14}) PutChunk(ino, 0, 7);  // 14: no such inode
  auto all = All(7);
  EXPECT_EQ(all[10].named(), File::NAMELESS);
  EXPECT_EQ(all[11].named(), File::UNKNOWN);
  EXPECT_EQ(all[12].named(), File::DIRECTORY);
  EXPECT_EQ(all[12].path(), "");
  EXPECT_EQ(all[14].named(), File::NAMELESS);
}

// Files that were made one after the other are found one after the other, however many there are and however
// few names a page may look at.
TEST_F(ChunkFilesTest, APageGoesOnInALargeDirectoryWhereTheLastOneFoundSomething) {
  for (uint64_t i = 0; i < 3000; ++i) {
    PutFile(1, 1 + i, "f" + std::to_string(i), 100 + i);
    if (i >= 2000) PutChunk(100 + i, 0, 7);
  }
  auto all = All(7, {.names = 2100, .files = 100});
  ASSERT_EQ(all.size(), 1000u);
  for (const auto& [ino, file] : all) EXPECT_EQ(file.path(), "f" + std::to_string(ino - 100));
}

TEST_F(ChunkFilesTest, AVeryLongPathIsCutAtItsBeginning) {
  const std::string name(255, 'n');
  for (uint64_t dir = 1; dir < 100; ++dir) PutFile(dir, 1, name, dir + 1);
  PutChunk(100, 0, 7);
  auto all = All(7);
  EXPECT_LE(all[100].path().size(), 4096u);
  EXPECT_TRUE(all[100].path().starts_with(".../" + name + "/")) << all[100].path();
  EXPECT_TRUE(all[100].path().ends_with("/" + name));
}

// A directory that is its own ancestor cannot be, but a damaged record must not keep the thread for ever.
TEST_F(ChunkFilesTest, ACycleEnds) {
  PutInode(2, 3, 2);
  PutInode(3, 2, 2);
  PutFile(2, 1, "file", 4);
  PutChunk(4, 0, 7);
  EXPECT_EQ(All(7).size(), 1u);
}

}  // namespace
}  // namespace kfs::meta
