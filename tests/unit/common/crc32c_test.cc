#include "common/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kfs {
namespace {

// RFC 3720, B.4.
TEST(Crc32c, MatchesThePublishedVectors) {
  EXPECT_EQ(Crc32c("", 0), 0u);
  EXPECT_EQ(Crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0').data(), 32), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff').data(), 32), 0x62a8ab43u);
  std::string up, down;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i), down += static_cast<char>(31 - i);
  EXPECT_EQ(Crc32c(up.data(), 32), 0x46dd794eu);
  EXPECT_EQ(Crc32c(down.data(), 32), 0x113fdb5cu);
}

uint32_t BitByBit(const std::string& data) {
  uint32_t crc = ~0u;
  for (unsigned char c : data) {
    crc ^= c;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

TEST(Crc32c, AgreesWithTheDefinitionAtEveryLengthAndAlignment) {
  std::mt19937 rng(3);
  std::string data(700, '\0');
  for (char& c : data) c = static_cast<char>(rng());
  for (size_t size = 0; size < 300; ++size) {
    const size_t from = rng() % 64;
    ASSERT_EQ(Crc32c(data.data() + from, size), BitByBit(data.substr(from, size))) << size;
  }
}

TEST(Crc32c, ContinuesFromAnEarlierPart) {
  const std::string data = "The quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= data.size(); ++cut) {
    const uint32_t first = Crc32c(data.data(), cut);
    EXPECT_EQ(Crc32c(data.data() + cut, data.size() - cut, first), Crc32c(data.data(), data.size()));
  }
}

}  // namespace
}  // namespace kfs
