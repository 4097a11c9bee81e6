#include "client/layout_cache.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

ChunkPlace Place(uint32_t index, uint64_t chunk) {
  return {.index = index, .chunk = chunk, .version = 1, .written = true, .replicas = {{.address = "a"}}};
}

TEST(LayoutCache, FindsWhatWasPut) {
  LayoutCache cache(2);
  cache.Put(Ino(1), Place(3, 30));
  ASSERT_NE(cache.Find(Ino(1), 3), nullptr);
  EXPECT_EQ(cache.Find(Ino(1), 3)->chunk, 30u);
  EXPECT_EQ(cache.Find(Ino(1), 4), nullptr);
  EXPECT_EQ(cache.Find(Ino(2), 3), nullptr);
}

TEST(LayoutCache, LeastRecentlyUsedInodeGoes) {
  LayoutCache cache(2);
  cache.Put(Ino(1), Place(0, 1));
  cache.Put(Ino(2), Place(0, 2));
  ASSERT_NE(cache.Find(Ino(1), 0), nullptr);  // used: inode 2 is the oldest now
  cache.Put(Ino(3), Place(0, 3));
  EXPECT_EQ(cache.inodes(), 2u);
  EXPECT_EQ(cache.Find(Ino(2), 0), nullptr);
  EXPECT_NE(cache.Find(Ino(1), 0), nullptr);
}

TEST(LayoutCache, ChunksOfAnInodeAreBounded) {
  LayoutCache cache(1);
  for (uint32_t i = 0; i <= LayoutCache::kChunksPerInodeMax; ++i) cache.Put(Ino(1), Place(i, i + 1));
  EXPECT_EQ(cache.Find(Ino(1), 0), nullptr);
  EXPECT_NE(cache.Find(Ino(1), LayoutCache::kChunksPerInodeMax), nullptr);
}

TEST(LayoutCache, DropForgetsTheInode) {
  LayoutCache cache(2);
  cache.Put(Ino(1), Place(0, 1));
  cache.Drop(Ino(1));
  cache.Drop(Ino(9));
  EXPECT_EQ(cache.Find(Ino(1), 0), nullptr);
  EXPECT_EQ(cache.inodes(), 0u);
}

}  // namespace
}  // namespace kfs
