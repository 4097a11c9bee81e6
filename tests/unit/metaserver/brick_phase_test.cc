// What a member asks its chunkservers when the configuration changes, and what their answers mean.
#include "metaserver/chunks/brick_phase.h"

#include <gtest/gtest.h>

#include <future>

#include "meta_fixture.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::meta {
namespace {

class BrickPhaseTest : public ::testing::Test {
 protected:
  struct Asked {
    ServerId server;
    Op op;
    pb::PrepareConfRequest request;
    std::function<void(Status, std::string)> done;
  };
  void SetUp() override {
    auto opened = Db::Open(dir_ + "/cluster", "cluster", memory_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(*opened);
    auto links = std::make_unique<TestLinks>(
        [this](ServerId server, Op op, const google::protobuf::MessageLite& m, auto done) {
          Asked asked{server, op, {}, std::move(done)};
          if (op == Op::kPrepareConf) asked.request.ParseFromString(m.SerializeAsString());
          if (op == Op::kLearnConf) {
            pb::LearnConfRequest learn;
            learn.ParseFromString(m.SerializeAsString());
            asked.request.set_generation(learn.generation());
            *asked.request.mutable_terms() = learn.terms();
          }
          asked_.push_back(std::move(asked));
        });
    servers_ = std::make_unique<Chunkservers>(*db_, clock_, SystemRandom(), std::move(links));
    for (uint64_t i = 1; i <= 2; ++i) {
      pb::ChunkserverConf* c = conf_.add_chunkserver();
      c->set_id(i);
      c->set_uuid("uuid" + std::to_string(i));
    }
    conf_.set_generation(4);
    servers_->Configure(conf_);
    On([&] { bricks_ = std::make_unique<BrickPhase>(thread_.loop(), clock_, *servers_); });
    ballot_.set_counter(9);
    ballot_.set_member("m2");
    next_ = conf_;
    next_.set_generation(5);
  }
  void TearDown() override {
    On([&] { bricks_.reset(); });
    servers_.reset();
    db_.reset();
  }
  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }
  // The answers given are what `answer` says of each; without one, nothing comes.
  Status Prepare(std::function<std::optional<Status>(const Asked&)> answer) {
    auto outcome = std::make_shared<std::promise<Status>>();
    On([&] {
      bricks_->Prepare(conf_, next_, ballot_, [outcome](const Status& s) { outcome->set_value(s); });
      for (const Asked& a : asked_) {
        if (std::optional<Status> s = answer(a)) a.done(*s, "");
      }
    });
    return outcome->get_future().get();
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  TestClock clock_;
  DbMemory memory_{8 << 20};
  std::unique_ptr<Db> db_;
  std::unique_ptr<Chunkservers> servers_;
  LoopThread thread_{"test-loop"};
  std::unique_ptr<BrickPhase> bricks_;
  pb::ClusterConf conf_, next_;
  pb::Ballot ballot_;
  std::vector<Asked> asked_;
};

TEST_F(BrickPhaseTest, WhomAChangeDoesNotConcernIsNotAsked) {
  (*next_.mutable_option())["chunkserver-admission"] = "command";
  EXPECT_TRUE(Prepare([](const Asked&) { return std::nullopt; }).ok());
  EXPECT_TRUE(asked_.empty());
}

TEST_F(BrickPhaseTest, AllAreAskedAboutAnOptionUnderItsBallot) {
  (*next_.mutable_option())["chunkserver-reserve"] = "2G";
  EXPECT_TRUE(Prepare([](const Asked&) { return Status(); }).ok());
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(asked_[0].request.generation(), 5u);
  EXPECT_EQ(asked_[0].request.ballot(), 9u);
  EXPECT_EQ(asked_[0].request.originator(), "m2");
  EXPECT_EQ(asked_[0].request.terms().option().at("chunkserver-reserve"), int64_t{2} << 30);
  EXPECT_FALSE(asked_[0].request.terms().leave());
}

TEST_F(BrickPhaseTest, OwnMeansThatNothingIsSet) {
  (*conf_.mutable_option())["chunkserver-reserve"] = "2G";
  (*next_.mutable_option())["chunkserver-reserve"] = "own";
  EXPECT_TRUE(Prepare([](const Asked&) { return Status(); }).ok());
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_TRUE(asked_[0].request.terms().option().empty());
}

TEST_F(BrickPhaseTest, ARefusalNamesTheChunkserver) {
  (*next_.mutable_option())["chunkserver-reserve"] = "2G";
  const Status s = Prepare([](const Asked& a) {
    return a.server == ServerId(2) ? Status(EINVAL, "more than its disk has") : Status();
  });
  EXPECT_EQ(s.err(), EINVAL);
  EXPECT_NE(s.message().find("chunkserver 2"), std::string::npos) << s.message();
  EXPECT_NE(s.message().find("more than its disk has"), std::string::npos) << s.message();
}

TEST_F(BrickPhaseTest, SilenceAndEarlierVersionsDoNotHoldAnOptionUp) {
  (*next_.mutable_option())["chunkserver-reserve"] = "2G";
  EXPECT_TRUE(Prepare([](const Asked& a) -> std::optional<Status> {
                if (a.server == ServerId(1)) return Status(EOPNOTSUPP, "a chunkserver does not serve this");
                return std::nullopt;
              }).ok());
}

TEST_F(BrickPhaseTest, WhoIsToLeaveHasToAnswer) {
  next_.mutable_chunkserver()->RemoveLast();
  const Status s = Prepare([](const Asked&) { return std::nullopt; });
  EXPECT_EQ(s.err(), EBUSY);
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].server, ServerId(2));
  EXPECT_TRUE(asked_[0].request.terms().leave());
  for (const Candidate& c : servers_->Candidates())
    EXPECT_NE(c.id, ServerId(2));  // nothing is placed there now
}

TEST_F(BrickPhaseTest, WhatIsDecidedIsToldToAllAlsoToThoseThatLeave) {
  (*next_.mutable_option())["chunkserver-sync-ms"] = "100";
  next_.mutable_chunkserver()->RemoveLast();
  On([&] { bricks_->Decided(next_); });
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(asked_[0].op, Op::kLearnConf);
  EXPECT_EQ(asked_[0].request.generation(), 5u);
  EXPECT_EQ(asked_[0].request.terms().option().at("chunkserver-sync-ms"), 100);
  EXPECT_TRUE(asked_[1].request.terms().leave());
}

}  // namespace
}  // namespace kfs::meta
