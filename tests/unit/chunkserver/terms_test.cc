// What a chunkserver makes of the cluster's configuration: options that are set for all, and being asked to
// leave.
#include <gtest/gtest.h>

#include "chunkserver/cluster_terms.h"
#include "store_fixture.h"

namespace kfs {
namespace {

class TermsTest : public StoreTest, private ClusterTermsEnv {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    Open();
  }
  static pb::PrepareConfRequest Proposal(uint64_t generation, uint64_t ballot = 1) {
    pb::PrepareConfRequest request;
    request.set_generation(generation);
    request.set_ballot(ballot);
    request.set_originator("m1");
    return request;
  }
  static pb::PrepareConfRequest Leaving(uint64_t generation, uint64_t ballot = 1) {
    pb::PrepareConfRequest request = Proposal(generation, ballot);
    request.mutable_terms()->set_leave(true);
    return request;
  }
  static pb::ChunkserverTerms Setting(const std::string& name, int64_t value) {
    pb::ChunkserverTerms terms;
    (*terms.mutable_option())[name] = value;
    return terms;
  }
  bool RefusesNew() { return Write(0, "x", 1, 1000 + ++tried_).code() == Code::kTryAgain; }

  int applied_ = 0;
  uint64_t tried_ = 0;
  Status check_;
  const Tunables own_{.reserve_bytes = 7, .inventory_rate = 11};
  ClusterTerms terms_{own_, clock_, *this};

 private:
  Status CheckTunables(const Tunables&) override { return check_; }
  void Apply(const Tunables&) override { ++applied_; }
  void RefuseNew(bool refuse) override { store_->RefuseNew(refuse); }
  Status HoldsNothing() override { return store_->HoldsNothing(); }
};

TEST_F(TermsTest, PreparingAnOptionChangesNothingUntilItIsDecided) {
  pb::PrepareConfRequest proposal = Proposal(5);
  *proposal.mutable_terms() = Setting("chunkserver-reserve", 1 << 20);
  EXPECT_TRUE(terms_.Prepare(proposal).ok());
  EXPECT_EQ(terms_.in_force(), own_);
  EXPECT_EQ(applied_, 0);
  terms_.Learn(5, proposal.terms());
  EXPECT_EQ(terms_.in_force().reserve_bytes, 1u << 20);
  EXPECT_EQ(terms_.in_force().inventory_rate, 11);  // not set: its own
  EXPECT_EQ(applied_, 1);
}

TEST_F(TermsTest, AnOlderGenerationIsPassedOver) {
  terms_.Learn(5, Setting("chunkserver-inventory-rate", 500));
  terms_.Learn(4, Setting("chunkserver-inventory-rate", 400));
  terms_.Learn(5, Setting("chunkserver-inventory-rate", 501));
  EXPECT_EQ(terms_.in_force().inventory_rate, 500);
  EXPECT_EQ(terms_.generation(), 5u);
  terms_.Learn(6, {});  // reset: as its own file says
  EXPECT_EQ(terms_.in_force(), own_);
}

TEST_F(TermsTest, AnOptionThatCannotBeIsRefusedAndIfDecidedAllTheSameLeftAlone) {
  check_ = Status(EINVAL, "more than the disk");
  pb::PrepareConfRequest proposal = Proposal(2);
  *proposal.mutable_terms() = Setting("chunkserver-reserve", 1 << 30);
  EXPECT_EQ(terms_.Prepare(proposal).message(), "more than the disk");
  terms_.Learn(2, proposal.terms());
  EXPECT_EQ(terms_.in_force(), own_);
  EXPECT_EQ(applied_, 0);
}

TEST_F(TermsTest, OptionsOfALaterVersionAreIgnored) {
  pb::ChunkserverTerms terms = Setting("chunkserver-colour", 3);
  (*terms.mutable_option())["chunkserver-sync-ms"] = 60;
  terms_.Learn(2, terms);
  EXPECT_EQ(terms_.in_force().sync_interval, std::chrono::milliseconds(60));
}

TEST_F(TermsTest, WhoHoldsChunksDoesNotLeave) {
  ASSERT_TRUE(Write(0, "data").ok());
  const Status st = terms_.Prepare(Leaving(2));
  EXPECT_EQ(st.err(), EBUSY);
  EXPECT_EQ(st.message(), "it holds 1 chunk");
  EXPECT_FALSE(RefusesNew());  // it stays in use
}

TEST_F(TermsTest, WhoIsToLeaveCreatesNothingUntilTheTimeIsUp) {
  ASSERT_TRUE(terms_.Prepare(Leaving(2)).ok());
  EXPECT_TRUE(RefusesNew());
  EXPECT_TRUE(terms_.Prepare(Leaving(2)).ok());  // every member asks
  clock_.now += ClusterTerms::kPreparedFor - std::chrono::seconds(1);
  terms_.OnTimer();
  EXPECT_TRUE(RefusesNew());
  clock_.now += std::chrono::seconds(2);
  terms_.OnTimer();
  EXPECT_FALSE(RefusesNew());
}

TEST_F(TermsTest, WhoHasLeftStaysEmptyUntilItIsTakenInAgain) {
  ASSERT_TRUE(terms_.Prepare(Leaving(2)).ok());
  terms_.Learn(2, Leaving(2).terms());
  clock_.now += ClusterTerms::kPreparedFor * 2;
  terms_.OnTimer();
  EXPECT_TRUE(RefusesNew());
  terms_.Learn(3, {});
  EXPECT_FALSE(RefusesNew());
}

TEST_F(TermsTest, AnotherDecisionEndsWhatWasPrepared) {
  ASSERT_TRUE(terms_.Prepare(Leaving(2)).ok());
  terms_.Learn(2, {});  // somebody else's change won the generation
  EXPECT_FALSE(RefusesNew());
}

TEST_F(TermsTest, ALaterAttemptReplacesAnEarlierOneAndNotTheOtherWayRound) {
  ASSERT_TRUE(terms_.Prepare(Leaving(2, 5)).ok());
  EXPECT_EQ(terms_.Prepare(Proposal(2, 4)).code(), Code::kTryAgain);
  EXPECT_TRUE(RefusesNew());
  EXPECT_TRUE(terms_.Prepare(Proposal(2, 6)).ok());  // in which it stays
  EXPECT_FALSE(RefusesNew());
}

TEST_F(TermsTest, AMessageOfAGenerationThatIsDecidedDoesNothing) {
  terms_.Learn(3, {});
  EXPECT_TRUE(terms_.Prepare(Leaving(2)).ok());
  EXPECT_TRUE(terms_.Prepare(Leaving(3)).ok());
  EXPECT_FALSE(RefusesNew());
}

TEST_F(TermsTest, AMutationCreatesNothingEither) {
  ASSERT_TRUE(terms_.Prepare(Leaving(2)).ok());
  EXPECT_EQ(Mutate(1, 2, {Step(pb::ChunkStep::TRUNCATE, 0)}).code(), Code::kTryAgain);
  EXPECT_TRUE(store_->HoldsNothing().ok());
}

}  // namespace
}  // namespace kfs
