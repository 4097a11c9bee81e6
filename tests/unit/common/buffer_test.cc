#include "common/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace kfs {
namespace {

TEST(Buffer, EmptyHasNoData) {
  Buffer none, zero(0);
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(zero.empty());
  EXPECT_EQ(zero.view(), "");
  EXPECT_TRUE(Buffer::Copy(nullptr, 0).empty());
}

TEST(Buffer, CopiesAndMoves) {
  Buffer a = Buffer::Copy("hello", 5);
  const char* data = a.data();
  Buffer b = std::move(a);
  EXPECT_EQ(b.data(), data);
  EXPECT_EQ(b.view(), "hello");
  EXPECT_TRUE(a.empty());  // NOLINT: what a move leaves is part of the promise
  b = Buffer::Copy("x", 1);
  EXPECT_EQ(b.view(), "x");
}

TEST(Buffer, LargeOnesArePageAligned) {
  for (size_t size : {size_t{4096}, size_t{5000}, size_t{1} << 20}) {
    Buffer b(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % 4096, 0u);
    b.data()[size - 1] = 'x';
    EXPECT_EQ(b.size(), size);
  }
}

TEST(Buffer, ShrinkKeepsTheFront) {
  Buffer b = Buffer::Copy("hello", 5);
  b.Shrink(2);
  EXPECT_EQ(b.view(), "he");
  b.Shrink(0);
  EXPECT_TRUE(b.empty());
}

}  // namespace
}  // namespace kfs
