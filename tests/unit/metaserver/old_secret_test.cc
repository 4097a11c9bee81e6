// What the root secret before the present one still opens, and to whom: mounts, and servers that have not
// gone over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/chunk_token.h"
#include "metaserver/members/cluster_keyring.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

constexpr auto kMeta = pb::HelloRequest::METASERVER, kChunk = pb::HelloRequest::CHUNKSERVER,
               kMount = pb::HelloRequest::CLIENT, kAdmin = pb::HelloRequest::ADMIN;

class OldSecretTest : public testing::Test {
 protected:
  OldSecretTest() {
    conf_.set_cluster_id("11111111-2222-3333-4444-555555555555");
    for (const char* uuid : {"self", "peer"}) conf_.add_member()->set_uuid(uuid);
    conf_.add_chunkserver()->set_uuid("disks");
    Add("laptop", 3, pb::KeyConf::MOUNT);
    Add("ops", 4, pb::KeyConf::ADMIN);
    Add("rack", 5, pb::KeyConf::CHUNKSERVER)->set_expires(INT64_MAX);
  }
  pb::KeyConf* Add(const char* name, uint64_t serial, pb::KeyConf::Kind kind) {
    pb::KeyConf* key = conf_.add_key();
    key->set_name(name);
    key->set_serial(serial);
    key->set_kind(kind);
    return key;
  }
  std::shared_ptr<ClusterKeyring> Keyring(const Credentials& root) {
    return std::make_shared<ClusterKeyring>(
        root, clock_, [this]() -> const pb::ClusterConf* { return &conf_; }, seen_,
        [] { return std::string("self"); });
  }
  // The key; empty: refused, and why_ says why.
  std::string Find(const std::string& key_id, pb::HelloRequest::Role role,
                   const std::string& id = "anybody") {
    const auto found = keyring_->Find({.role = role, .id = id, .key_id = key_id, .address = "10.0.0.1:1"});
    why_ = found.ok() ? "" : found.status().message();
    held_ = found.ok() ? found->rights : nullptr;
    rights_ = static_cast<const MountRights*>(held_.get());
    if (!found.ok()) EXPECT_EQ(found.status().code(), Code::kBadProof);
    return found.ok() ? found->key : "";
  }

  const Credentials old_ = Credentials::Root(std::string(64, 'o')),
                    new_ = Credentials::Root(std::string(32, 'n'), 2);
  SystemClock clock_;
  pb::ClusterConf conf_;
  std::shared_ptr<SeenPeers> seen_ = std::make_shared<SeenPeers>();
  std::shared_ptr<ClusterKeyring> keyring_ = Keyring(*new_.WithOlder(old_));
  std::string why_;
  std::shared_ptr<const void> held_;
  const MountRights* rights_ = nullptr;  // what is held
};

TEST_F(OldSecretTest, ItOpensMountsUnderItsName) {
  for (const char* id : {"", "root/1"}) {
    EXPECT_EQ(Find(id, kMount), old_.key());
    ASSERT_NE(rights_, nullptr) << "it could not be told from the present one";
    EXPECT_EQ(rights_->key, "root/1");
  }
  EXPECT_EQ(Find("root/2", kMount), new_.key());
  EXPECT_EQ(rights_, nullptr);
  EXPECT_TRUE(keyring_->Counts("root/1"));
}

TEST_F(OldSecretTest, ItDoesNotAdminister) {
  EXPECT_EQ(Find("root/1", kAdmin), "");
  EXPECT_THAT(why_, HasSubstr("opens mounts only"));
  // Whoever has it can make the key of any name.
  EXPECT_EQ(Find("admin/ops/4", kAdmin), "");
  EXPECT_EQ(Find("admin/ops/4/2", kAdmin), new_.Derived("admin/ops/4/2").key());
  EXPECT_EQ(Find("root/2", kAdmin), new_.key());
  EXPECT_FALSE(keyring_->Counts("admin/ops/4/3"));
}

TEST_F(OldSecretTest, ChunkserversThatAreThereComeByItUntilTheyHaveGoneOver) {
  EXPECT_EQ(Find("root/1", kChunk, "disks"), old_.key());
  EXPECT_EQ(Find(ChunkserverKeyId("disks"), kChunk, "disks"), old_.Derived(ChunkserverKeyId("disks")).key());
  EXPECT_EQ(Find("root/1", kChunk, "new one"), "");
  EXPECT_THAT(why_, HasSubstr("new invitation"));
  EXPECT_EQ(Find("invitation/rack/5", kChunk, "new one"), "") << "who has the old secret makes invitations";
  EXPECT_EQ(Find("invitation/rack/5", kChunk, "disks"), "");
  EXPECT_NE(Find("invitation/rack/5/2", kChunk, "new one"), "");
  // By an invitation of the new secret.
  conf_.mutable_chunkserver(0)->set_invitation("invitation/over/7/2");
  for (const std::string& id : {std::string("root/1"), std::string(""), ChunkserverKeyId("disks")}) {
    EXPECT_EQ(Find(id, kChunk, "disks"), "") << id;
    EXPECT_THAT(why_, HasSubstr("has gone over"));
  }
  EXPECT_EQ(Find(ChunkserverKeyId("disks", 2), kChunk, "disks"),
            new_.Derived(ChunkserverKeyId("disks", 2)).key());
  // By having the new secret itself.
  conf_.mutable_chunkserver(0)->clear_invitation();
  EXPECT_NE(Find("root/1", kChunk, "disks"), "");
  seen_->Remember(kChunk, "disks", {.tls = true, .generation = 2});
  EXPECT_EQ(Find("root/1", kChunk, "disks"), "");
}

TEST_F(OldSecretTest, ItMakesAMetaserverOnlyOfAMemberThatHasNotGoneOver) {
  EXPECT_EQ(Find("root/1", kMeta, "peer"), old_.key());
  for (const char* nobody : {"self", "stranger", "disks", ""}) {
    EXPECT_EQ(Find("root/1", kMeta, nobody), "") << nobody;
    EXPECT_THAT(why_, HasSubstr("not enough"));
  }
  seen_->Remember(kMeta, "peer", {.tls = true, .generation = 2});
  EXPECT_EQ(Find("root/1", kMeta, "peer"), "");
  EXPECT_EQ(Find("", kMeta, "peer"), "");
  EXPECT_THAT(why_, HasSubstr("has gone over"));
  EXPECT_EQ(Find("root/2", kMeta, "peer"), new_.key());
}

TEST_F(OldSecretTest, KeysOfMountsAreOfEitherSecretUntilTheOldOneEnds) {
  EXPECT_EQ(Find("mount/laptop/3", kMount), old_.Derived("mount/laptop/3").key());
  EXPECT_EQ(Find("mount/laptop/3/2", kMount), new_.Derived("mount/laptop/3/2").key());
  EXPECT_EQ(keyring_->Export("mount/laptop/3").key_id(), "mount/laptop/3/2");
  EXPECT_EQ(keyring_->Export("mount/laptop/3").key(), Find("mount/laptop/3/2", kMount));
  EXPECT_TRUE(keyring_->Counts("mount/laptop/3"));
  keyring_ = Keyring(new_);
  EXPECT_EQ(Find("mount/laptop/3", kMount), "");
  EXPECT_THAT(why_, HasSubstr("accepted no more"));
  EXPECT_FALSE(keyring_->Counts("mount/laptop/3"));
  EXPECT_FALSE(keyring_->Counts("root/1"));
  EXPECT_TRUE(keyring_->Counts("mount/laptop/3/2"));
  EXPECT_EQ(Find("root/1", kMount), "");
  EXPECT_EQ(Find("", kMount), "");
  EXPECT_EQ(Find("root/1", kMeta, "peer"), "");
}

TEST_F(OldSecretTest, EachIsToldByTheSigningKeyThatItPins) {
  const std::string text = "a transcript";
  const auto old_public = SigningKey::FromSecret(old_.key()).public_key();
  const auto new_public = SigningKey::FromSecret(new_.key()).public_key();
  EXPECT_TRUE(VerifySignature(old_public, text, keyring_->Sign(text, "mount/laptop/3")));
  EXPECT_TRUE(VerifySignature(new_public, text, keyring_->Sign(text, "mount/laptop/3/2")));
  EXPECT_FALSE(VerifySignature(new_public, text, keyring_->Sign(text, "mount/laptop/3")));
}

TEST_F(OldSecretTest, NamesThatAreNotWrittenAsTheyAreOpenNothing) {
  for (const char* id :
       {"root/0", "root/01", "root/2/1", "root/", "root/3", "root", "mount/laptop/3/1", "mount/laptop/3/02",
        "mount/laptop/3/3", "mount/laptop/3/2/2", "chunkserver/disks/02"}) {
    for (const auto role : {kMount, kChunk, kMeta, kAdmin}) EXPECT_EQ(Find(id, role, "disks"), "") << id;
  }
}

TEST_F(OldSecretTest, WhoHasNotGoneOverSaysThatItDoesNotKnowTheNewOne) {
  keyring_ = Keyring(old_);
  EXPECT_EQ(Find("root/2", kMeta, "peer"), "");
  EXPECT_THAT(why_, HasSubstr("not known here yet"));
  EXPECT_EQ(Find("root/1", kMeta, "peer"), old_.key());
  EXPECT_EQ(rights_, nullptr);
}

}  // namespace
}  // namespace kfs::meta
