#include "common/secret.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

std::string Hex(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

TEST(Secret, GeneratedOnesAreLongAndDifferent) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string s = GenerateSecret(SystemRandom());
    EXPECT_EQ(s.size(), 64u);
    EXPECT_EQ(s.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_TRUE(seen.insert(s).second);
  }
  EXPECT_EQ(SystemRandom().Bytes(16).size(), 16u);
  EXPECT_NE(SystemRandom().Bytes(16), SystemRandom().Bytes(16));
}

// RFC 4231, test cases 1, 2 and 6.
TEST(Secret, HmacMatchesThePublishedVectors) {
  EXPECT_EQ(Hex(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(Hex(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(
      Hex(HmacSha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Secret, EqualityIsExact) {
  EXPECT_TRUE(EqualConstantTime("", ""));
  EXPECT_TRUE(EqualConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualConstantTime("abc", "abcd"));
  EXPECT_FALSE(EqualConstantTime("abc", ""));
  EXPECT_FALSE(EqualConstantTime(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST(SecretFile, IsPrivateAndReadsBack) {
  TempDir dir;
  const std::string path = dir.File("secret"), secret = GenerateSecret(SystemRandom());
  ASSERT_TRUE(WriteSecretFile(path, secret).ok());
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  Result<std::string> read = ReadSecretFile(path);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(*read, secret);
}

TEST(SecretFile, IsNeverOverwritten) {
  TempDir dir;
  ASSERT_TRUE(WriteSecretFile(dir.File("secret"), "the first one, long enough").ok());
  EXPECT_EQ(WriteSecretFile(dir.File("secret"), "another one, long enough").err(), EEXIST);
  EXPECT_EQ(*ReadSecretFile(dir.File("secret")), "the first one, long enough");
}

TEST(SecretFile, RefusesWhatOthersMayReadAndSaysWhatToDo) {
  TempDir dir;
  const std::string path = dir.File("secret");
  ASSERT_TRUE(WriteSecretFile(path, GenerateSecret(SystemRandom())).ok());
  for (mode_t mode : {0640, 0604, 0644}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    Result<std::string> read = ReadSecretFile(path);
    ASSERT_FALSE(read.ok()) << std::oct << mode;
    EXPECT_NE(read.status().message().find(path), std::string::npos);
  }
}

TEST(SecretFile, RefusesMissingAndShortOnes) {
  TempDir dir;
  EXPECT_EQ(ReadSecretFile(dir.File("none")).status().err(), ENOENT);
  const std::string path = dir.Write("short", "short\n");
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_FALSE(ReadSecretFile(path).ok());
}

TEST(SecretFile, ANewlineAtTheEndDoesNotMatter) {
  TempDir dir;
  const std::string path = dir.Write("secret", "0123456789abcdef0123\n");
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  ASSERT_TRUE(ReadSecretFile(path).ok());
  EXPECT_EQ(*ReadSecretFile(path), "0123456789abcdef0123");
}

}  // namespace
}  // namespace kfs
