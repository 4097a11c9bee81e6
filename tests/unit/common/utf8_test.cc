#include "common/utf8.h"

#include <gtest/gtest.h>

namespace kfs {
namespace {

TEST(Utf8, TellsTextFromBytes) {
  for (const char* text : {"", "plain", "\u00e9\u20ac", "\U0001F600"}) EXPECT_TRUE(IsUtf8(text)) << text;
  for (const char* bytes : {"\xff", "a\x80", "\xc3", "\xe2\x82", "\xc0\xaf", "\xed\xa0\x80"})
    EXPECT_FALSE(IsUtf8(bytes));
}

TEST(Utf8, TellsWhatCanBeShownInALine) {
  for (const char* line : {"", "plain words", "\u20ac"}) EXPECT_TRUE(IsLine(line)) << line;
  for (const char* not_one : {"a\nb", "\t", "\x1b[31m", "\x7f", "\xff"}) EXPECT_FALSE(IsLine(not_one));
  EXPECT_FALSE(IsLine(std::string_view("a\0b", 3)));
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(CutText("short", 10), "short");
  EXPECT_EQ(CutText("0123456789", 10), "0123456789");
  EXPECT_EQ(CutText("0123456789x", 10), "0123456...");
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\u20ac";
  for (size_t max = 3; max < 50; ++max) {
    const std::string cut = CutText(text, max);
    EXPECT_LE(cut.size(), max);
    EXPECT_TRUE(IsUtf8(cut)) << max;
  }
}

TEST(Utf8, WhatGoesIntoALogIsPrintable) {
  EXPECT_EQ(Printable("a \"name\"\n\x1b[1m", 100), "a ?name???[1m");
  EXPECT_EQ(Printable("0123456789x", 10), "0123456...");
}

}  // namespace
}  // namespace kfs
