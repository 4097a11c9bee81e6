#include "common/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "common/secret.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs {
namespace {

constexpr char kSecret[] = "a secret of at least sixteen bytes";
constexpr char kCluster[] = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";

TEST(Keys, HkdfIsThatOfTheStandard) {
  // RFC 5869, A.3: SHA-256, no salt, no info.
  EXPECT_EQ(ToHex(Hkdf(std::string(22, '\x0b'), "")),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(Keys, EachNameHasAKeyOfItsOwn) {
  EXPECT_EQ(DeriveKey(kSecret, "root/1"), kSecret);
  EXPECT_EQ(DeriveKey(kSecret, "mount/a/1"), DeriveKey(kSecret, "mount/a/1"));
  EXPECT_NE(DeriveKey(kSecret, "mount/a/1"), DeriveKey(kSecret, "mount/a/2"));
  EXPECT_NE(DeriveKey(kSecret, "mount/a/1"), DeriveKey(kSecret, "admin/a/1"));
  EXPECT_NE(DeriveKey(kSecret, "mount/a/1"), DeriveKey("another secret of enough bytes", "mount/a/1"));
  EXPECT_EQ(DeriveKey(kSecret, "mount/a/1").size(), kKeySize);
}

TEST(Keys, NamesAreCheckedBeforeTheyAreUsed) {
  for (const char* good : {"root/1", "mount/lap-top.example_1/12", "a", "a/b/c/d"})
    EXPECT_TRUE(IsKeyId(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("a b"),
        std::string("a|b"), std::string("a\nb"), std::string("a\0b", 3), std::string("a/b/c/d/e"),
        std::string(kKeyIdSizeMax + 1, 'a')}) {
    EXPECT_FALSE(IsKeyId(bad)) << bad;
  }
}

TEST(Keys, OnlyTheClustersKeySignsForIt) {
  const SigningKey key = SigningKey::FromSecret(kSecret);
  EXPECT_EQ(key.public_key(), SigningKey::FromSecret(kSecret).public_key());
  const std::string signature = key.Sign("text");
  EXPECT_TRUE(VerifySignature(key.public_key(), "text", signature));
  EXPECT_FALSE(VerifySignature(key.public_key(), "texd", signature));
  EXPECT_FALSE(VerifySignature(key.public_key(), "text", ""));
  EXPECT_FALSE(VerifySignature("short", "text", signature));
  const SigningKey other = SigningKey::FromSecret("another secret of enough bytes");
  EXPECT_FALSE(VerifySignature(other.public_key(), "text", signature));
}

TEST(Keys, HexadecimalDigitsGoBothWays) {
  EXPECT_EQ(*FromHex(ToHex(std::string("\0\xff\x10", 3))), std::string("\0\xff\x10", 3));
  EXPECT_EQ(FromHex("abc").status().err(), EINVAL);
  EXPECT_EQ(FromHex("zz").status().err(), EINVAL);
}

TEST(Credentials, AFileThatIsNoKeyFileHoldsTheRootSecret) {
  TempDir dir;
  const std::string path = dir.File("secret");
  ASSERT_TRUE(WriteSecretFile(path, kSecret).ok());
  Result<Credentials> c = Credentials::Read(path);
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  EXPECT_TRUE(c->is_root());
  EXPECT_EQ(c->key(), kSecret);
  EXPECT_EQ(c->key_id(), kRootKeyId);
  EXPECT_EQ(c->Derived("mount/a/1").key(), DeriveKey(kSecret, "mount/a/1"));
  EXPECT_FALSE(c->Derived("mount/a/1").is_root());
}

TEST(Credentials, AKeyFileIsReadAsItWasWritten) {
  const std::string public_key = SigningKey::FromSecret(kSecret).public_key();
  const Credentials key =
      Credentials::OfKey("mount/a/1", DeriveKey(kSecret, "mount/a/1"), kCluster, public_key);
  Result<Credentials> read = Credentials::Parse(key.FileText(), "a.key");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read->is_root());
  EXPECT_EQ(read->key_id(), "mount/a/1");
  EXPECT_EQ(read->key(), key.key());
  EXPECT_EQ(read->cluster_id(), kCluster);
  EXPECT_EQ(read->cluster_public_key(), public_key);
}

TEST(Credentials, ABrokenKeyFileIsNotTakenForASecret) {
  const std::string good =
      Credentials::OfKey("mount/a/1", std::string(32, 'k'), kCluster, std::string(32, 'p')).FileText();
  auto refused = [](const std::string& text) {
    Result<Credentials> c = Credentials::Parse(text, "a.key");
    return c.ok() ? std::string("accepted") : c.status().message();
  };
  EXPECT_NE(refused("kfs-key 2\n" + good).find("upgrade"), std::string::npos);
  EXPECT_NE(refused("kfs-key 1\nid = mount/a/1\n").find("whole"), std::string::npos);
  EXPECT_NE(refused("kfs-key 1\nid = mount a\n").find("line 2"), std::string::npos);
  EXPECT_NE(refused("kfs-key 1\nkey = 12\n").find("64"), std::string::npos);
  EXPECT_NE(refused("kfs-key 1\ncluster = x\n").find("UUID"), std::string::npos);
  EXPECT_NE(refused("kfs-key 1\nnonsense\n").find("NAME = VALUE"), std::string::npos);
  EXPECT_NE(refused(good + "id = root/1\n").find("root"), std::string::npos);
  EXPECT_TRUE(Credentials::Parse(good + "# a remark\nlater-word = 1\n", "a.key").ok());
}

TEST(Keys, TheGenerationIsInTheName) {
  EXPECT_EQ(KeyGeneration("root/1"), 1u);
  EXPECT_EQ(KeyGeneration("root/12"), 12u);
  EXPECT_EQ(KeyGeneration("chunkserver/x/2"), 2u);
  EXPECT_EQ(KeyGeneration("mount/a/7"), 1u);
  EXPECT_EQ(KeyGeneration("mount/a/7/2"), 2u);
  for (const char* id : {"", "root", "root/", "root/0", "root/01", "root/x", "root/1/2", "chunkserver/x",
                         "mount/a", "mount/a/7/1", "mount/a/7/02", "link/5/6", "root/1000000"})
    EXPECT_EQ(KeyGeneration(id), 0u) << id;
  for (const char* name : {"mount/a/7", "admin/b/8", "invitation/c/9"}) {
    EXPECT_EQ(WithGeneration(name, 1), name);
    EXPECT_EQ(KeyGeneration(WithGeneration(name, 3)), 3u);
    EXPECT_EQ(WithoutGeneration(WithGeneration(name, 3)), name);
    EXPECT_EQ(WithoutGeneration(name), name);
  }
}

TEST(Credentials, ALaterRootSecretHasAFileThatNamesItsGeneration) {
  const Credentials second = Credentials::Root(std::string(32, 'n'), 2);
  Result<Credentials> read = Credentials::Parse(second.FileText(), "secret");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE(read->is_root());
  EXPECT_EQ(read->key_id(), "root/2");
  EXPECT_EQ(read->key(), second.key());
  EXPECT_FALSE(Credentials::Parse("kfs-key 1\nid = root/2\n", "secret").ok());
}

TEST(Credentials, WithTheOlderSecretEachKeyComesFromItsOwn) {
  const Credentials first = Credentials::Root(kSecret), second = Credentials::Root(std::string(32, 'n'), 2);
  EXPECT_FALSE(first.WithOlder(second).ok());
  EXPECT_FALSE(second.WithOlder(second).ok());
  EXPECT_FALSE(Credentials::Root(kSecret, 2).WithOlder(first).ok()) << "the same one under another name";
  Result<Credentials> both = second.WithOlder(first);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->Derived("mount/a/1").key(), first.Derived("mount/a/1").key());
  EXPECT_EQ(both->Derived("mount/a/1/2").key(), second.Derived("mount/a/1/2").key());
  EXPECT_EQ(both->With({.tls = TlsMode::kOff, .socket_dir = {}}).older()->policy().tls, TlsMode::kOff);
  EXPECT_EQ(both->WithoutOlder().older(), nullptr);
}

TEST(Credentials, WhatOthersMayReadIsRefused) {
  TempDir dir;
  const std::string path = dir.File("a.key");
  std::ofstream(path)
      << Credentials::OfKey("mount/a/1", std::string(32, 'k'), kCluster, std::string(32, 'p')).FileText();
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  EXPECT_EQ(Credentials::Read(path).status().err(), EPERM);
}

TEST(Credentials, WordsOfTlsModes) {
  for (const TlsMode mode : {TlsMode::kRequired, TlsMode::kAccept, TlsMode::kOff})
    EXPECT_EQ(*ParseTlsMode(TlsModeName(mode)), mode);
  EXPECT_EQ(ParseTlsMode("no").status().err(), EINVAL);
}

}  // namespace
}  // namespace kfs
