// What `kfs doctor` finds of servers: of answers that are given, and of servers that answer as real ones would.
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/doctor/probe.h"
#include "cli_fixture.h"
#include "doctor_machine.h"

namespace kfs::cli::doctor {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr TimeNs kSecond = 1'000'000'000, kNow = 1'700'000'000 * kSecond;

class DoctorServersTest : public DoctorMachine {
 protected:
  // One metaserver and one chunkserver, near and well.
  DoctorServersTest() {
    Asked& asked = here_.asked;
    asked.answered = kNow;
    asked.servers.push_back(Server("metaserver m1:7400", true));
    asked.servers.push_back(Server("chunkserver 1 (d1:7401)", false));
    asked.volume = "data";
    pb::LocateVolumeReply located;
    located.set_owner("m1:7400");
    located.set_started(true);
    asked.located = located;
    MemberAnswer m;
    m.address = "m1:7400";
    m.conf.set_self("u1");
    m.conf.mutable_conf()->set_generation(1);
    auto* member = m.conf.mutable_conf()->add_member();
    member->set_uuid("u1");
    member->set_address("m1:7400");
    m.conf.mutable_conf()->add_chunkserver()->set_id(1);
    m.cluster.set_capacity(100);
    m.cluster.set_available(50);
    auto* c = m.cluster.add_chunkserver();
    c->set_id(1);
    c->set_address("d1:7401");
    c->set_up(true);
    c->set_last_seen(kNow - kSecond);
    c->set_capacity(100);
    c->set_available(50);
    asked.members.push_back(m);
  }
  static ReachedServer Server(const std::string& name, bool metaserver) {
    return {.metaserver = metaserver,
            .name = name,
            .status = {},
            .greeted = true,
            .took = {microseconds(900), microseconds(300), microseconds(500)},
            .answered = {microseconds(90), microseconds(30), microseconds(50)},
            .software = "kfs 0.1.0",
            .link = "tls"};
  }
  ReachedServer& Metaserver() { return here_.asked.servers[0]; }
  ReachedServer& Chunkserver() { return here_.asked.servers[1]; }
  static constexpr const char* kMeta = "metaserver m1:7400";
  static constexpr const char* kChunk = "chunkserver 1 (d1:7401)";
};

TEST_F(DoctorServersTest, WhatIsNearIsWell) {
  EXPECT_EQ(Worst(Diagnose(here_)), Severity::kNote) << DoctorText(Diagnose(here_));
  EXPECT_EQ(
      Only(kMeta).words,
      "answers in 0.05 ms, connected and greeted in 0.50 ms (medians of 3), by TLS, kfs 0.1.0, protocol 1");
}

TEST_F(DoctorServersTest, WhatIsFarIsSlow) {
  Metaserver().answered = {milliseconds(40), milliseconds(1), milliseconds(41)};
  EXPECT_EQ(Only(kMeta).severity, Severity::kWarning);
  EXPECT_THAT(Only(kMeta).words, HasSubstr("answers in 40 ms"));
  Chunkserver().took = {milliseconds(900)};
  EXPECT_EQ(Only(kChunk).severity, Severity::kWarning);
}

TEST_F(DoctorServersTest, LinksWithoutTlsAndOtherVersions) {
  Metaserver().link = "plain";
  EXPECT_EQ(Only(kMeta).severity, Severity::kWarning);
  Metaserver().link = "unix";
  EXPECT_EQ(Only(kMeta).severity, Severity::kOk);
  Chunkserver().software = "kfs 0.2.0\x1b";
  EXPECT_EQ(Only(kChunk).severity, Severity::kNote);
  EXPECT_THAT(Only(kChunk).words, HasSubstr("kfs 0.2.0?"));
}

TEST_F(DoctorServersTest, OneOfSeveralMetaserversIsNotReached) {
  ReachedServer away = Server("metaserver m2:7400", true);
  away = {.metaserver = true,
          .name = away.name,
          .status = Status(ECONNREFUSED, "cannot connect"),
          .software = "",
          .link = ""};
  here_.asked.servers.push_back(away);
  EXPECT_EQ(Only(away.name).severity, Severity::kWarning);
  EXPECT_THAT(Only(away.name).words, HasSubstr("cannot connect: Connection refused"));
  here_.asked.servers.erase(here_.asked.servers.begin());
  EXPECT_EQ(Only(away.name).severity, Severity::kCritical) << "no other is reached";
}

TEST_F(DoctorServersTest, AChunkserverThatIsNotReachedIsCritical) {
  Chunkserver() = {.metaserver = false,
                   .name = kChunk,
                   .status = Status(EHOSTUNREACH, "no route"),
                   .software = "",
                   .link = ""};
  EXPECT_EQ(Only(kChunk).severity, Severity::kCritical);
  EXPECT_THAT(Only(kChunk).next, HasSubstr("advertise"));
  Chunkserver().status = Status(ETIMEDOUT, "it takes connections, and does not answer within 2.0 s");
  EXPECT_THAT(Only(kChunk).words, HasSubstr("it takes connections"));
  Chunkserver().took = {milliseconds(1)};
  EXPECT_THAT(Only(kChunk).words, HasSubstr("now and then"));
}

TEST_F(DoctorServersTest, AKeyThatIsRefusedOrCannotBeRead) {
  Metaserver() = {.metaserver = true,
                  .name = kMeta,
                  .status = Status(EACCES, Code::kBadProof, "it does not accept our key\n  and so on"),
                  .software = "",
                  .link = ""};
  EXPECT_EQ(Only(kMeta).severity, Severity::kCritical);
  EXPECT_THAT(Only(kMeta).words, HasSubstr("does not take our key"));
  EXPECT_EQ(Only(kMeta).words.find('\n'), std::string::npos);
  here_.asked.key = Status(ENOENT, "cannot read secret file");
  EXPECT_EQ(Only("key").severity, Severity::kCritical);
  Metaserver() = {.metaserver = true, .name = kMeta, .took = {milliseconds(1)}, .software = "", .link = ""};
  EXPECT_THAT(Only(kMeta).words, HasSubstr("there is no key"));
}

TEST_F(DoctorServersTest, TheVolume) {
  const std::string subject = "volume data";
  EXPECT_EQ(Only(subject).severity, Severity::kOk);
  (*here_.asked.located)->set_started(false);
  EXPECT_THAT(Only(subject).next, HasSubstr("kfs volume start data"));
  (*here_.asked.located)->set_started(true);
  Metaserver().status = Status(ECONNREFUSED, "x");
  EXPECT_THAT(Only(subject).words, HasSubstr("its owner m1:7400 is not reached"));
  here_.asked.located = Status(ENOENT, "none");
  EXPECT_EQ(Only(subject).severity, Severity::kCritical);
  here_.asked.located = Status(EACCES, "your key is for another");
  EXPECT_THAT(Only(subject).words, HasSubstr("your key is for another"));
  here_.asked.located.reset();
  EXPECT_TRUE(IsUnknown(Only(subject)));
  here_.asked.volume.clear();
  EXPECT_TRUE(None(subject));
}

TEST_F(DoctorServersTest, AMountsKeyIsToldLess) {
  here_.asked.mount_key = true;
  here_.asked.members.clear();
  for (const char* subject : {"chunkservers", "wall clock", "room of the cluster", "kfs health"}) {
    EXPECT_TRUE(IsUnknown(Only(subject))) << subject;
    EXPECT_THAT(Only(subject).words, HasSubstr("mount's key")) << subject;
  }
  EXPECT_LE(Worst(Diagnose(here_)), Severity::kNote);
}

TEST_F(DoctorServersTest, TheWallClockByWhatTheMetaserverHasHeard) {
  const std::string subject = "wall clock";
  EXPECT_EQ(Only(subject).severity, Severity::kOk);
  here_.asked.answered = kNow - 100 * kSecond;
  EXPECT_THAT(Only(subject).words, HasSubstr("at least 99 s behind"));
  EXPECT_EQ(Only(subject).severity, Severity::kWarning);
  here_.asked.answered = kNow + 100 * kSecond;
  EXPECT_THAT(Only(subject).words, HasSubstr("101 s ahead"));
  // One that is down was heard of at any time.
  here_.asked.members[0].cluster.mutable_chunkserver(0)->set_up(false);
  EXPECT_TRUE(IsUnknown(Only(subject)));
  auto* peer = here_.asked.members[0].conf.add_peer();
  peer->set_connected(true);
  peer->set_last_heard(kNow + 99 * kSecond);
  EXPECT_EQ(Only(subject).severity, Severity::kOk);
}

TEST_F(DoctorServersTest, Room) {
  pb::ClusterStatusReply& cluster = here_.asked.members[0].cluster;
  EXPECT_EQ(Only("room of the cluster").severity, Severity::kOk);
  EXPECT_TRUE(None("room of chunkserver 1 (d1:7401)"));
  cluster.mutable_chunkserver(0)->set_available(9);
  EXPECT_EQ(Only("room of chunkserver 1 (d1:7401)").severity, Severity::kWarning);
  cluster.mutable_chunkserver(0)->set_available(1);
  EXPECT_EQ(Only("room of chunkserver 1 (d1:7401)").severity, Severity::kCritical);
  cluster.set_available(1);
  EXPECT_EQ(Only("room of the cluster").severity, Severity::kCritical);
  here_.asked.members[0].status = Status(ECONNREFUSED, "x");
  EXPECT_TRUE(IsUnknown(Only("room of the cluster")));
}

TEST_F(DoctorServersTest, WhatHealthSaysIsPointedTo) {
  EXPECT_EQ(Only("kfs health").severity, Severity::kOk);
  here_.asked.members[0].cluster.mutable_chunkserver(0)->set_up(false);
  const Finding f = Only("kfs health");
  EXPECT_EQ(f.severity, Severity::kCritical);
  EXPECT_THAT(f.words, HasSubstr("says 1 critical finding: chunkserver 1 (d1:7401): is down"));
  EXPECT_EQ(f.next, "kfs health");
}

// By real connections.
class DoctorCommandTest : public CliFixture {
 protected:
  DoctorCommandTest() : chunkserver_("c1", pb::HelloRequest::CHUNKSERVER) {
    pb::ConfShowReply conf;
    conf.set_self("u1");
    conf.set_software("kfs 0.1.0");
    conf.mutable_conf()->set_cluster_id("c");
    auto* m = conf.mutable_conf()->add_member();
    m->set_uuid("u1");
    m->set_address(member_.address());
    conf.mutable_conf()->add_chunkserver()->set_id(1);
    member_.Answer<rpc::ConfShow>(conf);
    pb::ClusterStatusReply status;
    status.set_capacity(100);
    status.set_available(60);
    auto* c = status.add_chunkserver();
    c->set_id(1);
    c->set_uuid("c1");
    c->set_up(true);
    c->set_address(chunkserver_.address());
    c->set_key("root/1");
    c->set_last_seen(SystemClock().WallNow());
    member_.Answer<rpc::ClusterStatus>(status);
    pb::LocateVolumeReply at;
    at.set_owner(member_.address());
    at.set_started(true);
    member_.Answer<rpc::LocateVolume>(at);
  }
  // The finding of that subject in what was printed as JSON.
  nlohmann::json Said(const std::string& subject) {
    const auto said = nlohmann::json::parse(out_);
    for (const auto& f : said["findings"]) {
      if (f["subject"] == subject) return f;
    }
    ADD_FAILURE() << "nothing of " << subject << " in " << out_;
    return {{"severity", ""}, {"words", ""}, {"next", ""}};
  }
  std::string Meta() { return "metaserver " + member_.address(); }
  std::string Chunk() { return "chunkserver 1 (" + chunkserver_.address() + ")"; }
  int Doctor(std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"doctor", member_.address() + ":/data", "--json"};
    args.insert(args.end(), more.begin(), more.end());
    return Run(args);
  }
  FakeMember chunkserver_;
};

TEST_F(DoctorCommandTest, EachServerIsConnectedToAndMeasured) {
  Doctor();
  for (const std::string& subject : {Meta(), Chunk()}) {
    EXPECT_EQ(Said(subject)["severity"], "ok") << out_;
    EXPECT_THAT(std::string(Said(subject)["words"]), HasSubstr("(medians of 3), by TLS, kfs 0.1.0"));
  }
  EXPECT_EQ(Said("volume data")["severity"], "ok");
  EXPECT_EQ(member_.Asked<rpc::LocateVolume>().front().name(), "data");
  EXPECT_EQ(member_.Asked<rpc::LocateVolume>().size(), 1u);
}

TEST_F(DoctorCommandTest, AServerThatIsDownIsSaidToBeSoonAndIsCritical) {
  chunkserver_.Stop();
  EXPECT_EQ(Doctor(), 2);
  EXPECT_EQ(Said(Chunk())["severity"], "critical");
  EXPECT_THAT(std::string(Said(Chunk())["words"]), HasSubstr("Connection refused"));
  EXPECT_EQ(Said(Meta())["severity"], "ok");
}

TEST_F(DoctorCommandTest, AServerThatHangsCostsABoundedTime) {
  chunkserver_.NeverAnswer<rpc::Ping>();
  EXPECT_EQ(Doctor({"--timeout", "2"}), 2);
  EXPECT_EQ(Said(Chunk())["severity"], "critical");
  EXPECT_THAT(std::string(Said(Chunk())["words"]), HasSubstr("within 1.0 s"));
}

TEST_F(DoctorCommandTest, AVolumeThatIsNotThere) {
  member_.Answer<rpc::LocateVolume>({}, Status(ENOENT, "no such volume"));
  EXPECT_EQ(Doctor(), 2);
  EXPECT_EQ(Said("volume data")["severity"], "critical");
}

TEST_F(DoctorCommandTest, AWrongKeyIsSaidToBeOne) {
  std::ofstream(dir_ + "/secret", std::ios::trunc) << std::string(64, '8') << "\n";
  EXPECT_EQ(Doctor(), 2);
  EXPECT_EQ(Said(Meta())["severity"], "critical");
  EXPECT_THAT(std::string(Said(Meta())["words"]), HasSubstr("does not take our key"));
}

TEST_F(DoctorCommandTest, WithoutAKeyTheServersAreConnectedToAllTheSame) {
  std::filesystem::remove(dir_ + "/secret");
  EXPECT_EQ(Doctor(), 2);
  EXPECT_EQ(Said("key")["severity"], "critical");
  EXPECT_THAT(std::string(Said(Meta())["words"]), HasSubstr("connected in"));
}

TEST_F(DoctorCommandTest, WhereNothingIsMountedNothingIsLookedAt) {
  EXPECT_EQ(Run({"doctor", dir_}), kNotFound);
  EXPECT_THAT(err_, HasSubstr("no KFS volume is mounted on " + dir_));
  EXPECT_EQ(Run({"doctor", "m1:/"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("the volume's name is missing"));
  EXPECT_EQ(Run({"doctor", "m1:/\xff"}), kUsage);
  EXPECT_EQ(Run({"doctor", "/none/of:/these"}), kNotFound) << "a path, whatever is in it";
}

TEST(ProbeTest, WithoutServersThereIsNothingToWaitFor) {
  EXPECT_TRUE(ProbeAll({}, std::chrono::hours(1)).empty());
}

}  // namespace
}  // namespace kfs::cli::doctor
