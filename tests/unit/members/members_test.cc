// Two or three real members: taking one in, changing things, detaching, mending.
#include "member_fixture.h"

namespace kfs::meta {
namespace {

using testing::HasSubstr;

#define EXPECT_MADE(expr)                                      \
  do {                                                         \
    const Made made_ = (expr);                                 \
    EXPECT_TRUE(made_.status.ok()) << made_.status.ToString(); \
  } while (false)

TEST_F(MembersTest, OneAloneMakesChangesAtOnce) {
  TestMember& m = Found();
  EXPECT_EQ(m.conf().member_size(), 1);
  EXPECT_TRUE(m.Ask([](Member& x) { return x.InTouch(); }));
  EXPECT_MADE(m.SetNote("a"));
  EXPECT_EQ(m.conf().option().at("user.note"), "a");
}

TEST_F(MembersTest, AProbedPeerHasTheConfigurationAndTakesPart) {
  Found();
  EXPECT_MADE((*this)[0].SetNote("before"));
  Cluster(2);
  EXPECT_EQ((*this)[1].conf().cluster_id(), (*this)[0].conf().cluster_id());
  EXPECT_EQ((*this)[1].conf().option().at("user.note"), "before");
  EXPECT_MADE((*this)[1].SetNote("by the new one"));
  WaitNote((*this)[0], "by the new one");
  EXPECT_EQ(Checksum((*this)[0].conf()), Checksum((*this)[1].conf()));
  EXPECT_EQ((*this)[0].Why((*this)[1].address()), "");
}

TEST_F(MembersTest, ADryProbeTakesNobodyIn) {
  Found();
  Found();
  const Made made = (*this)[0].Probe((*this)[1].address(), /*dry_run=*/true);
  EXPECT_TRUE(made.status.ok()) << made.status.ToString();
  EXPECT_TRUE(made.reply.dry_run());
  ASSERT_EQ(made.reply.difference_size(), 1);
  EXPECT_THAT(made.reply.difference(0), HasSubstr(": added"));
  EXPECT_EQ((*this)[0].conf().member_size(), 1);
  EXPECT_EQ((*this)[1].conf().member_size(), 1);
}

TEST_F(MembersTest, WhoCannotJoinIsNotTakenIn) {
  Cluster(2);
  TestMember& alone = Found();
  EXPECT_EQ((*this)[0].Probe((*this)[0].address()).status.err(), EINVAL);
  EXPECT_EQ((*this)[0].Probe((*this)[1].address()).status.err(), EEXIST);
  const Made taken = alone.Probe((*this)[1].address());
  EXPECT_EQ(taken.status.err(), EBUSY);
  EXPECT_THAT(taken.status.message(), HasSubstr("a cluster of 2 metaservers: detach it there first"));
  alone.Hold("it holds the data of 1 volumes");
  const Made holds = (*this)[0].Probe(alone.address());
  EXPECT_EQ(holds.status.err(), EBUSY);
  EXPECT_THAT(holds.status.message(), HasSubstr("it holds the data of 1 volumes"));
  EXPECT_EQ((*this)[0].conf().member_size(), 2);
  EXPECT_EQ(alone.conf().member_size(), 1);
}

TEST_F(MembersTest, NobodyAtTheAddressIsSaid) {
  Found();
  const std::string address = Found().address();
  (*this)[1].Stop();
  const Made made = (*this)[0].Probe(address);
  EXPECT_EQ(made.status.err(), ECONNREFUSED);
  EXPECT_THAT(made.status.message(),
              HasSubstr(address + " does not answer as a metaserver: the connection is "
                                  "refused, nothing listens there"));
  (*this)[1].Start();
}

TEST_F(MembersTest, WhoDoesNotReachTheOneThatProbesIsNotTakenIn) {
  TestMember& a = Found();
  TestMember& b = Found();
  pb::Change c;
  c.mutable_set_address()->set_uuid(a.uuid());
  c.mutable_set_address()->set_address("127.0.0.1:1");
  EXPECT_MADE(a.Change(c));
  for (const bool dry_run : {true, false}) {
    const Made made = a.Probe(b.address(), dry_run);
    EXPECT_EQ(made.status.err(), EHOSTUNREACH);
    EXPECT_THAT(made.status.message(), HasSubstr("it does not reach this metaserver at 127.0.0.1:1"));
  }
  EXPECT_EQ(a.conf().member_size(), 1);
}

TEST_F(MembersTest, WhomAnotherClusterTakesInIsLeftAlone) {
  TestMember& a = Found();
  TestMember& b = Found();
  b.ReserveFor("another-cluster");
  const Made made = a.Probe(b.address());
  EXPECT_EQ(made.status.err(), EBUSY);
  EXPECT_THAT(made.status.message(), HasSubstr("another cluster is just taking it in"));
  EXPECT_EQ(a.conf().member_size(), 1);
  pb::PeerAdoptRequest adopt;  // one that did not ask before
  *adopt.mutable_conf() = a.conf();
  pb::MemberConf* self = adopt.mutable_conf()->add_member();
  self->set_uuid(b.uuid());
  self->set_incarnation(1);
  self->set_address(b.address());
  adopt.set_uuid(b.uuid());
  adopt.set_incarnation(1);
  EXPECT_EQ(b.Adopt(adopt).err(), EBUSY);
}

TEST_F(MembersTest, AnAddressIsOneAtWhichTheMemberAnswers) {
  Cluster(2);
  TestMember& a = (*this)[0];
  TestMember& b = (*this)[1];
  const uint64_t generation = a.conf().generation();
  EXPECT_EQ(a.SetAddress(b.uuid(), "127.0.0.1:1").status.err(), ECONNREFUSED);
  for (const char* wrong : {"", "a:b:c", "127.0.0.1:-1", "127.0.0.1:99999"})
    EXPECT_FALSE(a.SetAddress(b.uuid(), wrong).status.ok()) << wrong;
  const Made other = a.SetAddress(b.uuid(), a.address());
  EXPECT_EQ(other.status.err(), EINVAL);
  EXPECT_THAT(other.status.message(), HasSubstr("another metaserver answers at"));
  EXPECT_EQ(a.conf().generation(), generation);
  EXPECT_MADE(a.SetAddress(b.uuid(), b.address()));  // where it is
  EXPECT_EQ(a.conf().generation(), generation);
}

TEST_F(MembersTest, AnAdoptionThatComesLateChangesNothing) {
  Cluster(3);
  TestMember& a = (*this)[0];
  TestMember& c = (*this)[2];
  pb::PeerAdoptRequest late;
  *late.mutable_conf() = a.conf();
  late.set_uuid(c.uuid());
  late.set_incarnation(1);
  EXPECT_MADE(a.Detach(c.uuid()));
  WaitUntil("it knows that it is detached", [&] { return FindMember(c.conf(), c.uuid()) == nullptr; });
  const uint64_t generation = c.conf().generation();
  (void)c.Adopt(late);
  EXPECT_EQ(c.conf().generation(), generation);
  EXPECT_EQ(FindMember(c.conf(), c.uuid()), nullptr);
}

TEST_F(MembersTest, WordsAreCutBetweenCharacters) {
  TestMember& a = Found();
  for (size_t shift = 0; shift < 3; ++shift) {
    std::string value(shift, 'x');
    for (int i = 0; i < 300; ++i) value += "\u20ac";
    EXPECT_MADE(a.SetNote(value));
    a.Stop();
    a.Start();  // reads what it has stored
    EXPECT_EQ(a.conf().option().at("user.note"), value);
  }
}

TEST_F(MembersTest, AProbeSentAgainIsAnsweredTheSame) {
  Found();
  Found();
  const Made made = (*this)[0].Probe((*this)[1].address(), false, "the-request");
  EXPECT_TRUE(made.status.ok()) << made.status.ToString();
  EXPECT_EQ(made.reply.unreachable_size(), 0) << made.reply.unreachable(0);  // it has been told
  EXPECT_MADE((*this)[0].Probe((*this)[1].address(), false, "the-request"));
  EXPECT_EQ((*this)[0].conf().member_size(), 2);
}

TEST_F(MembersTest, AnInterruptedProbeIsFinishedByTheNext) {
  Found();
  Found();
  pb::Change c;  // its originator died before the peer was told
  pb::MemberConf* m = c.mutable_add_member()->mutable_member();
  m->set_uuid((*this)[1].uuid());
  m->set_incarnation(1);
  m->set_address((*this)[1].address());
  EXPECT_MADE((*this)[0].Change(c));
  EXPECT_EQ((*this)[1].conf().member_size(), 1);
  // Meanwhile it is called, and answers as another cluster's.
  WaitUntil("it has been refused", [&] {
    return (*this)[0].Ask([&](Member& x) {
      const auto peers = x.node().Peers();
      return !peers.empty() &&
             x.links().Of(peers[0].uuid).reason.find("belongs to cluster") != std::string::npos;
    });
  });
  EXPECT_MADE((*this)[0].Probe((*this)[1].address()));
  WaitUntil("friends", [&] { return (*this)[0].Friends() && (*this)[1].Friends(); });
  EXPECT_EQ((*this)[1].conf().member_size(), 2);
  EXPECT_MADE((*this)[1].SetNote("x"));
}

TEST_F(MembersTest, AMinorityRefusesNamingWhoIsMissing) {
  Cluster(3);
  (*this)[1].Stop();
  EXPECT_MADE((*this)[0].SetNote("two of three"));
  (*this)[2].Stop();
  WaitUntil("the others are missed", [&] { return !(*this)[0].Ask([](Member& m) { return m.InTouch(); }); });
  const Made refused = (*this)[0].SetNote("alone", /*timeout_ms=*/1500);
  EXPECT_FALSE(refused.status.ok());
  EXPECT_THAT(refused.status.message(), HasSubstr((*this)[1].address()));
  EXPECT_THAT(refused.status.message(), HasSubstr((*this)[2].address()));
  EXPECT_EQ((*this)[0].conf().option().at("user.note"), "two of three");
  (*this)[1].Start();
  WaitNote((*this)[1], "two of three");  // it has caught up
  (*this)[2].Start();
  WaitUntil("a majority", [&] { return (*this)[0].Ask([](Member& m) { return m.InTouch(); }); });
  EXPECT_MADE((*this)[2].SetNote("together"));
  for (size_t i = 0; i < 3; ++i) WaitNote((*this)[i], "together");
}

TEST_F(MembersTest, WhatIsSoAlreadyIsASuccessWithoutAGeneration) {
  Cluster(2);
  EXPECT_MADE((*this)[0].SetNote("x"));
  const uint64_t generation = (*this)[0].conf().generation();
  for (size_t i = 0; i < 2; ++i) {
    const Made again = (*this)[i].SetNote("x");
    EXPECT_TRUE(again.status.ok()) << again.status.ToString();
    EXPECT_EQ(again.reply.generation(), generation);
    EXPECT_EQ(again.reply.difference_size(), 0);
    EXPECT_FALSE(again.reply.dry_run());
    EXPECT_EQ((*this)[i].conf().generation(), generation);
  }
  EXPECT_MADE((*this)[1].SetNote("y"));
}

TEST_F(MembersTest, ADetachedOneKnowsItAndCanComeBack) {
  Cluster(3);
  const std::string uuid = (*this)[2].uuid();
  EXPECT_MADE((*this)[0].Detach((*this)[2].address()));
  WaitUntil("it knows", [&] { return FindMember((*this)[2].conf(), uuid) == nullptr; });
  EXPECT_FALSE((*this)[2].Ask([](Member& m) { return m.InTouch(); }));
  const auto none = [](Member& m) { return m.UnlessOld(Status(ENOENT, "no such volume")).message(); };
  EXPECT_EQ((*this)[0].Ask(none), "no such volume");
  EXPECT_THAT((*this)[2].Ask(none), testing::AllOf(HasSubstr("no such volume"), HasSubstr("was detached"),
                                                   HasSubstr((*this)[0].address())));
  EXPECT_FALSE((*this)[2].SetNote("by a stranger").status.ok());
  EXPECT_MADE((*this)[0].SetNote("without it"));
  EXPECT_MADE((*this)[0].Probe((*this)[2].address()));
  EXPECT_EQ((*this)[2].uuid(), uuid);
  EXPECT_EQ((*this)[2].conf().option().at("user.note"), "without it");
  WaitUntil("friends again", [&] { return (*this)[2].Friends() && (*this)[0].Friends(); });
  EXPECT_MADE((*this)[2].SetNote("back"));
}

TEST_F(MembersTest, AWipedOneIsMendedAndVotesAgain) {
  Cluster(3);
  const std::string uuid = (*this)[2].uuid();
  (*this)[2].Wipe();
  EXPECT_NE((*this)[2].uuid(), uuid);
  EXPECT_EQ((*this)[0].Why((*this)[2].address()), "cluster");
  EXPECT_EQ((*this)[0].Probe((*this)[2].address()).status.err(), EEXIST);  // the address is a member's
  EXPECT_EQ((*this)[0].Repair((*this)[0].address()).status.err(), EINVAL);
  EXPECT_MADE((*this)[0].Repair((*this)[2].address()));
  EXPECT_EQ((*this)[2].uuid(), uuid);
  EXPECT_EQ((*this)[2].Ask([](Member& m) { return m.incarnation(); }), 2u);
  WaitUntil("friends again", [&] { return (*this)[0].Friends() && (*this)[2].Friends(); });
  EXPECT_EQ((*this)[0].Why((*this)[2].address()), "");
  const Made nothing = (*this)[0].Repair((*this)[2].address());
  ASSERT_EQ(nothing.reply.difference_size(), 1);
  EXPECT_THAT(nothing.reply.difference(0), HasSubstr("nothing: it has the cluster's configuration"));
  (*this)[1].Stop();  // its vote is needed now
  EXPECT_MADE((*this)[0].SetNote("with its vote"));
  WaitNote((*this)[2], "with its vote");
}

TEST_F(MembersTest, WhatCannotBeMeantIsNotAdopted) {
  Cluster(2);
  TestMember& alone = Found();
  pb::PeerAdoptRequest r;
  *r.mutable_conf() = (*this)[0].conf();
  r.set_uuid("not in it");
  EXPECT_EQ(alone.Adopt(r).code(), Code::kMalformed);
  r.set_uuid((*this)[0].uuid());
  r.set_incarnation(7);
  EXPECT_EQ(alone.Adopt(r).code(), Code::kMalformed);
  r.set_incarnation(1);
  EXPECT_EQ((*this)[1].Adopt(r).err(), EBUSY);
  r.set_uuid((*this)[1].uuid());
  EXPECT_TRUE((*this)[1].Adopt(r).ok());  // told twice
  EXPECT_EQ(alone.conf().member_size(), 1);
}

TEST_F(MembersTest, ARestartForgetsNothing) {
  Cluster(2);
  EXPECT_MADE((*this)[0].SetNote("kept"));
  const std::string uuid = (*this)[1].uuid();
  WaitNote((*this)[1], "kept");
  (*this)[1].Stop();
  (*this)[1].Start();
  EXPECT_EQ((*this)[1].uuid(), uuid);
  EXPECT_EQ((*this)[1].conf().option().at("user.note"), "kept");
  WaitUntil("friends again", [&] { return (*this)[0].Friends() && (*this)[1].Friends(); });
  EXPECT_MADE((*this)[1].SetNote("again"));
}

TEST_F(MembersTest, WhoIsNotReachedButReachesTheOthersTakesPart) {
  Cluster(2);  // no majority without the other
  TestMember& a = (*this)[0];
  TestMember& b = (*this)[1];
  const std::string before = b.address();
  b.Move();
  ASSERT_NE(b.address(), before);
  WaitUntil("friends over the one connection", [&] { return a.Friends() && b.Friends(); });
  EXPECT_EQ(a.Why(before), "port");  // that is still wrong, and is said
  EXPECT_MADE(a.SetNote("by who is reached"));
  EXPECT_MADE(b.SetNote("by who is not"));
  WaitNote(a, "by who is not");
  EXPECT_MADE(b.SetAddress(b.uuid(), b.address()));
  WaitUntil("the address is known", [&] { return a.Why(b.address()).empty(); });
}

TEST_F(MembersTest, ADetachedOneWhoseAddressIsWrongHearsOfIt) {
  Cluster(3);
  TestMember& a = (*this)[0];
  TestMember& c = (*this)[2];
  const std::string uuid = c.uuid();
  c.Stop();
  EXPECT_MADE(a.Detach(uuid));
  c.Move();
  WaitUntil("it knows", [&] { return FindMember(c.conf(), uuid) == nullptr; });
}

TEST_F(MembersTest, TheOneThatIsLeftGivesUpTheOthers) {
  Cluster(3);
  TestMember& a = (*this)[0];
  pb::Change give_up;
  for (size_t i : {1, 2}) give_up.mutable_give_up_members()->add_uuid((*this)[i].address());
  const Made alive = a.Change(give_up);
  EXPECT_EQ(alive.status.err(), EINVAL);
  EXPECT_THAT(alive.status.message(), HasSubstr("is not lost, it is connected"));
  EXPECT_EQ(a.conf().member_size(), 3);
  (*this)[1].Stop();
  (*this)[2].Stop();
  WaitUntil("they are missed", [&] { return !a.Ask([](Member& m) { return m.InTouch(); }); });
  const Made made = a.Change(give_up);
  EXPECT_MADE(made);
  EXPECT_EQ(made.reply.difference_size(), 2);
  EXPECT_MADE(a.SetNote("alone"));
  (*this)[1].Start();  // it was not lost
  WaitUntil("it knows", [&] { return (*this)[1].conf().member_size() == 1; });
  EXPECT_MADE(a.Probe((*this)[1].address()));
  WaitNote((*this)[1], "alone");
}

}  // namespace
}  // namespace kfs::meta
