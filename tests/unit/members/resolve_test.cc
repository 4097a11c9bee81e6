#include "metaserver/members/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kfs::meta {
namespace {

using testing::HasSubstr;

class ResolveTest : public testing::Test {
 protected:
  ResolveTest() {
    AddMember("aaaa1111-0000", "alpha.example:7400");
    AddMember("aaaa2222-0000", "beta.example:7400");
    AddMember("bbbb3333-0000", "alpha.example:7401");
    AddMember("cccc4444-0000", "[::1]:7400");
    AddChunkserver(1, "dddd1111-0000", "10.0.0.1:7410");
    AddChunkserver(2, "dddd2222-0000", "10.0.0.2:7410");
    AddChunkserver(12, "eeee3333-0000", "");
  }
  void AddMember(const std::string& uuid, const std::string& address) {
    conf_.add_member()->set_uuid(uuid);
    conf_.mutable_member(conf_.member_size() - 1)->set_address(address);
  }
  void AddChunkserver(uint64_t id, const std::string& uuid, const std::string& address) {
    pb::ChunkserverConf* c = conf_.add_chunkserver();
    c->set_id(id);
    c->set_uuid(uuid);
    if (!address.empty()) addresses_[id] = address;
  }
  std::string Peer(const std::string& text) {
    Result<std::string> r = ResolvePeer(conf_, text);
    return r.ok() ? *r : r.status().message();
  }
  std::string Server(const std::string& text) {
    Result<std::string> r = ResolveChunkserver(conf_, addresses_, text);
    return r.ok() ? *r : r.status().message();
  }
  Status Resolve(pb::Change* change) { return ResolveChange(conf_, addresses_, defaults_, change); }

  pb::ClusterConf conf_;
  ChunkserverAddresses addresses_;
  VolumeDefaults defaults_{.chunk_size = 1 << 26, .replicas = 1};
};

TEST_F(ResolveTest, APeerIsNamedInManyWays) {
  EXPECT_EQ(Peer("aaaa1111-0000"), "aaaa1111-0000");
  EXPECT_EQ(Peer("bbbb"), "bbbb3333-0000");
  EXPECT_EQ(Peer("aaaa2"), "aaaa2222-0000");
  EXPECT_EQ(Peer("beta.example"), "aaaa2222-0000");
  EXPECT_EQ(Peer("alpha.example:7401"), "bbbb3333-0000");
  EXPECT_EQ(Peer("[::1]:7400"), "cccc4444-0000");
  EXPECT_EQ(Peer("[::1]"), "cccc4444-0000");
}

TEST_F(ResolveTest, SeveralThatFitAreNotGuessedFrom) {
  for (const char* text : {"aaaa", "alpha.example"}) {
    const Status s = ResolvePeer(conf_, text).status();
    EXPECT_EQ(s.err(), EINVAL) << text;
    EXPECT_EQ(s.message(), "2 peers fit \"" + std::string(text) + "\": say more of it");
  }
}

TEST_F(ResolveTest, AnUnknownPeerIsSaidWithWhereToLook) {
  for (const char* text : {"", "bbb", "ffff", "beta.example:7401", "beta", "aaaa1111-0000x"}) {
    const Status s = ResolvePeer(conf_, text).status();
    EXPECT_EQ(s.err(), ENOENT) << text;
    EXPECT_THAT(s.message(), HasSubstr("kfs peer status"));
  }
}

TEST_F(ResolveTest, AChunkserverIsNamedInManyWays) {
  EXPECT_EQ(Server("1"), "dddd1111-0000");
  EXPECT_EQ(Server("12"), "eeee3333-0000");
  EXPECT_EQ(Server("dddd2222-0000"), "dddd2222-0000");
  EXPECT_EQ(Server("eeee"), "eeee3333-0000");
  EXPECT_EQ(Server("10.0.0.2:7410"), "dddd2222-0000");
  EXPECT_EQ(Server("10.0.0.2"), "dddd2222-0000");
}

TEST_F(ResolveTest, AnUnknownOrAmbiguousChunkserverIsRefused) {
  EXPECT_EQ(ResolveChunkserver(conf_, addresses_, "dddd").status().err(), EINVAL);
  for (const char* text : {"", "3", "-1", "1x", "ddd", "10.0.0.3:7410", "99999999999999999999"}) {
    const Status s = ResolveChunkserver(conf_, addresses_, text).status();
    EXPECT_EQ(s.err(), ENOENT) << text;
    EXPECT_THAT(s.message(), HasSubstr("kfs chunkserver list"));
  }
}

TEST_F(ResolveTest, NamesInAChangeBecomeUuids) {
  pb::Change c;
  c.mutable_remove_member()->set_uuid("beta.example");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.remove_member().uuid(), "aaaa2222-0000");
  c.mutable_set_address()->set_uuid("bbbb");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.set_address().uuid(), "bbbb3333-0000");
  c.mutable_label_chunkserver()->set_uuid("2");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.label_chunkserver().uuid(), "dddd2222-0000");
  c.mutable_remove_chunkserver()->set_uuid("12");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.remove_chunkserver().uuid(), "eeee3333-0000");
  c.mutable_remove_member()->set_uuid("nobody");
  EXPECT_EQ(Resolve(&c).err(), ENOENT);
  c.mutable_add_chunkserver()->set_uuid("a new one");  // not to be found
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.add_chunkserver().uuid(), "a new one");
}

TEST_F(ResolveTest, AVolumeGetsDefaults) {
  pb::Change c;
  c.mutable_create_volume()->set_name("v");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.create_volume().chunk_size(), 1u << 26);
  EXPECT_EQ(c.create_volume().replicas(), 1u);
  (*conf_.mutable_option())["default-chunk-size"] = "1M";
  c.mutable_create_volume()->clear_chunk_size();
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.create_volume().chunk_size(), 1u << 20);
}

TEST_F(ResolveTest, WhatIsGivenStays) {
  pb::Change c;
  c.mutable_create_volume()->set_chunk_size(1 << 16);
  c.mutable_create_volume()->set_replicas(3);
  c.mutable_create_volume()->set_owner("beta.example");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.create_volume().chunk_size(), 1u << 16);
  EXPECT_EQ(c.create_volume().replicas(), 3u);
  EXPECT_EQ(c.create_volume().owner(), "aaaa2222-0000");
  c.mutable_create_volume()->set_owner("nobody");
  EXPECT_EQ(Resolve(&c).err(), ENOENT);
}

TEST_F(ResolveTest, CandidatesAreNamedLikeAnyPeer) {
  pb::Change c;
  for (const char* peer : {"beta.example", "bbbb"}) c.mutable_create_volume()->add_candidate(peer);
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_THAT(c.create_volume().candidate(), testing::ElementsAre("aaaa2222-0000", "bbbb3333-0000"));
  c.mutable_create_volume()->add_candidate("nobody.example");
  const Status s = Resolve(&c);
  EXPECT_EQ(s.err(), ENOENT);
  EXPECT_THAT(s.message(), HasSubstr("there is no peer nobody.example"));
}

TEST_F(ResolveTest, ANewOwnerIsNamedLikeAnyPeer) {
  pb::Change c;
  c.mutable_move_volume()->set_name("v");
  c.mutable_move_volume()->set_owner("beta.example");
  ASSERT_TRUE(Resolve(&c).ok());
  EXPECT_EQ(c.move_volume().owner(), ResolvePeer(conf_, "beta.example").value());
}

}  // namespace
}  // namespace kfs::meta
