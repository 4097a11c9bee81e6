// Commands that only read: what they ask for, and their exit codes. How it is printed is reports_test's.
#include "cli_fixture.h"

namespace kfs::cli {
namespace {

class ReadingTest : public CliFixture {};

pb::ConfShowReply ConfWithVolume() {
  pb::ConfShowReply conf;
  conf.set_self("m1");
  conf.mutable_conf()->add_member()->set_uuid("m1");
  conf.mutable_conf()->set_generation(12);
  conf.mutable_conf()->add_volume()->set_name("data");
  return conf;
}

TEST_F(ReadingTest, StatusTellsOfTheClusterWhenTheMemberDoes) {
  pb::ClusterStatusReply status;
  status.set_cluster_id("c");
  member_.Answer<rpc::ClusterStatus>(status);
  EXPECT_EQ(Run({"status"}), kOk) << err_;
  EXPECT_EQ(out_.find("generation"), std::string::npos) << out_;
  member_.Answer<rpc::ConfShow>(ConfWithVolume());
  EXPECT_EQ(Run({"status"}), kOk) << err_;
  EXPECT_NE(out_.find("members     1 of 1 connected, generation 12\n"), std::string::npos) << out_;
}

TEST_F(ReadingTest, VolumeStatusIsATransactionWithItsTime) {
  member_.Answer<rpc::VolumeStatus>({});
  member_.Answer<rpc::ConfShow>(ConfWithVolume());
  EXPECT_EQ(Run({"volume", "status", "data"}), kOk) << err_;
  auto asked = member_.Asked<rpc::VolumeStatus>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].name(), "data");
  EXPECT_EQ(asked[0].ctx().timeout_ms(), 5000u);
  EXPECT_EQ(asked[0].ctx().words(), "volume status data");
  EXPECT_EQ(Run({"chunkserver", "status"}), kOk) << err_;
}

TEST_F(ReadingTest, WhatIsNotThereHasItsExitCode) {
  member_.Answer<rpc::ConfShow>(ConfWithVolume());
  EXPECT_EQ(Run({"volume", "get", "nothere"}), kNotFound);
  EXPECT_EQ(Run({"volume", "get", "data", "nooption"}), kNotFound);
  EXPECT_EQ(Run({"volume", "get", "data"}), kOk) << err_;
  member_.Answer<rpc::PeerWhy>({}, Status(ENOENT, "m9 is not a member (see: kfs peer status)"));
  EXPECT_EQ(Run({"peer", "why", "m9"}), kNotFound);
  member_.Answer<rpc::TransactionList>({});
  EXPECT_EQ(Run({"cluster", "transitions", "77"}), kNotFound);
  EXPECT_EQ(Run({"cluster", "transitions"}), kOk) << err_;
  EXPECT_EQ(Run({"cluster", "abort", "77"}), kNotFound);
}

TEST_F(ReadingTest, AbortTakesTheFirstLettersOfOneThatRuns) {
  pb::TransactionListReply list;
  for (const char* id : {"aa11", "aa22", "bb33"}) list.add_transaction()->set_id(id);
  list.mutable_transaction(1)->set_ended(1);
  member_.Answer<rpc::TransactionList>(list);
  member_.Answer<rpc::TransactionAbort>({});
  EXPECT_EQ(Run({"cluster", "abort", "aa"}), kOk) << err_;
  auto asked = member_.Asked<rpc::TransactionAbort>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].id(), "aa11");
  list.mutable_transaction(1)->set_ended(0);
  member_.Answer<rpc::TransactionList>(list);
  EXPECT_EQ(Run({"cluster", "abort", "aa"}), kFailed);
  member_.Answer<rpc::TransactionAbort>(
      {}, Status(EBUSY, "its commit has been sent (it will be made or dropped)"));
  EXPECT_EQ(Run({"cluster", "abort", "bb33"}), kFailed);
}

TEST_F(ReadingTest, ALongLogIsAskedForInPages) {
  pb::ConfLogReply page;
  for (int i = 0; i < 100; ++i) page.add_entry()->set_generation(500 - i);
  member_.Answer<rpc::ConfLog>(page);
  EXPECT_EQ(Run({"cluster", "log", "-n", "150", "--json"}), kOk) << err_;
  auto asked = member_.Asked<rpc::ConfLog>();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].before(), 0u);
  EXPECT_EQ(asked[0].count(), 100u);
  EXPECT_EQ(asked[1].before(), 401u);
  EXPECT_EQ(asked[1].count(), 50u);
}

TEST_F(ReadingTest, AVolumeThatWasNotCountedHasQuestionMarks) {
  pb::VolumeListReply list;
  auto* v = list.add_volume();
  v->set_name("data");
  v->set_files(7);
  v->set_started(true);
  member_.Answer<rpc::VolumeList>(list);
  EXPECT_EQ(Run({"volume", "list"}), kOk) << err_;
  EXPECT_NE(out_.find("?: only the owner knows"), std::string::npos) << out_;
  EXPECT_EQ(Run({"volume", "list", "--json"}), kOk) << err_;
  EXPECT_NE(out_.find("\"files\": null"), std::string::npos) << out_;
  v->set_counted(true);
  member_.Answer<rpc::VolumeList>(list);
  EXPECT_EQ(Run({"volume", "list", "--json"}), kOk) << err_;
  EXPECT_NE(out_.find("\"files\": 7"), std::string::npos) << out_;
}

}  // namespace
}  // namespace kfs::cli
