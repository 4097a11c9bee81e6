#include "metaserver/acl/permission.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <initializer_list>
#include <random>
#include <set>

namespace kfs::meta {
namespace {

constexpr uint32_t kR = 4, kW = 2, kX = 1;
using Groups = google::protobuf::RepeatedField<uint32_t>;

Groups GroupList(std::initializer_list<uint32_t> gids) { return Groups(gids.begin(), gids.end()); }

Subject User(uint32_t uid, uint32_t gid, const Groups* groups = nullptr, bool known = true) {
  return {.uid = uid, .gid = gid, .groups = groups, .groups_known = known};
}

TEST(CheckAccess, ModeBitsOfTheFirstClassThatMatchesDecide) {
  const Groups in_group = GroupList({30, 20});
  const struct {
    uint32_t mode;
    Subject who;
    uint32_t want;
    Access answer;
  } kCases[] = {
      {S_IFREG | 0600, User(10, 99), kR | kW, Access::kYes},
      {S_IFREG | 0600, User(10, 99), kX, Access::kNo},
      {S_IFREG | 0077, User(10, 20), kR, Access::kNo},  // the owner's bits, although others may
      {S_IFREG | 0040, User(11, 20), kR, Access::kYes},
      {S_IFREG | 0040, User(11, 99, &in_group), kR, Access::kYes},
      {S_IFREG | 0040, User(11, 99), kR, Access::kNo},
      {S_IFREG | 0707, User(11, 20), kR, Access::kNo},  // the group's bits, although others may
      {S_IFREG | 0707, User(11, 99), kR | kW | kX, Access::kYes},
      {S_IFREG | 0000, User(11, 99), 0, Access::kYes},
      // Groups not sent: only asked for where they matter.
      {S_IFREG | 0644, User(11, 99, nullptr, false), kR, Access::kYes},
      {S_IFREG | 0644, User(11, 99, nullptr, false), kW, Access::kNo},
      {S_IFREG | 0640, User(11, 99, nullptr, false), kR, Access::kNeedGroups},
      {S_IFREG | 0640, User(11, 20, nullptr, false), kR, Access::kYes},
      {S_IFREG | 0640, User(11, 99, &in_group, false), kR, Access::kYes},
      {S_IFREG | 0604, User(11, 99, nullptr, false), kR, Access::kNeedGroups},
      {S_IFREG | 0640, User(10, 99, nullptr, false), kR, Access::kYes},
  };
  int row = 0;
  for (const auto& c : kCases) {
    EXPECT_EQ(CheckAccess(c.who, {.mode = c.mode, .uid = 10, .gid = 20}, c.want), c.answer) << "row " << row;
    ++row;
  }
}

TEST(CheckAccess, RootPassesButExecutesOnlyWhatSomeoneMay) {
  const Subject root = User(0, 0, nullptr, false);
  EXPECT_EQ(CheckAccess(root, {.mode = S_IFREG, .uid = 10, .gid = 20}, kR | kW), Access::kYes);
  EXPECT_EQ(CheckAccess(root, {.mode = S_IFREG | 0666, .uid = 10, .gid = 20}, kX), Access::kNo);
  EXPECT_EQ(CheckAccess(root, {.mode = S_IFREG | 0666, .uid = 0, .gid = 0}, kR | kX), Access::kNo);
  EXPECT_EQ(CheckAccess(root, {.mode = S_IFREG | 0001, .uid = 10, .gid = 20}, kX), Access::kYes);
  EXPECT_EQ(CheckAccess(root, {.mode = S_IFDIR, .uid = 10, .gid = 20}, kR | kW | kX), Access::kYes);
}

class AclAccess : public testing::Test {
 protected:
  // user::rwx user:100:rw- group::r-- group:50:-w- group:60:rw- mask::rw- other::--x
  Acl acl_{{kAclUserObj, 7, kAclNoId}, {kAclUser, 6, 100}, {kAclGroupObj, 4, kAclNoId},
           {kAclGroup, 2, 50},         {kAclGroup, 6, 60}, {kAclMask, 6, kAclNoId},
           {kAclOther, 1, kAclNoId}};
  Object Here() const { return {.mode = AclToMode(acl_, S_IFREG), .uid = 10, .gid = 20, .acl = &acl_}; }
};

TEST_F(AclAccess, NamedEntriesDecideUnderTheMask) {
  EXPECT_EQ(CheckAccess(User(10, 1), Here(), kR | kW | kX), Access::kYes)
      << "the mask does not bind the owner";
  EXPECT_EQ(CheckAccess(User(100, 1), Here(), kR | kW), Access::kYes);
  EXPECT_EQ(CheckAccess(User(100, 1), Here(), kX), Access::kNo) << "a named user never falls to other";
  EXPECT_EQ(CheckAccess(User(11, 20), Here(), kR), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 20), Here(), kW), Access::kNo);
  EXPECT_EQ(CheckAccess(User(11, 20), Here(), kX), Access::kNo)
      << "a group that matches never falls to other";
  EXPECT_EQ(CheckAccess(User(11, 50), Here(), kW), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 60), Here(), kR | kW), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 99), Here(), kX), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 99), Here(), kR), Access::kNo);
  acl_[5].perm = 4;
  EXPECT_EQ(CheckAccess(User(100, 1), Here(), kW), Access::kNo);
  EXPECT_EQ(CheckAccess(User(11, 60), Here(), kR | kW), Access::kNo);
  EXPECT_EQ(CheckAccess(User(11, 60), Here(), kR), Access::kYes);
}

TEST_F(AclAccess, PermissionsOfTwoGroupsDoNotAddUp) {
  const Groups both = GroupList({20, 50});
  EXPECT_EQ(CheckAccess(User(11, 99, &both), Here(), kR), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 99, &both), Here(), kW), Access::kYes);
  EXPECT_EQ(CheckAccess(User(11, 99, &both), Here(), kR | kW), Access::kNo);
}

TEST_F(AclAccess, AnEmptyMaskLeavesTheModeBits) {
  acl_[5].perm = 0;
  EXPECT_EQ(CheckAccess(User(100, 1), Here(), kR), Access::kNo);
  EXPECT_EQ(CheckAccess(User(100, 1), Here(), kX), Access::kYes)
      << "as the kernel, which skips the list then";
  EXPECT_EQ(CheckAccess(User(11, 20), Here(), kX), Access::kNo);
}

// "Ask for the groups" must be said exactly when they can change the answer.
TEST_F(AclAccess, GroupsAreAskedForOnlyWhenTheyMatter) {
  std::mt19937 rng(7);
  int asked = 0;
  for (int round = 0; round < 3000; ++round) {
    acl_ = {{kAclUserObj, static_cast<uint16_t>(rng() % 8), kAclNoId},
            {kAclUser, static_cast<uint16_t>(rng() % 8), 100},
            {kAclGroupObj, static_cast<uint16_t>(rng() % 8), kAclNoId},
            {kAclGroup, static_cast<uint16_t>(rng() % 8), 50},
            {kAclGroup, static_cast<uint16_t>(rng() % 8), 60},
            {kAclMask, static_cast<uint16_t>(rng() % 8), kAclNoId},
            {kAclOther, static_cast<uint16_t>(rng() % 8), kAclNoId}};
    const uint32_t uids[] = {10, 100, 11}, gids[] = {20, 50, 99};
    const uint32_t uid = uids[rng() % 3], gid = gids[rng() % 3], want = rng() % 8;
    std::set<Access> answers;
    for (int members = 0; members < 8; ++members) {
      Groups groups;
      if (members & 1) groups.Add(20);
      if (members & 2) groups.Add(50);
      if (members & 4) groups.Add(60);
      answers.insert(CheckAccess(User(uid, gid, &groups), Here(), want));
    }
    ASSERT_FALSE(answers.contains(Access::kNeedGroups));
    const Access unknown = CheckAccess(User(uid, gid, nullptr, false), Here(), want);
    ASSERT_EQ(unknown, answers.size() == 1 ? *answers.begin() : Access::kNeedGroups) << "round " << round;
    asked += unknown == Access::kNeedGroups;
  }
  EXPECT_GT(asked, 100);
}

TEST(InGroup, KnowsWhatItDoesNotKnow) {
  const Groups groups = GroupList({7, 8});
  EXPECT_EQ(InGroup(User(1, 5), 5), Access::kYes);
  EXPECT_EQ(InGroup(User(1, 5, &groups), 8), Access::kYes);
  EXPECT_EQ(InGroup(User(1, 5, &groups), 9), Access::kNo);
  EXPECT_EQ(InGroup(User(1, 5, &groups, false), 9), Access::kNeedGroups);
}

TEST(ToStatus, MapsAnswersToErrors) {
  EXPECT_TRUE(ToStatus(Access::kYes, EPERM, "chmod").ok());
  EXPECT_EQ(ToStatus(Access::kNo, EPERM, "chmod").err(), EPERM);
  EXPECT_EQ(ToStatus(Access::kNo, EPERM, "chmod").code(), Code::kNone);
  EXPECT_EQ(ToStatus(Access::kNeedGroups, EPERM, "chmod").err(), EACCES);
  EXPECT_EQ(ToStatus(Access::kNeedGroups, EPERM, "chmod").code(), Code::kNeedGroups);
}

TEST(MayDelete, StickyDirectoriesProtectOthersFiles) {
  const Object sticky{.mode = S_IFDIR | 01777, .uid = 10, .gid = 20};
  EXPECT_EQ(MayDelete(User(11, 1), sticky, 12), Access::kNo);
  EXPECT_EQ(MayDeleteStatus(User(11, 1), sticky, 12, "unlink").err(), EPERM);
  EXPECT_EQ(MayDelete(User(11, 1), sticky, 11), Access::kYes) << "one's own file";
  EXPECT_EQ(MayDelete(User(10, 1), sticky, 12), Access::kYes) << "in one's own directory";
  EXPECT_EQ(MayDelete(User(0, 0), sticky, 12), Access::kYes);
  EXPECT_TRUE(MayDeleteStatus(User(0, 0), sticky, 12, "unlink").ok());
}

TEST(MayDelete, NeedsWriteAndSearch) {
  for (uint32_t mode : {0700u, 0702u, 0701u}) {
    const Object dir{.mode = S_IFDIR | mode, .uid = 10, .gid = 20};
    EXPECT_EQ(MayDelete(User(11, 1), dir, 11), Access::kNo) << mode;
    EXPECT_EQ(MayDeleteStatus(User(11, 1), dir, 11, "unlink").err(), EACCES) << mode;
  }
  EXPECT_TRUE(
      MayDeleteStatus(User(11, 1), {.mode = S_IFDIR | 0703, .uid = 10, .gid = 20}, 12, "unlink").ok());
  const Object by_group{.mode = S_IFDIR | 0770, .uid = 10, .gid = 20};
  EXPECT_EQ(MayDelete(User(11, 1, nullptr, false), by_group, 11), Access::kNeedGroups);
  EXPECT_EQ(MayDeleteStatus(User(11, 1, nullptr, false), by_group, 11, "unlink").code(), Code::kNeedGroups);
}

}  // namespace
}  // namespace kfs::meta
