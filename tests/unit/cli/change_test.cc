// Commands that change the configuration: what they ask for, how they tell the outcome, and whom they ask.
#include "cli/change.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli_fixture.h"

namespace kfs::cli {
namespace {

using testing::internal::CaptureStdout;

class ChangeTest : public CliFixture {
 protected:
  void SetUp() override {
    CliFixture::SetUp();
    pb::ConfChangeReply reply;
    reply.set_generation(12);
    reply.add_difference("volume data: option atime: default -> off");
    member_.Answer<rpc::ConfChange>(reply);
  }
  // Exactly this was asked for, as text of the protobuf.
  void ExpectChange(const std::vector<std::string>& args, const std::string& expected) {
    FakeMember fresh;
    fresh.Answer<rpc::ConfChange>({});
    std::vector<std::string> all = args;
    for (const std::string& a :
         {std::string("--metaserver"), fresh.address(), std::string("--secret-file"), dir_ + "/secret"})
      all.push_back(a);
    GlobalOptions global;
    CLI::App app;
    BuildApp(app, global);
    CaptureStdout();
    EXPECT_EQ(RunCommandLine(app, global, all), kOk);
    testing::internal::GetCapturedStdout();
    auto asked = fresh.Asked<rpc::ConfChange>();
    ASSERT_EQ(asked.size(), 1u) << args[1];
    EXPECT_EQ(asked[0].change().ShortDebugString(), expected);
  }
};

TEST_F(ChangeTest, TheContextSaysWhatWasTypedAndHowLongToTry) {
  EXPECT_EQ(Run({"--json", "volume", "set", "data", "atime", "off"}), kOk) << err_;
  pb::CommandContext ctx = Change().ctx();
  EXPECT_EQ(ctx.words(), "volume set data atime off");
  EXPECT_EQ(ctx.timeout_ms(), 20000u);
  EXPECT_EQ(ctx.request_id().size(), 36u);
  EXPECT_FALSE(ctx.dry_run());
  Run({"volume", "set", "data", "atime=a b", "--timeout", "3", "--dry-run"});
  auto all = member_.Asked<rpc::ConfChange>();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].ctx().words(), "volume set data 'atime=a b' --dry-run");
  EXPECT_EQ(all[1].ctx().timeout_ms(), 3000u);
  EXPECT_TRUE(all[1].ctx().dry_run());
  EXPECT_NE(all[1].ctx().request_id(), ctx.request_id());
}

TEST_F(ChangeTest, EachCommandAsksForItsChange) {
  ExpectChange({"volume", "create", "data", "--replicas", "1", "--chunk-size", "1M", "--owner", "m2",
                "--label", "use=home"},
               "create_volume { name: \"data\" owner: \"m2\" replicas: 1 chunk_size: 1048576 label { key: "
               "\"use\" value: \"home\" } }");
  ExpectChange({"volume", "create", "data", "--owner", "m2", "--owner", "m3:7401", "--inline-max", "0"},
               "create_volume { name: \"data\" candidate: \"m2\" candidate: \"m3:7401\" option { key: "
               "\"inline-max\" value: \"0\" } }");
  ExpectChange({"volume", "delete", "data", "--yes"}, "delete_volume { name: \"data\" }");
  ExpectChange({"volume", "start", "data"}, "start_volume { name: \"data\" }");
  ExpectChange({"volume", "stop", "data", "--yes"}, "stop_volume { name: \"data\" }");
  ExpectChange({"volume", "set", "data", "a", "1"},
               "set_option { volume: \"data\" name: \"a\" value: \"1\" }");
  ExpectChange({"volume", "set", "data", "a=b=c"},
               "set_option { volume: \"data\" name: \"a\" value: \"b=c\" }");
  ExpectChange({"volume", "reset", "data", "a"}, "set_option { volume: \"data\" name: \"a\" }");
  ExpectChange({"cluster", "set", "a", "1"}, "set_option { name: \"a\" value: \"1\" }");
  ExpectChange({"cluster", "reset", "a"}, "set_option { name: \"a\" }");
  ExpectChange({"cluster", "revert", "7"}, "revert { to { generation: 7 } }");
  ExpectChange({"peer", "detach", "m2"}, "remove_member { uuid: \"m2\" }");
  ExpectChange({"peer", "detach", "m2", "m3", "--lost", "--yes"},
               "give_up_members { uuid: \"m2\" uuid: \"m3\" }");
  ExpectChange({"peer", "address", "m2", "h:1"}, "set_address { uuid: \"m2\" address: \"h:1\" }");
  ExpectChange({"chunkserver", "add", "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "--label", "rack=r1"},
               "add_chunkserver { uuid: \"1b4e28ba-2fa1-41d2-883f-0016d3cca427\" label { key: \"rack\" "
               "value: \"r1\" } }");
  ExpectChange({"chunkserver", "label", "3", "rack=r2", "--remove", "host", "--remove", "x"},
               "label_chunkserver { uuid: \"3\" set { key: \"rack\" value: \"r2\" } remove: \"host\" remove: "
               "\"x\" }");
  ExpectChange({"chunkserver", "remove", "3"}, "remove_chunkserver { uuid: \"3\" }");
  ExpectChange({"chunkserver", "remove", "3", "--lost", "--yes"},
               "remove_chunkserver { uuid: \"3\" lost: true }");
}

TEST_F(ChangeTest, SeveralPeersAreDetachedOnlyWhenLost) {
  EXPECT_EQ(Run({"peer", "detach", "m2", "m3"}), kUsage);
  EXPECT_NE(err_.find("one metaserver is detached at a time"), std::string::npos) << err_;
}

TEST_F(ChangeTest, ProbeAndRepairAreOpsOfTheirOwn) {
  member_.Answer<rpc::PeerProbe>({});
  member_.Answer<rpc::PeerRepair>({});
  EXPECT_EQ(Run({"peer", "probe", "m2:7401"}), kOk) << err_;
  EXPECT_EQ(Run({"peer", "repair", "m3", "--dry-run"}), kOk) << err_;
  auto probes = member_.Asked<rpc::PeerProbe>();
  auto repairs = member_.Asked<rpc::PeerRepair>();
  ASSERT_EQ(probes.size(), 1u);
  ASSERT_EQ(repairs.size(), 1u);
  EXPECT_EQ(probes[0].address(), "m2:7401");
  EXPECT_EQ(probes[0].ctx().words(), "peer probe m2:7401");
  EXPECT_EQ(repairs[0].peer(), "m3");
  EXPECT_TRUE(repairs[0].ctx().dry_run());
}

TEST_F(ChangeTest, NothingIsSentWhenTheCommandLineIsWrong) {
  EXPECT_EQ(Run({"volume", "create", "data", "--label", "nolabel"}), kUsage);
  EXPECT_NE(err_.find("'nolabel'"), std::string::npos) << err_;
  EXPECT_EQ(Run({"volume", "create", "data", "--label", "a=1", "--label", "a=2"}), kUsage);
  EXPECT_EQ(Run({"volume", "set", "data", "atime"}), kUsage);
  EXPECT_NE(err_.find("reset"), std::string::npos) << err_;
  EXPECT_EQ(Run({"volume", "set", "data", "=off"}), kUsage);
  EXPECT_EQ(Run({"chunkserver", "label", "3"}), kUsage);
  EXPECT_EQ(Run({"cluster", "revert", "0"}), kUsage);
  EXPECT_TRUE(member_.Asked<rpc::ConfChange>().empty());
}

TEST_F(ChangeTest, AnAddressThatCannotBeOneIsWrongUsage) {
  for (const char* address : {"host:99999", "host:abc", ":7400", "[::1", "host:-1"}) {
    more_members_ = {address};
    EXPECT_EQ(Run({"volume", "set", "data", "atime", "off"}), kUsage) << address;
    EXPECT_NE(err_.find(address), std::string::npos) << err_;
    EXPECT_EQ(Run({"volume", "list"}), kUsage) << address;
  }
  more_members_ = {"localhost", "[::1]:7400"};
  EXPECT_EQ(Run({"volume", "set", "data", "atime", "off"}), kOk) << err_;
  EXPECT_EQ(member_.Asked<rpc::ConfChange>().size(), 1u);
}

TEST_F(ChangeTest, AnUnansweredQuestionChangesNothing) {
  pb::VolumeReply info;
  info.mutable_volume()->set_name("data");
  member_.Answer<rpc::VolumeInfo>(info);
  std::istringstream answer("no\n");
  auto* before = std::cin.rdbuf(answer.rdbuf());
  EXPECT_EQ(Run({"volume", "delete", "data"}), kFailed);
  EXPECT_NE(err_.find("nothing was deleted"), std::string::npos) << err_;
  EXPECT_EQ(Run({"volume", "stop", "data"}), kFailed);
  EXPECT_NE(err_.find("nothing was stopped"), std::string::npos) << err_;
  EXPECT_TRUE(member_.Asked<rpc::ConfChange>().empty());
  std::istringstream typed("data\n");
  std::cin.clear();
  std::cin.rdbuf(typed.rdbuf());
  EXPECT_EQ(Run({"volume", "delete", "data"}), kOk) << err_;
  EXPECT_EQ(Change().change().delete_volume().name(), "data");
  std::cin.rdbuf(before);
}

TEST_F(ChangeTest, AStartedVolumeIsNotAskedAbout) {
  pb::VolumeReply info;
  info.mutable_volume()->set_started(true);
  member_.Answer<rpc::VolumeInfo>(info);
  EXPECT_EQ(Run({"volume", "delete", "data"}), kFailed);
  EXPECT_NE(err_.find("kfs volume stop data"), std::string::npos) << err_;
  EXPECT_TRUE(member_.Asked<rpc::ConfChange>().empty());
}

TEST_F(ChangeTest, ErrorsHaveTheirExitCodes) {
  member_.Answer<rpc::ConfChange>({}, Status(ENOENT, "there is no volume \"x\" (see: kfs volume list)"));
  EXPECT_EQ(Run({"volume", "start", "x"}), kNotFound);
  EXPECT_EQ(err_, "kfs: there is no volume \"x\" (see: kfs volume list)\n");
  member_.Answer<rpc::ConfChange>({}, Status(EHOSTUNREACH, "no majority (nothing was changed)"));
  EXPECT_EQ(Run({"volume", "start", "x"}), kFailed);
  member_.Answer<rpc::ConfChange>({}, Status(ETIMEDOUT, Code::kOutcomeUnknown, "1 of 3 accepted"));
  EXPECT_EQ(Run({"volume", "start", "x"}), kOutcomeUnknown);
  EXPECT_NE(err_.find("may or may not"), std::string::npos) << err_;
  EXPECT_NE(err_.find("kfs cluster log"), std::string::npos) << err_;
  member_.Stop();
  EXPECT_EQ(Run({"volume", "start", "x"}), kUnreachable);
}

TEST_F(ChangeTest, WhatIsNoAddressOrUuidOrCannotBeReadIsAWrongCommandLine) {
  for (const char* address : {"m2:99999", "a:b:c", ":7400", " "}) {
    EXPECT_EQ(Run({"peer", "probe", address}), kUsage) << address;
    EXPECT_EQ(Run({"peer", "address", "m2", address}), kUsage) << address;
  }
  EXPECT_EQ(Run({"chunkserver", "add", "nonsense"}), kUsage);
  EXPECT_TRUE(member_.Asked<rpc::ConfChange>().empty());
  std::filesystem::remove(dir_ + "/secret");
  EXPECT_EQ(Run({"volume", "list"}), kUsage);
}

TEST_F(ChangeTest, AChunkserverThatStillRunsIsSaidToComeBack) {
  pb::ClusterStatusReply status;
  auto* c = status.add_chunkserver();
  c->set_id(3);
  c->set_address("m3:7401");
  pb::ConfChangeReply made;
  made.add_difference("chunkserver 3: removed");
  member_.Answer<rpc::ConfChange>(made);
  pb::ConfShowReply conf;
  for (const bool up : {false, true}) {
    c->set_up(up);
    member_.Answer<rpc::ClusterStatus>(status);
    member_.Answer<rpc::ConfShow>(conf);
    EXPECT_EQ(Run({"chunkserver", "remove", "m3"}), kOk) << err_;
    EXPECT_EQ(out_.find("still runs at m3:7401") != std::string::npos, up) << out_;
  }
  (*conf.mutable_conf()->mutable_option())["chunkserver-admission"] = "command";
  member_.Answer<rpc::ConfShow>(conf);
  EXPECT_EQ(Run({"chunkserver", "remove", "m3"}), kOk) << err_;
  EXPECT_NE(out_.find("kfs chunkserver add"), std::string::npos) << out_;
}

TEST_F(ChangeTest, ANumberNamesThatChunkserverWhoeversUuidBeginsWithIt) {
  pb::ClusterStatusReply status;
  const auto add = [&](uint64_t id, const char* uuid, bool up) {
    auto* c = status.add_chunkserver();
    c->set_id(id);
    c->set_uuid(uuid);
    c->set_address("m3:7401");  // where a data directory was lost, two have one address
    c->set_up(up);
  };
  add(1, "3947f179-962e-4598-9d6a-2caed4083c94", true);
  add(3, "1ca1e45a-4d9f-4fa8-ace6-c6d4ffe7a98d", false);
  member_.Answer<rpc::ClusterStatus>(status);
  pb::ConfChangeReply made;
  made.add_difference("chunkserver 3: removed");
  member_.Answer<rpc::ConfChange>(made);
  EXPECT_EQ(Run({"chunkserver", "remove", "3", "--lost", "--yes"}), kOk) << err_;
  EXPECT_NE(out_.find("kfs chunkserver files 3"), std::string::npos) << out_;
  EXPECT_EQ(Run({"chunkserver", "remove", "1", "--lost", "--yes"}), kFailed);
  EXPECT_NE(err_.find("chunkserver 1 (m3:7401) is up"), std::string::npos) << err_;
  // Which of the two is meant is the metaserver's to ask.
  EXPECT_EQ(Run({"chunkserver", "remove", "m3:7401", "--lost", "--yes"}), kOk) << err_;
  EXPECT_EQ(out_.find("kfs chunkserver files"), std::string::npos) << out_;
}

TEST_F(ChangeTest, AfterALostConnectionTheSameMemberIsToldAgain) {
  FakeMember other;
  more_members_ = {other.address()};
  pb::ConfChangeReply reply;
  reply.set_generation(3);
  member_.Drop<rpc::ConfChange>(2, reply);
  other.Answer<rpc::ConfChange>(reply);
  EXPECT_EQ(Run({"volume", "start", "x"}), kOk) << err_;
  auto asked = member_.Asked<rpc::ConfChange>();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].ctx().request_id(), asked[2].ctx().request_id());
  EXPECT_TRUE(other.Asked<rpc::ConfChange>().empty());
}

TEST_F(ChangeTest, AChangeThatWasSentAndNotAnsweredHasAnUnknownOutcome) {
  FakeMember other;
  more_members_ = {other.address()};
  other.Answer<rpc::ConfChange>({});
  member_.NeverAnswer<rpc::ConfChange>();
  EXPECT_EQ(Run({"volume", "start", "x", "--timeout", "1"}), kOutcomeUnknown) << err_;
  EXPECT_NE(err_.find(member_.address()), std::string::npos) << err_;
  EXPECT_TRUE(other.Asked<rpc::ConfChange>().empty());
}

TEST_F(ChangeTest, AMemberThatIsDownIsPassedOver) {
  FakeMember other;
  more_members_ = {other.address()};
  other.Answer<rpc::ConfChange>({});
  member_.Stop();
  EXPECT_EQ(Run({"volume", "start", "x"}), kOk) << err_;
  EXPECT_EQ(other.Asked<rpc::ConfChange>().size(), 1u);
}

// Listens and lets connect, but greets nobody: a process that is stopped.
class HungMember {
 public:
  HungMember() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~HungMember() { close(fd_); }
  const std::string& address() const { return address_; }

 private:
  int fd_;
  std::string address_;
};

TEST_F(ChangeTest, AMemberThatHangsTakesOnlyItsShareOfTheTime) {
  HungMember hung;
  EXPECT_EQ(Run({"--metaserver", hung.address(), "--timeout", "2", "volume", "start", "x"}), kOk) << err_;
  EXPECT_EQ(Change().change().start_volume().name(), "x");
}

// What is read from it stops the member first.
class DeadlyAnswer : public std::streambuf {
 public:
  DeadlyAnswer(FakeMember& member, std::string answer) : member_(member), answer_(std::move(answer)) {}

 private:
  int_type underflow() override {
    if (eback() != nullptr) return traits_type::eof();
    member_.Stop();
    setg(answer_.data(), answer_.data(), answer_.data() + answer_.size());
    return traits_type::to_int_type(answer_[0]);
  }
  FakeMember& member_;
  std::string answer_;
};

TEST_F(ChangeTest, WhatWasNotSentYetMayGoToAnotherMember) {
  FakeMember other;
  more_members_ = {other.address()};
  other.Answer<rpc::ConfChange>({});
  member_.Answer<rpc::VolumeInfo>({});
  DeadlyAnswer answer(member_, "data\n");
  std::cin.clear();
  auto* before = std::cin.rdbuf(&answer);
  EXPECT_EQ(Run({"volume", "delete", "data"}), kOk) << err_;
  std::cin.rdbuf(before);
  EXPECT_EQ(other.Asked<rpc::ConfChange>().size(), 1u);
}

TEST_F(ChangeTest, AReadGoesOnToTheNextMember) {
  FakeMember other;
  more_members_ = {other.address()};
  member_.Drop<rpc::VolumeList>(1000, {});
  pb::VolumeListReply list;
  list.add_volume()->set_name("there");
  other.Answer<rpc::VolumeList>(list);
  EXPECT_EQ(Run({"volume", "list"}), kOk) << err_;
  EXPECT_NE(out_.find("there"), std::string::npos) << out_;
}

TEST(ChangeText, SaysWhatChangedAndWhoHasNotHeard) {
  pb::ConfChangeReply reply;
  reply.set_generation(12);
  reply.add_difference("volume data: option atime: default -> off");
  reply.add_unreachable("m3:7400 (since 12:00:05)");
  EXPECT_EQ(
      ChangeText(reply),
      "volume data: option atime: default -> off\ngeneration 12\nnot reached, will catch up: m3:7400 (since "
      "12:00:05)\n");
  reply.set_dry_run(true);
  EXPECT_EQ(
      ChangeText(reply),
      "would change (the generation is 12 and stays so):\n  volume data: option atime: default -> off\nnot "
      "reached, would catch up: m3:7400 (since 12:00:05)\n");
  reply.clear_difference();
  reply.clear_unreachable();
  EXPECT_EQ(ChangeText(reply), "nothing would change (the generation is 12 and stays so)\n");
  EXPECT_EQ(ChangeJson(reply).dump(), R"({"difference":[],"dry_run":true,"generation":12,"unreachable":[]})");
}

}  // namespace
}  // namespace kfs::cli
