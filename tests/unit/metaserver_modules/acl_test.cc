#include "metaserver/acl/acl.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace kfs::meta {
namespace {

// user::rwx user:1000:r-x group::r-x group:50:rwx mask::rwx other::r--
Acl Extended() {
  return {{kAclUserObj, 7, kAclNoId}, {kAclUser, 5, 1000},     {kAclGroupObj, 5, kAclNoId},
          {kAclGroup, 7, 50},         {kAclMask, 7, kAclNoId}, {kAclOther, 4, kAclNoId}};
}
Acl Minimal(uint16_t u, uint16_t g, uint16_t o) {
  return {{kAclUserObj, u, kAclNoId}, {kAclGroupObj, g, kAclNoId}, {kAclOther, o, kAclNoId}};
}

TEST(AclXattr, ParsesWhatItFormats) {
  Result<Acl> parsed = ParseAclXattr(FormatAclXattr(Extended()));
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(*parsed, Extended());
}

TEST(AclXattr, ReadsTheBytesThatSetfaclWrites) {
  const std::string bytes(
      "\x02\0\0\0"
      "\x01\0\x06\0\xff\xff\xff\xff"
      "\x04\0\x04\0\xff\xff\xff\xff"
      "\x20\0\x04\0\xff\xff\xff\xff",
      28);
  Result<Acl> parsed = ParseAclXattr(bytes);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, Minimal(6, 4, 4));
  EXPECT_EQ(FormatAclXattr(*parsed), bytes);
}

TEST(AclXattr, AHeaderAloneMeansNoAcl) {
  Result<Acl> parsed = ParseAclXattr(std::string_view("\x02\0\0\0", 4));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(parsed->empty());
}

TEST(AclXattr, IdsOfEntriesWithoutAnIdAreIgnored) {
  Acl acl = Minimal(7, 5, 0);
  acl[0].id = 4711;
  Result<Acl> parsed = ParseAclXattr(FormatAclXattr(acl));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, Minimal(7, 5, 0));
}

TEST(AclXattr, RefusesMalformedValues) {
  const std::string good = FormatAclXattr(Extended());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(ParseAclXattr(std::string_view(good).substr(0, size)).ok(), size == 4) << size;
  }
  EXPECT_EQ(ParseAclXattr(good + 'x').status().err(), EINVAL);
  std::string version = good;
  version[0] = 3;
  EXPECT_EQ(ParseAclXattr(version).status().err(), EOPNOTSUPP);
}

TEST(AclXattr, SurvivesRandomBytes) {
  std::mt19937 rng(1);
  for (int round = 0; round < 20000; ++round) {
    std::string value("\x02\0\0\0", 4);
    for (size_t n = rng() % 6; n > 0; --n) {
      value += static_cast<char>(1 << rng() % 7);
      value += '\0';
      value += static_cast<char>(rng() % 9);
      value.append(1, '\0').append(4, static_cast<char>(rng() % 3 - 1));
    }
    if (Result<Acl> acl = ParseAclXattr(value); acl.ok() && !acl->empty()) {
      EXPECT_TRUE(ValidateAcl(*acl).ok());
    }
  }
}

TEST(ValidateAcl, AcceptsAndRefusesAsTheKernelDoes) {
  const AclEntry owner{kAclUserObj, 7, kAclNoId}, group{kAclGroupObj, 5, kAclNoId},
      other{kAclOther, 0, kAclNoId}, mask{kAclMask, 5, kAclNoId}, user{kAclUser, 7, 10},
      user2{kAclUser, 7, 5}, named{kAclGroup, 7, 20};
  const struct {
    const char* why;
    Acl acl;
    bool ok;
  } kCases[] = {
      {"minimal", {owner, group, other}, true},
      {"mask alone", {owner, group, mask, other}, true},
      {"all", {owner, user, group, named, mask, other}, true},
      {"users in any order", {owner, user, user2, group, mask, other}, true},
      {"repeated user", {owner, user, user, group, mask, other}, true},
      {"empty", {}, false},
      {"no owner", {group, other}, false},
      {"no group", {owner, other}, false},
      {"no other", {owner, group}, false},
      {"two owners", {owner, owner, group, other}, false},
      {"two groups", {owner, group, group, other}, false},
      {"two masks", {owner, group, mask, mask, other}, false},
      {"two others", {owner, group, other, other}, false},
      {"named user without mask", {owner, user, group, other}, false},
      {"named group without mask", {owner, group, named, other}, false},
      {"user after group", {owner, group, user, mask, other}, false},
      {"group before owning group", {owner, named, group, mask, other}, false},
      {"mask before group", {owner, mask, group, other}, false},
      {"other first", {other, owner, group}, false},
      {"perm 8", {{kAclUserObj, 8, kAclNoId}, group, other}, false},
      {"unknown tag", {owner, {0x40, 7, 1}, group, other}, false},
      {"tag of two bits", {owner, {0x03, 7, 1}, group, other}, false},
      {"named user without id", {owner, {kAclUser, 7, kAclNoId}, group, mask, other}, false},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(ValidateAcl(c.acl).ok(), c.ok) << c.why;
    EXPECT_EQ(ValidateAcl(c.acl).err(), c.ok ? 0 : EINVAL) << c.why;
  }
}

TEST(AclMode, OnlyAMinimalListIsEquivalentToAMode) {
  EXPECT_EQ(EquivalentMode(Minimal(6, 4, 0)), 0640u);
  EXPECT_EQ(EquivalentMode(Extended()), std::nullopt);
  EXPECT_EQ(EquivalentMode({{kAclUserObj, 6, kAclNoId},
                            {kAclGroupObj, 4, kAclNoId},
                            {kAclMask, 4, kAclNoId},
                            {kAclOther, 0, kAclNoId}}),
            std::nullopt);
}

TEST(AclMode, GroupBitsShowTheMask) {
  Acl acl = Extended();
  acl[4].perm = 2;
  EXPECT_EQ(AclToMode(acl, 0107000), 0107724u) << "type, setuid, setgid and sticky bits stay";
  EXPECT_EQ(AclToMode(Minimal(1, 2, 4), 0777), 0124u);
}

TEST(AclMode, ChmodSetsOwnerMaskAndOther) {
  const Acl acl = AclWithMode(Extended(), 0100640);
  EXPECT_EQ(acl[0].perm, 6);
  EXPECT_EQ(acl[2].perm, 5) << "the owning group's own entry stays";
  EXPECT_EQ(acl[4].perm, 4);
  EXPECT_EQ(acl[5].perm, 0);
  EXPECT_EQ(AclWithMode(Minimal(7, 7, 7), 0751), Minimal(7, 5, 1));
}

TEST(InheritAcl, TheModeMasksTheDefaultList) {
  const Inherited file = InheritAcl(Extended(), 0100644, false);
  EXPECT_EQ(file.mode, 0100644u);
  ASSERT_TRUE(file.access.has_value());
  EXPECT_EQ((*file.access)[0].perm, 6);
  EXPECT_EQ((*file.access)[1].perm, 5) << "named entries stay whole, the mask limits them";
  EXPECT_EQ((*file.access)[4].perm, 4);
  EXPECT_EQ((*file.access)[5].perm, 4);
  EXPECT_FALSE(file.default_acl.has_value());
}

TEST(InheritAcl, DirectoriesPassTheDefaultListOn) {
  const Inherited dir = InheritAcl(Extended(), 0040777, true);
  EXPECT_EQ(dir.mode, 0040774u);
  EXPECT_EQ(dir.default_acl, Extended());
}

TEST(InheritAcl, AMinimalDefaultListLeavesAModeOnly) {
  const Inherited file = InheritAcl(Minimal(7, 5, 0), 0100666, false);
  EXPECT_EQ(file.mode, 0100640u);
  EXPECT_FALSE(file.access.has_value());
  EXPECT_EQ(InheritAcl(Minimal(7, 5, 0), 0102666, false).mode, 0102640u);
}

}  // namespace
}  // namespace kfs::meta
