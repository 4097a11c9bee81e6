// Which keys open a metaserver, to whom, from where, and until when.
#include "metaserver/members/cluster_keyring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/credentials.h"
#include "metaserver/cluster/key_changes.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class FixedClock : public Clock {
 public:
  TimeNs WallNow() const override { return wall; }
  MonoTime MonoNow() const override { return {}; }
  TimeNs wall = 1000;
};

class ClusterKeyringTest : public testing::Test {
 protected:
  ClusterKeyringTest() {
    conf_.set_cluster_id("11111111-2222-3333-4444-555555555555");
    pb::KeyConf* mount = conf_.add_key();
    mount->set_name("laptops");
    mount->set_serial(3);
    mount->set_volume(7);
    mount->set_path("projects");
    mount->set_read_only(true);
    mount->set_expires(5000);
    mount->add_from("10.0.0.0/8");
    mount->add_from("127.0.0.0/8");
    pb::KeyConf* admin = conf_.add_key();
    admin->set_name("ops");
    admin->set_serial(4);
    admin->set_kind(pb::KeyConf::ADMIN);
  }
  Result<FoundKey> Find(const std::string& id, pb::HelloRequest::Role role = pb::HelloRequest::CLIENT,
                        const std::string& address = "10.1.2.3:40000") {
    return keyring_.Find({.role = role, .id = "someone", .key_id = id, .address = address});
  }
  const std::string secret_ = std::string(64, 's');
  FixedClock clock_;
  pb::ClusterConf conf_;
  bool member_ = true;
  ClusterKeyring keyring_{Credentials::Root(secret_), clock_,
                          [this]() -> const pb::ClusterConf* { return member_ ? &conf_ : nullptr; }};
};

TEST_F(ClusterKeyringTest, AnInvitationIsForChunkserversUntilItIsUsedOrOver) {
  pb::KeyConf* key = conf_.add_key();
  key->set_name("rack7");
  key->set_serial(5);
  key->set_kind(pb::KeyConf::CHUNKSERVER);
  key->set_expires(5000);
  const std::string id = "invitation/rack7/5";
  const auto chunkserver = pb::HelloRequest::CHUNKSERVER;
  Result<FoundKey> found = Find(id, chunkserver);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->key, DeriveKey(secret_, id));
  EXPECT_EQ(static_cast<const MountRights*>(found->rights.get())->key, id);
  for (auto role : {pb::HelloRequest::CLIENT, pb::HelloRequest::METASERVER, pb::HelloRequest::ADMIN})
    EXPECT_THAT(Find(id, role).status().message(), HasSubstr("a chunkserver that joins"));
  clock_.wall = 5000;
  EXPECT_THAT(Find(id, chunkserver).status().message(), HasSubstr("has expired"));
  clock_.wall = 1000;
  conf_.mutable_key()->RemoveLast();
  // Used up: by "someone", whose answer may have been lost; until it would have been over.
  pb::ChunkserverConf* used = conf_.add_chunkserver();
  used->set_uuid("another");
  used->set_invitation(id);
  used->set_invitation_expires(5000);
  EXPECT_FALSE(Find(id, chunkserver).ok());
  used->set_uuid("someone");
  EXPECT_TRUE(Find(id, chunkserver).ok());
  EXPECT_FALSE(Find(id, pb::HelloRequest::CLIENT).ok());
  clock_.wall = 5000;
  EXPECT_FALSE(Find(id, chunkserver).ok());
}

TEST_F(ClusterKeyringTest, AChunkserversKeyIsItsOwnWhileItBelongsToTheCluster) {
  const auto chunkserver = pb::HelloRequest::CHUNKSERVER;
  EXPECT_THAT(Find("chunkserver/someone/1", chunkserver).status().message(),
              HasSubstr("not of this cluster"));
  conf_.add_chunkserver()->set_uuid("someone");
  conf_.add_chunkserver()->set_uuid("another");
  Result<FoundKey> found = Find("chunkserver/someone/1", chunkserver);
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->key, DeriveKey(secret_, "chunkserver/someone/1"));
  for (const char* id : {"chunkserver/another/1", "chunkserver/someone/2", "chunkserver/someone",
                         "chunkserver/someone/1/1", "chunkserver//1"})
    EXPECT_FALSE(Find(id, chunkserver).ok()) << id;
  for (auto role : {pb::HelloRequest::CLIENT, pb::HelloRequest::METASERVER, pb::HelloRequest::ADMIN})
    EXPECT_FALSE(Find("chunkserver/someone/1", role).ok());
}

TEST_F(ClusterKeyringTest, TheRootSecretOpensEverything) {
  for (auto role : {pb::HelloRequest::CLIENT, pb::HelloRequest::CHUNKSERVER, pb::HelloRequest::METASERVER,
                    pb::HelloRequest::ADMIN}) {
    for (const char* id : {"", kRootKeyId}) {
      Result<FoundKey> found = Find(id, role, "192.0.2.1:1");
      ASSERT_TRUE(found.ok());
      EXPECT_EQ(found->key, secret_);
      EXPECT_EQ(found->rights, nullptr);
    }
  }
}

TEST_F(ClusterKeyringTest, AMountsKeyHasItsRights) {
  Result<FoundKey> found = Find("mount/laptops/3");
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->key, DeriveKey(secret_, "mount/laptops/3"));
  const auto& rights = *static_cast<const MountRights*>(found->rights.get());
  EXPECT_EQ(rights.key, "mount/laptops/3");
  EXPECT_EQ(rights.volume, 7u);
  EXPECT_EQ(rights.path, "projects");
  EXPECT_TRUE(rights.read_only);
  EXPECT_EQ(rights.expires, 5000);
}

TEST_F(ClusterKeyringTest, EachKeyIsForItsRoleOnly) {
  for (auto role : {pb::HelloRequest::UNKNOWN, pb::HelloRequest::CHUNKSERVER, pb::HelloRequest::METASERVER,
                    pb::HelloRequest::ADMIN})
    EXPECT_THAT(Find("mount/laptops/3", role).status().message(), HasSubstr("is for mounts"));
  for (auto role : {pb::HelloRequest::UNKNOWN, pb::HelloRequest::CHUNKSERVER, pb::HelloRequest::METASERVER,
                    pb::HelloRequest::CLIENT})
    EXPECT_THAT(Find("admin/ops/4", role).status().message(), HasSubstr("is for the kfs command"));
  EXPECT_TRUE(Find("admin/ops/4", pb::HelloRequest::ADMIN).ok());
}

TEST_F(ClusterKeyringTest, WhatIsNotInTheConfigurationOpensNothing) {
  for (const char* id :
       {"mount/laptops/2", "mount/laptops/4", "admin/laptops/3", "mount/others/3", "mount/ops/4", "root/2",
        "laptops", "/", "chunkserver/x/1", "mount/laptops/3/", "mount/laptops/03"}) {
    const Status s = Find(id).status();
    EXPECT_EQ(s.code(), Code::kBadProof) << id;
    EXPECT_EQ(s.err(), EACCES) << id;
  }
  EXPECT_TRUE(keyring_.Counts("mount/laptops/3"));
  conf_.mutable_key()->DeleteSubrange(0, 1);
  EXPECT_FALSE(Find("mount/laptops/3").ok());
  EXPECT_FALSE(keyring_.Counts("mount/laptops/3"));
  member_ = false;
  EXPECT_FALSE(Find("admin/ops/4", pb::HelloRequest::ADMIN).ok());
}

TEST_F(ClusterKeyringTest, FromItsNetworksAndInItsTimeOnly) {
  EXPECT_THAT(Find("mount/laptops/3", pb::HelloRequest::CLIENT, "192.0.2.1:1").status().message(),
              HasSubstr("may not be used from 192.0.2.1"));
  EXPECT_TRUE(Find("mount/laptops/3", pb::HelloRequest::CLIENT, "[::ffff:10.0.0.1]:1").ok());
  EXPECT_TRUE(Find("mount/laptops/3", pb::HelloRequest::CLIENT, "unix:/run/kfs/x").ok());
  EXPECT_FALSE(Find("mount/laptops/3", pb::HelloRequest::CLIENT, "").ok());
  conf_.mutable_key(0)->mutable_from()->RemoveLast();
  EXPECT_FALSE(Find("mount/laptops/3", pb::HelloRequest::CLIENT, "unix:/run/kfs/x").ok());
  clock_.wall = 5000;
  EXPECT_THAT(Find("mount/laptops/3").status().message(), HasSubstr("has expired"));
  EXPECT_FALSE(keyring_.Counts("mount/laptops/3"));
}

TEST_F(ClusterKeyringTest, AnExportedKeyIsTheOneThatIsFound) {
  const pb::KeyExportReply reply = keyring_.Export(KeyIdOf(conf_.key(0)));
  EXPECT_EQ(reply.key_id(), "mount/laptops/3");
  EXPECT_EQ(reply.key(), Find("mount/laptops/3")->key);
  const Credentials file =
      Credentials::OfKey(reply.key_id(), reply.key(), reply.cluster_id(), reply.cluster_public_key());
  Result<Credentials> read = Credentials::Parse(file.FileText(), "key");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_FALSE(read->is_root());
  EXPECT_EQ(read->key(), reply.key());
  EXPECT_TRUE(VerifySignature(read->cluster_public_key(), "text", keyring_.Sign("text", "")));
}

}  // namespace
}  // namespace kfs::meta
