// What `kfs health` says of links and secrets: the steps in which a cluster goes over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/health.h"

namespace kfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

// Two metaservers, a chunkserver and a mount on other machines, all by TLS and with keys of their own.
class HealthLinksTest : public testing::Test {
 protected:
  HealthLinksTest() {
    for (int i = 1; i <= 2; ++i) {
      MemberAnswer a;
      a.address = "m" + std::to_string(i) + ":7400";
      a.conf.set_self("u" + std::to_string(i));
      for (int n = 1; n <= 2; ++n) {
        auto* m = a.conf.mutable_conf()->add_member();
        m->set_uuid("u" + std::to_string(n));
        m->set_address("m" + std::to_string(n) + ":7400");
      }
      a.cluster.set_tls("required");
      a.cluster.set_secret("root/1");
      auto* p = a.cluster.add_peer();
      p->set_uuid(i == 1 ? "u2" : "u1");
      p->set_link("tls");
      p->set_key("root/1");
      p->set_tls("required");
      auto* c = a.cluster.add_chunkserver();
      c->set_id(1);
      c->set_address("d1:7401");
      c->set_up(true);
      c->set_link("tls");
      c->set_tls("required");
      c->set_key("chunkserver/x/1");
      all_.push_back(a);
    }
    auto* s = all_[0].cluster.add_session();
    s->set_host("laptop");
    s->set_mountpoint("/data");
    s->set_attached(true);
    s->set_link("tls");
    s->set_tls("required");
    s->set_key("mount/laptop/3");
  }
  std::vector<Finding> Found() { return ExamineLinks(all_, all_[0]); }
  Finding Only(const std::string& alarm) {
    std::vector<Finding> out;
    for (const Finding& f : Found()) {
      if (f.alarm == alarm) out.push_back(f);
    }
    EXPECT_EQ(out.size(), 1u) << alarm;
    return out.empty() ? Finding() : out.front();
  }
  bool None(const std::string& alarm) {
    for (const Finding& f : Found()) {
      if (f.alarm == alarm) return false;
    }
    return true;
  }
  pb::ClusterStatusReply& Of(int n) { return all_[static_cast<size_t>(n - 1)].cluster; }
  pb::ClusterStatusReply::Session& Mount() { return *Of(1).mutable_session(0); }
  void Everywhere(const std::string& tls) {
    for (MemberAnswer& a : all_) {
      a.cluster.set_tls(tls);
      a.cluster.mutable_peer(0)->set_tls(tls);
      a.cluster.mutable_chunkserver(0)->set_tls(tls);
    }
    Mount().set_tls(tls);
  }
  std::vector<MemberAnswer> all_;
};

TEST_F(HealthLinksTest, NothingIsSaidOfWhatIsAsItShouldBe) {
  EXPECT_TRUE(Found().empty());
  // A member of before these words.
  for (MemberAnswer& a : all_) a.cluster.clear_secret(), a.cluster.clear_tls();
  EXPECT_TRUE(Found().empty());
}

TEST_F(HealthLinksTest, WhoHasPlainLinksIsNamed) {
  Everywhere("accept");
  Mount().set_link("plain");
  Mount().clear_tls();
  Of(2).mutable_chunkserver(0)->set_link("plain");
  Of(2).mutable_peer(0)->set_link("plain");
  const Finding f = Only("links.plain");
  EXPECT_EQ(f.severity, Severity::kWarning);
  EXPECT_THAT(f.words, HasSubstr("metaserver m1:7400; chunkserver 1 (d1:7401); mount laptop:/data"));
  EXPECT_TRUE(None("links.accept")) << "it is still needed";
}

TEST_F(HealthLinksTest, PlainLinksToAChunkserverAreSeenToo) {
  Everywhere("accept");
  Of(1).mutable_chunkserver(0)->set_plain_links(3);
  for (const char* host : {"b", "a", "b"}) Of(1).mutable_chunkserver(0)->add_plain_from(host);
  EXPECT_THAT(Only("links.plain").words, HasSubstr("chunkserver 1 (d1:7401) (from a, b)"));
}

TEST_F(HealthLinksTest, AcceptIsTakenAwayWhenNobodyNeedsIt) {
  Everywhere("accept");
  const Finding f = Only("links.accept");
  EXPECT_EQ(f.severity, Severity::kWarning);
  EXPECT_THAT(f.words,
              HasSubstr("metaservers m1:7400, m2:7400; chunkserver 1 (d1:7401); mount laptop:/data"));
  EXPECT_THAT(f.next, HasSubstr("of mounts, then of chunkservers, then of metaservers"));
  // Not as long as somebody is away who may be plain.
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_up(false);
  EXPECT_TRUE(None("links.accept"));
}

TEST_F(HealthLinksTest, OffIsSaid) {
  Of(1).set_tls("off");
  Mount().set_tls("off");
  Mount().set_link("plain");
  EXPECT_THAT(Only("links.off").words, HasSubstr("metaserver m1:7400; mount laptop:/data"));
  EXPECT_EQ(Only("links.off").severity, Severity::kWarning);
}

TEST_F(HealthLinksTest, TheSecretOnOtherMachinesIsANote) {
  Mount().clear_key();
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_key("root/1");
  const Finding f = Only("secret.shared");
  EXPECT_EQ(f.severity, Severity::kNote);
  EXPECT_THAT(f.words, HasSubstr("chunkserver 1 (d1:7401); mount laptop:/data"));
  // On a metaserver's own machine it is anyway.
  Mount().set_link("unix");
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_link("unix");
  EXPECT_TRUE(Found().empty());
}

TEST_F(HealthLinksTest, TheOldSecretIsFollowedToItsEnd) {
  Of(1).set_secret("root/2");
  Of(1).set_old_secret("root/1");
  Mount().set_key("root/1");
  Finding f = Only("secret.old");
  EXPECT_EQ(f.severity, Severity::kWarning);
  EXPECT_THAT(f.words, HasSubstr("used by metaserver m2:7400; chunkserver 1 (d1:7401); mount laptop:/data"));
  EXPECT_THAT(f.next, HasSubstr("old-secret-file on m2:7400"));
  Of(2).set_secret("root/2");
  Of(2).set_old_secret("root/1");
  // It does not answer by the new secret, but is seen by its link.
  all_[1].status = Status(EACCES, "no");
  Of(1).mutable_peer(0)->set_key("root/1");
  EXPECT_THAT(Only("secret.old").words, HasSubstr("used by metaserver m2:7400;"));
  Of(1).mutable_peer(0)->set_key("root/2");
  Of(2).mutable_peer(0)->set_key("root/2");
  all_[1].status = {};
  f = Only("secret.old");
  EXPECT_THAT(f.words, Not(HasSubstr("metaserver m")));
  EXPECT_THAT(f.next, HasSubstr("invite NAME --for 1 "));
  for (MemberAnswer& a : all_) a.cluster.mutable_chunkserver(0)->set_key("chunkserver/x/2");
  EXPECT_THAT(Only("secret.old").next, HasSubstr("mount them anew"));
  Mount().set_key("mount/laptop/3");
  EXPECT_THAT(Only("secret.old").next, HasSubstr("mount them anew")) << "a key that comes from the old one";
  Mount().set_key("mount/laptop/3/2");
  EXPECT_THAT(Only("secret.old").next, HasSubstr("nobody uses it"));
  for (MemberAnswer& a : all_) a.cluster.clear_old_secret();
  EXPECT_TRUE(Found().empty());
}

TEST_F(HealthLinksTest, ManyAreCounted) {
  for (int i = 0; i < 100; ++i) {
    auto* s = Of(1).add_session();
    *s = Mount();
    s->set_link("plain");
    s->set_mountpoint("/m" + std::to_string(i));
  }
  EXPECT_THAT(Only("links.plain").words, HasSubstr("and 92 more"));
  EXPECT_LT(Only("links.plain").words.size(), 300u);
}

}  // namespace
}  // namespace kfs::cli
