// Keys: what a change makes, when it is refused, and that none comes back.
#include "metaserver/cluster/key_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "changes_fixture.h"

namespace kfs::meta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class KeyChanges : public ChangesTest {
 protected:
  void SetUp() override {
    Must(Volume("data"));
    Must(Volume("other"));
  }
  static pb::Change Add(const std::string& name, const std::string& volume = "data") {
    pb::Change c;
    c.mutable_add_key()->mutable_key()->set_name(name);
    c.mutable_add_key()->set_volume(volume);
    c.set_time(1000);
    return c;
  }
  static pb::Change Revoke(const std::string& name) {
    pb::Change c;
    c.mutable_revoke_key()->set_name(name);
    return c;
  }
  static pb::KeyConf& KeyOf(pb::Change& c) { return *c.mutable_add_key()->mutable_key(); }
};

TEST_F(KeyChanges, AKeyHasWhatItWasGiven) {
  pb::Change c = Add("laptops");
  KeyOf(c).set_path("projects/apollo");
  KeyOf(c).set_read_only(true);
  KeyOf(c).set_squash(pb::KeyConf::ROOT);
  KeyOf(c).set_squash_uid(65534);
  KeyOf(c).set_squash_gid(65534);
  KeyOf(c).set_expires(2000);
  KeyOf(c).add_from("10.0.0.0/8");
  KeyOf(c).add_from("192.168.1.7");
  KeyOf(c).add_from("10.0.0.0/8");
  KeyOf(c).set_serial(77);  // not the asker's to choose
  const pb::ClusterConf before = conf_;
  Must(c);
  const pb::KeyConf* key = FindKey(conf_, "laptops");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(KeyIdOf(*key), "mount/laptops/1");
  EXPECT_EQ(FindKeyById(conf_, "mount/laptops/1"), key);
  for (const char* id :
       {"mount/laptops/2", "admin/laptops/1", "mount/laptops", "laptops", "", "/", "mount//1"})
    EXPECT_EQ(FindKeyById(conf_, id), nullptr) << id;
  EXPECT_EQ(key->volume(), FindVolume(conf_, "data")->id());
  EXPECT_EQ(key->created(), 1000);
  EXPECT_THAT(key->from(), ElementsAre("10.0.0.0/8", "192.168.1.7/32"));
  EXPECT_THAT(
      Differences(before, conf_),
      ElementsAre("key laptops: made, volume data, /projects/apollo, read-only, root is 65534:65534, from "
                  "10.0.0.0/8 192.168.1.7/32"));
  EXPECT_THAT(Differences(conf_, before), ElementsAre("key laptops: revoked"));
  EXPECT_EQ(Try(Add("laptops")).err(), EEXIST);
}

TEST_F(KeyChanges, AKeyOfAClusterFoundedAnewIsAnother) {
  const pb::ClusterConf founded = conf_;
  pb::Change add = Add("laptops");
  add.set_time(int64_t{1700000000} * 1000000000);
  Must(add);
  const std::string first = KeyIdOf(*FindKey(conf_, "laptops"));
  conf_ = founded;
  add.set_time(int64_t{1700000100} * 1000000000);
  Must(add);
  EXPECT_NE(KeyIdOf(*FindKey(conf_, "laptops")), first);
}

TEST_F(KeyChanges, NoneComesBack) {
  Must(Add("laptops"));
  Must(Revoke("laptops"));
  EXPECT_EQ(FindKeyById(conf_, "mount/laptops/1"), nullptr);
  EXPECT_EQ(Try(Revoke("laptops")).err(), ENOENT);
  Must(Add("laptops"));
  EXPECT_EQ(KeyIdOf(*FindKey(conf_, "laptops")), "mount/laptops/2");
  // Not by going back to an earlier configuration,
  const pb::ClusterConf with = conf_;
  Must(Revoke("laptops"));
  EXPECT_EQ(Try(Revert(with)).code(), Code::kAlreadySo);
  EXPECT_EQ(FindKey(conf_, "laptops"), nullptr);
  // nor when those are given up who may have given out others.
  const uint64_t given = conf_.next_key();
  pb::Change give_up;
  give_up.mutable_give_up_members()->add_uuid("m2");
  give_up.mutable_give_up_members()->add_uuid("m3");
  Must(give_up);
  EXPECT_GE(conf_.next_key(), given + 1000);
}

TEST_F(KeyChanges, KeysGoWithTheirVolume) {
  Must(Add("laptops"));
  Must(Add("others", "other"));
  pb::Change admin = Add("root-of-all", "");
  KeyOf(admin).set_kind(pb::KeyConf::ADMIN);
  Must(admin);
  Must(Start("data", false));
  Must(Delete("data"));
  EXPECT_EQ(FindKey(conf_, "laptops"), nullptr);
  EXPECT_NE(FindKey(conf_, "others"), nullptr);
  EXPECT_EQ(KeyIdOf(*FindKey(conf_, "root-of-all")), "admin/root-of-all/3");
  Must(Volume("data"));
  EXPECT_NE(FindVolume(conf_, "data")->id(), 1u);
}

TEST_F(KeyChanges, NonsenseIsRefusedInWords) {
  const auto with = [](auto fn) {
    pb::Change c = Add("key");
    fn(*c.mutable_add_key());
    return c;
  };
  const std::pair<pb::Change, const char*> table[] = {
      {Add(""), "a key's name"},
      {Add("a/b"), "a key's name"},
      {Add("-a"), "a key's name"},
      {Add(std::string(64, 'x')), "a key's name"},
      {Add("a\nb"), "a key's name"},
      {Add("key", "none"), "no volume \"none\""},
      {Add("key", ""), "names the volume"},
      {with([](auto& c) { c.mutable_key()->set_path("../x"); }), "a key's path"},
      {with([](auto& c) { c.mutable_key()->set_path("/x"); }), "a key's path"},
      {with([](auto& c) { c.mutable_key()->set_path("x/"); }), "a key's path"},
      {with([](auto& c) { c.mutable_key()->set_path(std::string("x\0y", 3)); }), "a key's path"},
      {with([](auto& c) { c.mutable_key()->set_path(std::string(2000, 'x')); }), "a key's path"},
      {with([](auto& c) { c.mutable_key()->set_squash(pb::KeyConf::ALL); }), "not root"},
      {with([](auto& c) { c.mutable_key()->set_expires(999); }), "expired already"},
      {with([](auto& c) { c.mutable_key()->set_expires(-1); }), "expired already"},
      {with([](auto& c) { c.mutable_key()->add_from("10.0.0.1/8"); }), "did you mean 10.0.0.0/8"},
      {with([](auto& c) { c.mutable_key()->add_from("everywhere"); }), "is no network"},
      {with([](auto& c) { c.mutable_key()->set_kind(pb::KeyConf::ADMIN); }), "only a mount's key"},
      {with([](auto& c) { c.mutable_key()->set_kind(pb::KeyConf::CHUNKSERVER); }), "only a mount's key"},
  };
  for (const auto& [change, words] : table) EXPECT_THAT(Try(change).message(), HasSubstr(words));
  pb::Change many = Add("key");
  for (int i = 0; i < 17; ++i) KeyOf(many).add_from(std::to_string(i) + ".0.0.0/8");
  EXPECT_THAT(Try(many).message(), HasSubstr("at most 16"));
}

TEST_F(KeyChanges, AnInvitationBringsInOneChunkserver) {
  pb::Change invite = Add("rack7", "");
  KeyOf(invite).set_kind(pb::KeyConf::CHUNKSERVER);
  EXPECT_THAT(Try(invite).message(), HasSubstr("an invitation ends"));
  KeyOf(invite).set_expires(1000 + 31 * 86400 * int64_t{1000000000});
  EXPECT_THAT(Try(invite).message(), HasSubstr("an invitation ends"));
  KeyOf(invite).set_expires(2000);
  Must(invite);
  const std::string id = "invitation/rack7/1";
  ASSERT_NE(FindKeyById(conf_, id), nullptr);
  EXPECT_TRUE(IsInvitation(id));
  Must(Add("laptops"));
  const auto join = [](const std::string& uuid, const std::string& by, int64_t time) {
    pb::Change c;
    c.mutable_add_chunkserver()->set_uuid(uuid);
    c.mutable_add_chunkserver()->set_invitation(by);
    c.set_time(time);
    return c;
  };
  for (const char* other : {"invitation/rack7/2", "mount/laptops/2", "invitation/laptops/2", "rack7", "/"})
    EXPECT_EQ(Try(join("one", other, 1500)).err(), EACCES) << other;
  EXPECT_EQ(Try(join("one", id, 2000)).err(), EACCES);  // over
  Must(join("one", id, 1500));
  EXPECT_EQ(FindKeyById(conf_, id), nullptr);
  ASSERT_EQ(conf_.chunkserver_size(), 1);
  EXPECT_EQ(conf_.chunkserver(0).invitation(), id);
  EXPECT_EQ(conf_.chunkserver(0).invitation_expires(), 2000);
  EXPECT_EQ(Try(join("two", id, 1500)).err(), EACCES);
  EXPECT_EQ(Try(join("one", id, 1500)).err(), EEXIST);
  // One that is there already, with the root secret or with an earlier invitation: only by its own, and
  // nobody else by that.
  Must(invite);
  EXPECT_THAT(Try(join("one", "invitation/rack7/3", 1500)).message(), HasSubstr("--for 1"));
  Must(Revoke("rack7"));
  KeyOf(invite).set_uuid("two");
  EXPECT_EQ(Try(invite).err(), ENOENT);
  KeyOf(invite).set_uuid("one");
  Must(invite);
  EXPECT_THAT(Try(join("two", "invitation/rack7/4", 1500)).message(), HasSubstr("for another"));
  Must(join("one", "invitation/rack7/4", 1500));
  ASSERT_EQ(conf_.chunkserver_size(), 1);
  EXPECT_EQ(conf_.chunkserver(0).invitation(), "invitation/rack7/4");
}

TEST_F(KeyChanges, ThereAreNotTooMany) {
  for (int i = 0; i < 2048; ++i) {
    pb::KeyConf* key = conf_.add_key();
    key->set_name("k" + std::to_string(i));
  }
  EXPECT_THAT(Try(Add("one-more")).message(), HasSubstr("at most 2048"));
}

}  // namespace
}  // namespace kfs::meta
