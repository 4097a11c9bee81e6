#include "fuse/groups.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace kfs::fuse {
namespace {

// A server that answers after a script, and what it was asked.
struct Script {
  std::vector<Status> answers;
  std::vector<Caller> asked;
  int groups_read = 0;
  Status result = Status(EIO, "not called");
  int results = 0;

  void Run(bool keep_done = false) {
    CallWithGroups<Status>(
        Caller{.uid = 5},
        [this, keep_done](const Caller& caller, std::function<void(Status)> done) {
          asked.push_back(caller);
          if (keep_done)
            later = [done = std::move(done), answer = answers[asked.size() - 1]] { done(answer); };
          else
            done(answers[asked.size() - 1]);
        },
        [this](Caller* caller) {
          ++groups_read;
          caller->groups = {7, 8};
          caller->groups_known = true;
        },
        [this](Status s) {
          ++results;
          result = s;
        });
  }
  std::function<void()> later;
};

const Status kNeed(EACCES, Code::kNeedGroups, "groups?");

TEST(Groups, NotReadWhenTheAnswerDoesNotDependOnThem) {
  Script s{.answers = {Status()}, .asked = {}, .later = {}};
  s.Run();
  EXPECT_TRUE(s.result.ok());
  EXPECT_EQ(s.groups_read, 0);
  ASSERT_EQ(s.asked.size(), 1u);
  EXPECT_FALSE(s.asked[0].groups_known);
  EXPECT_TRUE(s.asked[0].groups.empty());
}

TEST(Groups, PlainRefusalIsNotRepeated) {
  Script s{.answers = {Status(EACCES, "no")}, .asked = {}, .later = {}};
  s.Run();
  EXPECT_EQ(s.result.err(), EACCES);
  EXPECT_EQ(s.asked.size(), 1u);
}

TEST(Groups, RepeatedOnceWithThem) {
  Script s{.answers = {kNeed, Status()}, .asked = {}, .later = {}};
  s.Run();
  EXPECT_TRUE(s.result.ok());
  ASSERT_EQ(s.asked.size(), 2u);
  EXPECT_TRUE(s.asked[1].groups_known);
  EXPECT_EQ(s.asked[1].groups, (std::vector<uint32_t>{7, 8}));
  EXPECT_EQ(s.asked[1].uid, 5u);
  EXPECT_EQ(s.results, 1);
}

TEST(Groups, NeverAskedAThirdTime) {
  Script s{.answers = {kNeed, kNeed}, .asked = {}, .later = {}};
  s.Run();
  EXPECT_EQ(s.result.err(), EACCES);
  EXPECT_EQ(s.asked.size(), 2u);
  EXPECT_EQ(s.groups_read, 1);
}

TEST(Groups, AnswersMayComeLater) {
  Script s{.answers = {kNeed, Status()}, .asked = {}, .later = {}};
  s.Run(true);
  EXPECT_EQ(s.results, 0);
  std::exchange(s.later, nullptr)();
  EXPECT_EQ(s.asked.size(), 2u);
  std::exchange(s.later, nullptr)();
  EXPECT_EQ(s.results, 1);
  EXPECT_TRUE(s.result.ok());
}

}  // namespace
}  // namespace kfs::fuse
