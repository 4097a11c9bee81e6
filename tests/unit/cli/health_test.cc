// What `kfs health` finds, and how bad it is.
#include "cli/health.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/health_examination.h"
#include "cli/reports.h"
#include "cli_fixture.h"

namespace kfs::cli {
namespace {

bool Tells(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

constexpr TimeNs kNow = 1'700'000'000'000'000'000;

// Three metaservers, one chunkserver, one volume that m1 owns; all is well.
class HealthTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 3; ++i) all_.push_back(Answer(i));
  }
  static MemberAnswer Answer(int n) {
    MemberAnswer a;
    a.address = "m" + std::to_string(n) + ":7400";
    a.conf.set_self("u" + std::to_string(n));
    a.conf.set_checksum("sum");
    a.conf.set_software("kfs 0.1.0");
    pb::ClusterConf& conf = *a.conf.mutable_conf();
    conf.set_cluster_id("c");
    conf.set_generation(7);
    for (int i = 1; i <= 3; ++i) {
      auto* m = conf.add_member();
      m->set_uuid("u" + std::to_string(i));
      m->set_address("m" + std::to_string(i) + ":7400");
      if (i == n) continue;
      auto* p = a.conf.add_peer();
      p->set_uuid(m->uuid());
      p->set_address(m->address());
      p->set_connected(true);
      p->set_votes(true);
      p->set_state("Peer in Cluster");
    }
    auto* v = conf.add_volume();
    v->set_name("data");
    v->set_owner("u1");
    v->set_started(true);
    conf.add_chunkserver()->set_id(1);
    auto* c = a.cluster.add_chunkserver();
    c->set_id(1);
    c->set_address("m2:7401");
    c->set_up(true);
    c->set_last_seen(kNow);
    c->set_capacity(100ull << 30);
    c->set_available(50ull << 30);
    auto* info = a.cluster.add_volume();
    info->set_name("data");
    info->set_started(true);
    info->set_counted(n == 1);
    return a;
  }
  // As it is when one does not run: it does not answer, and the others have lost it.
  void Down(int n) {
    MemberAnswer& gone = all_[n - 1];
    gone.status = Status(ECONNREFUSED, "nothing listens there\n  is it running?");
    gone.conf.Clear();
    gone.cluster.Clear();
    for (MemberAnswer& a : all_) {
      for (auto& p : *a.conf.mutable_peer()) {
        if (p.uuid() == "u" + std::to_string(n)) p.set_connected(false);
      }
    }
  }
  std::vector<Finding> Found() { return Examine(all_, kNow); }
  // The one of this name; fails when there is none, or several.
  Finding Only(const std::string& alarm) {
    std::vector<Finding> out;
    for (const Finding& f : Found()) {
      if (f.alarm == alarm) out.push_back(f);
    }
    EXPECT_EQ(out.size(), 1u) << alarm << "\n" << HealthText(Found(), all_);
    return out.empty() ? Finding() : out.front();
  }
  std::vector<MemberAnswer> all_;
};

TEST_F(HealthTest, AllIsWell) {
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  EXPECT_EQ(HealthText(Found(), all_), "ok        3 metaservers, 1 chunkserver, 1 volume\n");
  EXPECT_EQ(HealthJson(Found(), all_)["state"], "ok");
}

TEST_F(HealthTest, AMetaserverThatIsDownIsAWarningItsVolumesAreCritical) {
  Down(2);
  EXPECT_EQ(Only("metaserver.down").words, "nothing listens there");
  EXPECT_EQ(Worst(Found()), Severity::kWarning);
  Down(1);
  EXPECT_EQ(Only("volume.owner_down").severity, Severity::kCritical);
  EXPECT_EQ(Only("cluster.no_majority").severity, Severity::kCritical);
  // The worst comes first.
  EXPECT_TRUE(HealthText(Found(), all_).starts_with("critical"));
  EXPECT_EQ(HealthJson(Found(), all_)["exit_code"], 2);
}

TEST_F(HealthTest, OneThatOnlyTheOthersReachIsNotDown) {
  all_[0].status = Status(ETIMEDOUT, "no answer in time");
  all_[0].conf.Clear();
  all_[0].cluster.Clear();
  EXPECT_EQ(Only("metaserver.not_asked").severity, Severity::kWarning);
  EXPECT_EQ(Worst(Found()), Severity::kWarning) << HealthText(Found(), all_);
}

TEST_F(HealthTest, WhatWasLostWithAChunkserverIsCriticalUntilItIsSettled) {
  auto* lost = all_[0].cluster.mutable_volume(0)->add_lost();
  lost->set_server(4);
  lost->set_chunks(12);
  lost->set_files(3);
  const Finding found = Only("chunk.lost");
  EXPECT_EQ(found.severity, Severity::kCritical);
  EXPECT_EQ(found.words, "has lost 12 chunks of 3 files with chunkserver 4, which was removed");
  EXPECT_NE(found.next.find("kfs chunkserver files 4"), std::string::npos);
  EXPECT_EQ(LostText(all_[0].cluster.volume(0)),
            "volume data has lost 12 chunks of 3 files with chunkserver 4: kfs chunkserver files 4\n");
  lost->set_settled(true);
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  EXPECT_EQ(LostText(all_[0].cluster.volume(0)), "");
}

TEST_F(HealthTest, AMountWhoseProgramsWaitIsFound) {
  auto* s = all_[0].cluster.add_session();
  s->set_volume("data");
  s->set_host("laptop");
  s->set_mountpoint("/mnt");
  s->set_attached(true);
  s->set_recent_ops(100);
  s->set_recent_micros(100 * 10'000);
  s->set_slowest_micros(4'000'000);
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  s->set_slowest_micros(6'000'000);
  EXPECT_EQ(Only("mount.slow").words, "of volume data has waited 6.0 s for a call in the last two minutes");
  s->set_recent_micros(100 * 300'000);
  EXPECT_EQ(Only("mount.slow").words,
            "of volume data waits 300 ms for a call, in the mean of 100 in the last two minutes");
  EXPECT_EQ(Only("mount.slow").severity, Severity::kWarning);
  s->set_recent_ops(5);  // a few say nothing
  s->set_slowest_micros(0);
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
}

TEST_F(HealthTest, AMountThatHasLostItsSessionIsAWarningForAnHourThenANote) {
  auto* s = all_[0].cluster.add_lost_session();
  s->set_volume("data");
  s->set_host("laptop");
  s->set_mountpoint("/mnt");
  s->set_lost(kNow - 60'000'000'000);
  all_[0].cluster.set_lost_sessions(1);
  EXPECT_EQ(Only("mount.lost").severity, Severity::kWarning);
  EXPECT_EQ(Only("mount.lost").subject, "mount laptop:/mnt");
  s->set_lost(kNow - 2 * 3600'000'000'000);
  EXPECT_EQ(Only("mount.lost").severity, Severity::kNote);
  EXPECT_EQ(Worst(Found()), Severity::kNote);
}

TEST_F(HealthTest, AMetaserverWhoseOperationsTakeLongIsFound) {
  all_[0].cluster.set_recent_ops(1000);
  all_[0].cluster.set_recent_micros(1000 * 40'000);
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  all_[0].cluster.set_recent_micros(1000 * 90'000);
  EXPECT_EQ(Only("metaserver.slow_ops").words,
            "takes 90 ms for an operation, in the mean of the last minute");
  all_[0].cluster.set_recent_ops(0);
  EXPECT_TRUE(Found().empty());
}

TEST_F(HealthTest, WhatMetaserversSayOfThemselvesIsToldOnce) {
  for (MemberAnswer& a : all_) {
    auto* alarm = a.cluster.add_alarm();
    alarm->set_name("inventory.unknown_chunk");
    alarm->set_subject("volume data");
    alarm->set_severity(static_cast<pb::ClusterStatusReply::Alarm::Severity>(99));  // of a later version
    alarm->set_words("does not know chunks");
    alarm->set_next("look");
  }
  const std::vector<Finding> found = Examine(all_, kNow);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].alarm, "inventory.unknown_chunk");
  EXPECT_EQ(found[0].severity, Severity::kCritical);
  EXPECT_EQ(found[0].next, "look");
}

TEST_F(HealthTest, NobodyAnswers) {
  for (int i = 1; i <= 3; ++i) Down(i);
  EXPECT_EQ(Found().size(), 3u);
  EXPECT_EQ(Worst(Found()), Severity::kCritical);
}

TEST_F(HealthTest, MembersThatDiffer) {
  all_[2].conf.mutable_conf()->set_generation(6);
  EXPECT_EQ(Only("cluster.behind").severity, Severity::kWarning);
  all_[2].conf.mutable_conf()->set_generation(7);
  all_[2].conf.set_checksum("another");
  EXPECT_EQ(Only("cluster.conflict").severity, Severity::kCritical);
  all_[2].conf.set_checksum("sum");
  all_[2].conf.mutable_conf()->set_cluster_id("d");
  EXPECT_EQ(Only("cluster.stranger").severity, Severity::kCritical);
  all_[2].conf.mutable_conf()->set_cluster_id("c");
  all_[2].conf.mutable_peer(0)->set_state("Peer Rejected");
  EXPECT_EQ(Only("cluster.peer_rejected").severity, Severity::kCritical);
  all_[2].conf.mutable_peer(0)->set_state("Peer in Cluster");
  all_[2].conf.mutable_peer(0)->set_connected(false);
  EXPECT_EQ(Only("peer.disconnected").subject, "metaserver m3:7400");
  all_[2].conf.mutable_peer(0)->set_connected(true);
  all_[2].conf.set_software("kfs 0.2.0");
  EXPECT_EQ(Only("cluster.versions").severity, Severity::kWarning);
  all_[2].conf.set_software("kfs 0.1.0");
  all_[2].took = std::chrono::seconds(1);
  EXPECT_EQ(Only("metaserver.slow").subject, "metaserver m3:7400");
}

TEST_F(HealthTest, AMemberWhoseAddressAnotherAnswersIsFoundWhateverItsLinksSay) {
  std::swap(all_[0].address, all_[1].address);  // each with the data of the other
  std::vector<Finding> swapped;
  for (const Finding& f : Found()) {
    if (f.alarm == "metaserver.swapped") swapped.push_back(f);
  }
  ASSERT_EQ(swapped.size(), 2u) << HealthText(Found(), all_);
  EXPECT_EQ(swapped[0].subject, "metaserver m1:7400");
  EXPECT_EQ(swapped[0].severity, Severity::kCritical);
  EXPECT_TRUE(Tells(swapped[0].words, "that of m2:7400, and itself answers at m2:7400")) << swapped[0].words;
  EXPECT_TRUE(Tells(swapped[0].next, "its own data-dir")) << swapped[0].next;
  // Named by another name it is no less there.
  std::swap(all_[0].address, all_[1].address);
  all_[0].address = "localhost:7400";
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  all_[1].also_at = {"m1:7400"};
  EXPECT_EQ(Only("metaserver.swapped").subject, "metaserver m1:7400");
}

TEST_F(HealthTest, AChunkserverAtWhoseAddressAnotherAnswersIsSaidToBeSwapped) {
  for (MemberAnswer& a : all_) {
    a.conf.mutable_conf()->add_chunkserver()->set_id(2);
    pb::ClusterStatusReply::Chunkserver other = a.cluster.chunkserver(0);
    other.set_id(2);
    a.cluster.mutable_chunkserver(0)->set_up(false);
    *a.cluster.add_chunkserver() = other;
  }
  const Finding found = Only("chunkserver.swapped");
  EXPECT_EQ(found.subject, "chunkserver 1 (m2:7401)");
  EXPECT_EQ(found.severity, Severity::kCritical);
  EXPECT_TRUE(Tells(found.words, "answered by another one, chunkserver 2")) << found.words;
  EXPECT_TRUE(Tells(found.next, "its own data-dirs")) << found.next;
}

TEST_F(HealthTest, WhatAMetaserverThatDoesNotAnswerIsCalledIsSaidOnce) {
  EXPECT_EQ(WhyNotAsked("m1:7400", Status(ETIMEDOUT, "metaserver: metaserver at m1:7400 does not answer")),
            "does not answer");
  EXPECT_EQ(WhyNotAsked("m1:7400", Status(ECONNREFUSED, "cannot connect to m1:7400: refused\n  start it")),
            "cannot connect to m1:7400: refused");
}

TEST_F(HealthTest, AMemberThatHasLostItsDiskIsOneFindingThatSaysHowItIsMended) {
  Down(3);
  MemberAnswer& wiped = all_[2];
  wiped.status = Status();
  wiped.conf.set_self("new");
  wiped.conf.set_software("kfs 0.1.0");
  wiped.conf.mutable_conf()->set_cluster_id("of its own");
  wiped.conf.mutable_conf()->set_generation(1);
  wiped.conf.mutable_conf()->add_member()->set_uuid("new");
  const std::vector<Finding> found = Found();
  ASSERT_EQ(found.size(), 1u) << HealthText(found, all_);
  EXPECT_EQ(found[0].alarm, "cluster.stranger");
  EXPECT_EQ(found[0].subject, "metaserver m3:7400");
  EXPECT_TRUE(found[0].next.starts_with("kfs peer repair m3:7400")) << found[0].next;
  wiped.conf.mutable_conf()->add_volume()->set_name("theirs");
  EXPECT_TRUE(Tells(Only("cluster.stranger").words, "another cluster")) << HealthText(Found(), all_);
}

TEST_F(HealthTest, OneThatWasDetachedIsNotSaidToCatchUp) {
  for (int i : {0, 1}) {
    all_[i].conf.mutable_conf()->set_generation(9);
    all_[i].conf.mutable_conf()->mutable_member()->RemoveLast();
    all_[i].conf.mutable_peer()->RemoveLast();
  }
  Only("cluster.detached");
  EXPECT_EQ(Found().size(), 1u) << HealthText(Found(), all_);
}

TEST_F(HealthTest, OneThatHasNoRoomIsNotSaidToCatchUp) {
  all_[1].conf.mutable_conf()->set_generation(6);
  EXPECT_TRUE(Tells(Only("cluster.behind").next, "catches up"));
  all_[1].cluster.add_alarm()->set_name("cluster.no_room");
  EXPECT_TRUE(Tells(Only("cluster.behind").next, "make room"));
}

TEST_F(HealthTest, WhomOurKeyDoesNotOpenIsNoMatterOfTheNetwork) {
  all_[1].status = Status(EACCES, Code::kBadProof, "administration needs root/2\n  name its file");
  all_[1].conf.Clear();
  all_[1].cluster.Clear();
  EXPECT_EQ(Only("metaserver.not_asked").next, "name its file");
  for (int i : {0, 2}) all_[i] = all_[1];
  for (const Finding& f : Found()) EXPECT_EQ(f.next, "name its file") << HealthText(Found(), all_);
}

TEST_F(HealthTest, AChunkserverHasAMomentToComeBackToAMetaserverThatWasJustStarted) {
  all_[2].cluster.mutable_chunkserver(0)->set_up(false);
  all_[2].cluster.set_started(kNow - 2'000'000'000);
  EXPECT_TRUE(Found().empty()) << HealthText(Found(), all_);
  for (const TimeNs started : {kNow - 10'000'000'000, kNow + 3'600'000'000'000}) {
    all_[2].cluster.set_started(started);
    Only("chunkserver.partly");
  }
}

TEST_F(HealthTest, Volumes) {
  auto* v = all_[0].cluster.mutable_volume(0);
  v->set_counted(false);
  v->set_trouble("its log is damaged");
  EXPECT_EQ(Only("volume.not_served").severity, Severity::kCritical);
  EXPECT_NE(Only("volume.not_served").words.find("its log is damaged"), std::string::npos);
  EXPECT_NE(Only("volume.not_served").next.find("restore it from a backup"), std::string::npos);
  v->set_trouble("the data is an older copy. Nothing is lost yet: put the right data directory back");
  EXPECT_TRUE(Only("volume.not_served").words.ends_with("an older copy")) << Only("volume.not_served").words;
  EXPECT_EQ(Only("volume.not_served").next, "Nothing is lost yet: put the right data directory back");
  for (MemberAnswer& a : all_) a.conf.mutable_conf()->mutable_volume(0)->set_started(false);
  EXPECT_EQ(Only("volume.stopped").severity, Severity::kNote) << "stopping is no fault";
  EXPECT_EQ(Worst(Found()), Severity::kNote);
}

TEST_F(HealthTest, ChunkserversAndTheirRoom) {
  auto* c = all_[0].cluster.mutable_chunkserver(0);
  c->set_up(false);
  EXPECT_EQ(Only("chunkserver.partly").severity, Severity::kWarning);
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_up(false);
  EXPECT_EQ(Only("chunkserver.down").severity, Severity::kCritical);
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_last_seen(0);
  EXPECT_EQ(Only("chunkserver.down").severity, Severity::kWarning) << "never seen: nothing waits for it";
  for (MemberAnswer& a : all_) {
    a.cluster.mutable_chunkserver(0)->set_up(true);
    a.cluster.mutable_chunkserver(0)->set_last_seen(kNow);
    a.cluster.mutable_chunkserver(0)->set_available(5ull << 30);
  }
  EXPECT_EQ(Worst(Found()), Severity::kWarning);
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_available(1ull << 30);
  EXPECT_EQ(Worst(Found()), Severity::kCritical);
  for (MemberAnswer& a : all_) {
    a.cluster.mutable_chunkserver(0)->set_available(50ull << 30);
    a.cluster.mutable_chunkserver(0)->set_error("/d1: Input/output error");
  }
  EXPECT_EQ(Only("disk.sick").words, "/d1: Input/output error");
  for (MemberAnswer& a : all_)
    a.cluster.mutable_chunkserver(0)->set_error("not reached at m2:7401, where clients look for it: refused");
  EXPECT_EQ(Only("chunkserver.unreached").severity, Severity::kWarning);
}

TEST_F(HealthTest, AMountThatIsAway) {
  auto* s = all_[0].cluster.add_session();
  s->set_host("host1");
  s->set_mountpoint("/mnt");
  EXPECT_EQ(Only("mount.away").subject, "mount host1:/mnt");
  s->set_attached(true);
  EXPECT_TRUE(Found().empty());
}

// ---- over the network

class HealthCommandTest : public CliFixture {
 protected:
  pb::ConfShowReply Conf(const std::vector<std::string>& members) {
    pb::ConfShowReply conf;
    conf.set_self("u0");
    conf.mutable_conf()->set_cluster_id("c");
    conf.mutable_conf()->set_generation(1);
    for (size_t i = 0; i < members.size(); ++i) {
      auto* m = conf.mutable_conf()->add_member();
      m->set_uuid("u" + std::to_string(i));
      m->set_address(members[i]);
    }
    return conf;
  }
};

TEST_F(HealthCommandTest, AsksTheOthersAndSaysWhomItCouldNotAskInTime) {
  FakeMember silent, refuses;
  const std::string gone = refuses.address();
  refuses.Stop();
  silent.NeverAnswer<rpc::ClusterStatus>();
  member_.Answer<rpc::ClusterStatus>({});
  member_.Answer<rpc::ConfShow>(Conf({member_.address(), silent.address(), gone}));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(Run({"health", "--json"}), 2) << out_ << err_;
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(2500));
  const auto json = nlohmann::json::parse(out_);
  EXPECT_EQ(json["state"], "critical");
  EXPECT_EQ(json["asked"].size(), 3u);
  EXPECT_EQ(std::count_if(json["asked"].begin(), json["asked"].end(),
                          [](const auto& a) { return a["answered"] == false && a["reason"] != ""; }),
            2);
}

TEST_F(HealthCommandTest, StatusTellsItByItsExitCode) {
  member_.Answer<rpc::ClusterStatus>({});
  member_.Answer<rpc::ConfShow>(Conf({member_.address()}));
  EXPECT_EQ(Run({"status"}), kOk) << err_;
  EXPECT_EQ(Run({"status", "--check"}), 1) << "there is no chunkserver";
  EXPECT_NE(err_.find("warning   cluster: has no chunkserver"), std::string::npos) << err_;
  pb::ConfShowReply conf = Conf({member_.address()});
  conf.mutable_conf()->add_chunkserver()->set_id(1);
  pb::ClusterStatusReply status;
  status.add_chunkserver()->set_id(1);
  status.mutable_chunkserver(0)->set_up(true);
  status.mutable_chunkserver(0)->set_last_seen(1);
  member_.Answer<rpc::ClusterStatus>(status);
  member_.Answer<rpc::ConfShow>(conf);
  EXPECT_EQ(Run({"status", "--check"}), 0) << err_;
  EXPECT_EQ(Run({"health"}), 0) << out_;
  EXPECT_TRUE(out_.starts_with("ok ")) << out_;
}

}  // namespace
}  // namespace kfs::cli
