// What the reading commands print, made of the answers alone.
#include "cli/reports.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

namespace kfs::cli {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

class ReportsTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

pb::ConfShowReply Conf() {
  pb::ConfShowReply conf;
  conf.set_self("u1");
  conf.mutable_conf()->set_generation(12);
  for (const char* id : {"1", "2", "3"}) {
    auto* m = conf.mutable_conf()->add_member();
    m->set_uuid(std::string("u") + id);
    m->set_address(std::string("m") + id + ":7400");
  }
  return conf;
}

TEST_F(ReportsTest, PeerStatusReadsLikeGlusters) {
  pb::ConfShowReply conf = Conf();
  EXPECT_EQ(PeerStatusText(conf, 0),
            "Number of Peers: 0\na metaserver joins with 'kfs peer probe HOST:PORT'\n");
  auto* p = conf.add_peer();
  p->set_uuid("u2");
  p->set_address("m2:7400");
  p->set_connected(true);
  p->set_state("Peer in Cluster");
  p->set_generation(12);
  p->set_votes(true);
  p = conf.add_peer();
  p->set_uuid("u3");
  p->set_address("m3:7400");
  p->set_state("Peer Rejected");
  p->set_generation(11);
  p->set_last_heard(1 * kSecond);
  p->set_reason("Connection refused");
  EXPECT_EQ(PeerStatusText(conf, 31 * kSecond),
            "Number of Peers: 2\n"
            "\nHostname: m2:7400\nUuid: u2\nState: Peer in Cluster (Connected)\n"
            "\nHostname: m3:7400\nUuid: u3\nState: Peer Rejected (Disconnected)\nReason: Connection refused\n"
            "Last heard: 30 s\nGeneration: 11 (here 12)\nVote: not yet\n");
  auto json = PeerStatusJson(conf);
  EXPECT_EQ(json["self"]["address"], "m1:7400");
  EXPECT_EQ(json["peers"][1]["reason"], "Connection refused");
  EXPECT_EQ(MembersLine(conf), "members     2 of 3 connected, generation 12\n");
  conf.set_self("detached");
  EXPECT_EQ(MembersLine(conf),
            "members     1 of 3 connected, generation 12; this metaserver was detached from them\n");
}

TEST_F(ReportsTest, PeerWhyHasALineForAFinding) {
  pb::PeerWhyReply why;
  why.set_address("m3:7400");
  why.set_state("Peer Rejected");
  auto* f = why.add_finding();
  f->set_what("clock");
  f->set_good(true);
  f->set_words("0.3 ms apart");
  f = why.add_finding();
  f->set_what("checksum");
  f->set_words("another configuration");
  f->set_remedy("kfs peer repair m3:7400");
  why.add_difference("volume data: stopped");
  EXPECT_EQ(PeerWhyText(why),
            "m3:7400: Peer Rejected\nok   clock: 0.3 ms apart\n"
            "BAD  checksum: another configuration  -> kfs peer repair m3:7400\n"
            "from its configuration to ours:\n  volume data: stopped\n");
  EXPECT_EQ(PeerWhyJson(why)["findings"][0]["good"], true);
}

// Two members reported, the third, which owns "far", did not.
pb::VolumeStatusReply StatusOfVolumes() {
  pb::VolumeStatusReply status;
  auto& m1 = (*status.mutable_report())["m1:7400"];
  auto* v = m1.add_volume();
  v->set_name("data");
  v->set_owner("m1:7400");
  v->set_started(true);
  v->set_counted(true);
  v->set_files(5);
  v->set_bytes(2048);
  v->set_sessions(1);
  auto* c = m1.add_chunkserver();
  c->set_id(1);
  c->set_address("c1:7500");
  c->set_up(true);
  c->set_asked_micros(900);
  auto* d = c->add_disk();
  d->set_path("/d1");
  d->set_capacity(uint64_t{1} << 40);
  d->set_available(uint64_t{1} << 39);
  d->set_chunks(7);
  c = m1.add_chunkserver();
  c->set_id(2);
  c->set_reason("never registered here");
  auto& m2 = (*status.mutable_report())["m2:7400"];
  c = m2.add_chunkserver();
  c->set_id(1);
  c->set_reason("connection lost");
  status.add_unreachable("m3:7400 (since 12:00:05)");
  return status;
}

TEST_F(ReportsTest, AChunkserverThatGoesByAnOlderConfigurationIsNamed) {
  pb::VolumeStatusReply status = StatusOfVolumes();
  status.set_generation(14);
  auto* c = (*status.mutable_report())["m1:7400"].mutable_chunkserver(0);
  c->set_generation(14);
  EXPECT_EQ(ChunkserverStatusText(status).find("behind"), std::string::npos);
  c->set_generation(12);
  EXPECT_NE(ChunkserverStatusText(status).find("behind: generation 12 of 14"), std::string::npos);
  EXPECT_EQ(ChunkserverStatusJson(status)["chunkservers"][0]["generation"], 12);
}

TEST_F(ReportsTest, VolumeStatusTellsWhatIsNotKnownAndWhy) {
  pb::ConfShowReply conf = Conf();
  auto* far = conf.mutable_conf()->add_volume();
  far->set_name("far");
  far->set_owner("u3");
  far->set_started(true);
  conf.mutable_conf()->add_volume()->set_name("data");
  EXPECT_EQ(
      VolumeStatusText(StatusOfVolumes(), conf, ""),
      "VOLUME  STATE       OWNER    FILES     DATA  MOUNTS\n"
      "data    started     m1:7400      5  2.0 KiB       1\n"
      "far     owner away  m3:7400      -        -       -\n"
      "far: its owner was not reached: m3:7400 (since 12:00:05)\n"
      "\n"
      "CHUNKSERVER  ADDRESS  DISK  CAPACITY       FREE  CHUNKS  ANSWERED IN  STATE\n"
      "1            c1:7500  /d1    1.0 TiB  512.0 GiB       7       0.9 ms  up, but not at m2:7400\n"
      "2            -        -            -          -       -            -  down: never registered here\n"
      "\nunreachable: m3:7400 (since 12:00:05)\n");
  EXPECT_EQ(VolumeStatusText(StatusOfVolumes(), conf, "far").find("data"), std::string::npos);
  auto json = VolumeStatusJson(StatusOfVolumes(), conf, "");
  EXPECT_EQ(json["volumes"][0]["files"], 5);
  EXPECT_TRUE(json["volumes"][1]["files"].is_null());
  EXPECT_EQ(json["volumes"][1]["reason"], "its owner was not reached: m3:7400 (since 12:00:05)");
  EXPECT_EQ(json["chunkservers"][0]["disks"][0]["chunks"], 7);
  EXPECT_EQ(json["chunkservers"][0]["down_at"][0], "m2:7400");
  EXPECT_EQ(json["unreachable"].size(), 1u);
}

TEST_F(ReportsTest, VolumeStatusTellsTheOwnersTrouble) {
  pb::VolumeStatusReply status = StatusOfVolumes();
  auto* v = (*status.mutable_report())["m1:7400"].mutable_volume(0);
  v->set_counted(false);
  v->set_trouble("its disk is gone");
  EXPECT_EQ(VolumeStatusJson(status, Conf(), "")["volumes"][0]["reason"], "its disk is gone");
  v->clear_trouble();
  v->set_started(false);
  EXPECT_EQ(VolumeStatusJson(status, Conf(), "")["volumes"][0]["reason"], "it is stopped");
}

TEST_F(ReportsTest, TheQuickestAnswerOfAChunkserverIsTaken) {
  pb::VolumeStatusReply status = StatusOfVolumes();
  auto& m2 = (*status.mutable_report())["m2:7400"];
  auto* c = m2.mutable_chunkserver(0);
  c->clear_reason();
  c->set_up(true);
  c->set_asked_micros(200);
  auto json = ChunkserverStatusJson(status);
  EXPECT_EQ(json["chunkservers"][0]["asked_micros"], 200);
  EXPECT_EQ(json["chunkservers"][0]["up_at"].size(), 2u);
  EXPECT_NE(ChunkserverStatusText(status).find("0.2 ms  up\n"), std::string::npos);
}

TEST_F(ReportsTest, ChunkserverListHasThoseNeverSeen) {
  pb::ConfShowReply conf = Conf();
  for (uint64_t id : {1, 2}) {
    auto* c = conf.mutable_conf()->add_chunkserver();
    c->set_id(id);
    c->set_uuid("c" + std::to_string(id));
  }
  (*conf.mutable_conf()->mutable_chunkserver(0)->mutable_label())["rack"] = "r1";
  (*conf.mutable_conf()->mutable_chunkserver(0)->mutable_label())["host"] = "h";
  auto* state = conf.add_chunkserver();
  state->set_id(1);
  state->set_address("h:1");
  state->set_up(true);
  EXPECT_EQ(ChunkserverListText(conf, 0),
            "ID  UUID  ADDRESS  STATE             LABELS\n"
            " 1  c1    h:1      up                host=h rack=r1\n"
            " 2  c2    -        down, never seen  -\n");
  EXPECT_EQ(ChunkserverListJson(conf)[0]["labels"]["rack"], "r1");
}

TEST_F(ReportsTest, OptionsAreThoseThatExistAndThoseThatAreSet) {
  pb::ConfShowReply conf = Conf();
  auto* known = conf.add_option();
  known->set_name("atime");
  known->set_fallback("on");
  known->set_words("Keep access times.");
  known = conf.add_option();
  known->set_name("quorum");
  known->set_of_cluster(true);
  pb::VolumeConf volume;
  (*volume.mutable_option())["old"] = "1";
  EXPECT_EQ(OptionsText(conf, &volume, ""),
            "OPTION  VALUE  SET      MEANING\n"
            "atime   on     default  Keep access times.\n"
            "old     1      yes\n");
  (*volume.mutable_option())["atime"] = "off";
  EXPECT_EQ(OptionsText(conf, &volume, "atime"),
            "OPTION  VALUE  SET  MEANING\natime   off    yes  Keep access times.\n");
  EXPECT_EQ(OptionsJson(conf, nullptr, "").dump(), R"({"quorum":{"set":false,"value":"","words":""}})");
}

TEST_F(ReportsTest, TransitionsReadLikeTheLog) {
  pb::TransactionListReply list;
  auto* t = list.add_transaction();
  t->set_id("1f2e3d4c-0000");
  t->set_command("volume start data");
  t->set_originator("m1:7400");
  t->set_state("Stage op sent");
  t->set_started(100 * kSecond);
  (*t->mutable_answer())["m2:7400"] = "ACC";
  auto* s = t->add_step();
  s->set_micros(1500);
  s->set_from("Lock sent");
  s->set_event("ALL_ACC");
  s->set_to("Stage op sent");
  EXPECT_EQ(TransitionsText(list, "1f2e"),
            "1f2e3d4c-0000  volume start data, change, started 1970-01-01 00:01:40\n"
            "    +1.500 ms  Transitioning from 'Lock sent' to 'Stage op sent' due to event 'ALL_ACC'\n");
  EXPECT_EQ(TransitionsText(list, "2"), "");
  std::string table = TransactionsText(list, true, 101 * kSecond);
  EXPECT_NE(table.find("1000.0 ms  m1:7400   volume start data  Stage op sent: m2:7400=ACC\n"),
            std::string::npos)
      << table;
  EXPECT_NE(table.find("    +1.500 ms  Lock sent -> Stage op sent (ALL_ACC)\n"), std::string::npos) << table;
  t->set_ended(100 * kSecond + 2'000'000);
  t->set_outcome("made");
  t->set_participant(true);
  table = TransactionsText(list, false, 101 * kSecond);
  EXPECT_NE(table.find("change, as peer"), std::string::npos) << table;
  EXPECT_NE(table.find("2.0 ms  m1:7400   volume start data  made\n"), std::string::npos) << table;
  EXPECT_EQ(TransactionsJson(list)[0]["steps"][0]["event"], "ALL_ACC");
}

TEST_F(ReportsTest, TheLogSaysWhatEachGenerationChanged) {
  pb::ConfLogReply log;
  EXPECT_EQ(LogText(log), "the configuration has not been changed yet\n");
  auto* e = log.add_entry();
  e->set_generation(12);
  e->set_time(100 * kSecond);
  e->set_command("volume start data");
  e->set_originator("m1:7400");
  e->add_difference("volume data: started");
  e->set_checksum("\x01\xff");
  log.add_entry()->set_generation(11);
  EXPECT_EQ(LogText(log),
            "generation 12  1970-01-01 00:01:40  asked of m1:7400\n  kfs volume start data\n    volume data: "
            "started\n\ngeneration 11  -  asked of -\n  kfs \n    (what it changed is not kept)\n");
  EXPECT_EQ(LogJson(log)[0]["checksum"], "01ff");
  e->set_asked_by("alice@m1");
  EXPECT_NE(LogText(log).find("asked of m1:7400 by alice@m1\n"), std::string::npos) << LogText(log);
  log.mutable_entry(0)->set_asked_key("admin/ops/3");
  EXPECT_NE(LogText(log).find("asked of m1:7400 by alice@m1 with key admin/ops/3\n"), std::string::npos);
  EXPECT_EQ(LogJson(log)[0]["asked_key"], "admin/ops/3");
}

TEST_F(ReportsTest, AListedFileIsOneLineWhateverItsNameIs) {
  pb::ChunkserverFilesReply::File file;
  file.set_ino(7);
  file.set_path("a b/new\nline\\");
  file.set_chunks(3);
  EXPECT_EQ(ListedFileText("data", file), "       3  data:/a b/new\\x0aline\\x5c\n");
  EXPECT_EQ(ListedFileJson("data", file)["path"], "/a b/new\nline\\");
  file.set_path("\xff\xfe");
  EXPECT_EQ(ListedFileText("data", file), "       3  data:/\\xff\\xfe\n");
  EXPECT_EQ(ListedFileJson("data", file)["path_hex"], "2ffffe");
  file.set_named(pb::ChunkserverFilesReply::File::NAMELESS);
  EXPECT_NE(ListedFileText("data", file).find("(inode 7: no path"), std::string::npos);
  EXPECT_TRUE(ListedFileJson("data", file)["path"].is_null());
}

TEST_F(ReportsTest, TheLogSaysWhatIsMissingInIt) {
  pb::ConfLogReply log;
  const auto add = [&log](uint64_t generation, uint64_t follows) {
    log.add_entry()->set_generation(generation);
    log.mutable_entry()->rbegin()->set_follows(follows);
  };
  add(110, 9);  // members were given up
  add(9, 8);
  add(4, 3);
  add(2, 1);
  const std::string text = LogText(log);
  EXPECT_NE(text.find("\ngenerations 5 to 8: made while this metaserver was away"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\ngeneration 3: made while"), std::string::npos) << text;
  EXPECT_EQ(text.find("10 to"), std::string::npos) << text;
  EXPECT_EQ(LogJson(log)[1]["follows"], 8);
}

}  // namespace
}  // namespace kfs::cli
