// Who has been seen with TLS, or with a newer root secret, is not taken for less again: by servers, also
// after a restart, and by who connects.
#include "rpc/seen_peers.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "common/secret.h"
#include "proto/op_types.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

constexpr auto kMeta = pb::HelloRequest::METASERVER, kChunk = pb::HelloRequest::CHUNKSERVER,
               kMount = pb::HelloRequest::CLIENT;

std::string TextOf(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

TEST(SeenPeers, ServersAreKeptAndMountsAreNot) {
  TempDir dir;
  const std::string path = dir.File("seen");
  {
    SeenPeers seen(path, SystemFiles());
    seen.Remember(kMeta, "m1", {.tls = true, .generation = 1});
    seen.Remember(kChunk, "c1", {.tls = false, .generation = 2});
    seen.Remember(kMount, "mount", {.tls = true, .generation = 0});
    EXPECT_TRUE(seen.Of(kMount, "mount").tls);
  }
  struct stat st {};
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  const SeenPeers seen(path, SystemFiles());
  EXPECT_EQ(seen.Of(kMeta, "m1"), (SeenPeers::Seen{.tls = true, .generation = 1}));
  EXPECT_EQ(seen.Of(kChunk, "c1"), (SeenPeers::Seen{.tls = false, .generation = 2}));
  EXPECT_EQ(seen.Of(kMount, "mount"), SeenPeers::Seen());
  EXPECT_EQ(seen.Of(kMeta, "c1"), SeenPeers::Seen()) << "of another role";
}

TEST(SeenPeers, TheBetterStays) {
  SeenPeers seen;
  seen.Remember(kMeta, "m1", {.tls = true, .generation = 2});
  seen.Remember(kMeta, "m1", {.tls = false, .generation = 1});
  EXPECT_EQ(seen.Of(kMeta, "m1"), (SeenPeers::Seen{.tls = true, .generation = 2}));
  seen.Remember(kMeta, "", {.tls = true, .generation = 2});
  EXPECT_EQ(seen.Of(kMeta, ""), SeenPeers::Seen()) << "nobody has no name";
}

TEST(SeenPeers, AnIdIsNotTakenForALine) {
  TempDir dir;
  const std::string path = dir.File("seen");
  {
    SeenPeers seen(path, SystemFiles());
    seen.Remember(kMeta, "x\n3|m1|1|9", {.tls = true, .generation = 9});
    seen.Remember(kMeta, "y|1|9", {.tls = true, .generation = 9});
    seen.Remember(kMeta, "m2", {.tls = true, .generation = 1});
  }
  EXPECT_EQ(TextOf(path), "3|m2|1|1\n");
  std::ofstream(path) << "nonsense\n|\n||\n3|m3|1|2\n3|m4|\n";
  const SeenPeers seen(path, SystemFiles());
  EXPECT_EQ(seen.Of(kMeta, "m3"), (SeenPeers::Seen{.tls = true, .generation = 2}));
  EXPECT_EQ(seen.Of(kMeta, "m1"), SeenPeers::Seen());
}

// Knows the root secrets that it is given, each by its name.
class RootSecrets : public Keyring {
 public:
  explicit RootSecrets(std::vector<Credentials> known) : known_(std::move(known)) {}
  Result<FoundKey> Find(const PeerClaim& claim) const override {
    for (const Credentials& c : known_) {
      if (c.key_id() == (claim.key_id.empty() ? kRootKeyId : claim.key_id))
        return FoundKey{.key = c.key(), .rights = nullptr};
    }
    return Status(EACCES, Code::kBadProof, "not known here");
  }
  std::string Sign(std::string_view, std::string_view) const override { return ""; }

 private:
  const std::vector<Credentials> known_;
};

class GoingOverTest : public RpcFixture {
 protected:
  void SetUp() override {}
  void Serve(std::vector<Credentials> known, TlsMode mode = TlsMode::kRequired,
             const std::string& seen = "") {
    StartServer(address_.empty() ? "127.0.0.1:0" : address_,
                {.role = kMeta,
                 .cluster_id = "cluster-a",
                 .keyring = std::make_shared<RootSecrets>(std::move(known)),
                 .policy = {.tls = mode, .socket_dir = {}},
                 .seen = std::make_shared<SeenPeers>(seen, SystemFiles())});
  }
  NetClient::Options Member(const Credentials& credentials, TlsMode mode = TlsMode::kRequired) {
    NetClient::Options options = ClientOptions();
    options.role = kMeta;
    options.id = "m1";
    options.credentials = credentials.With({.tls = mode, .socket_dir = {}});
    options.may_be_older = [this] { return may_be_older_.load(); };
    options.may_give_up = false;
    return options;
  }
  // Ok: greeted (a metaserver may not send it, which is the server's own word).
  Status Ask(Duration timeout = std::chrono::seconds(5)) {
    pb::ReadlinkRequest request;
    const Status s = Send<rpc::Readlink>(request, timeout).get().status;
    return s.err() == EPERM ? Status() : s;
  }
  Status AskBy(NetClient::Options options, Duration timeout = std::chrono::seconds(5)) {
    OnLoop(client_thread_.loop(), [&] { client_.reset(); });
    MakeClient(std::move(options));
    return Ask(timeout);
  }
  std::string Shown() {
    std::string out;
    OnLoop(client_thread_.loop(), [&] { out = client_->shown_key_id(); });
    return out;
  }

  const Credentials old_ = Credentials::Root(kTestSecret), new_ = Credentials::Root(std::string(32, 'n'), 2);
  const Credentials both_ = *new_.WithOlder(old_);
  std::atomic<bool> may_be_older_{true};
};

TEST_F(GoingOverTest, AServerSeenWithTlsIsNotAcceptedWithoutAfterARestart) {
  TempDir dir;
  for (const auto role : {kMeta, kChunk}) {
    Serve({old_}, TlsMode::kAccept, dir.File("seen"));
    NetClient::Options by_tls = Member(old_, TlsMode::kRequired), plain = Member(old_, TlsMode::kOff);
    by_tls.role = plain.role = role;
    by_tls.may_give_up = plain.may_give_up = true;
    EXPECT_TRUE(AskBy(plain).ok()) << "it may be of before TLS";
    EXPECT_TRUE(AskBy(by_tls).ok());
    EXPECT_EQ(AskBy(plain).code(), Code::kBadProof);
    StopServer();
    Serve({old_}, TlsMode::kAccept, dir.File("seen"));
    const Status s = AskBy(plain);
    EXPECT_EQ(s.code(), Code::kBadProof) << s.ToString();
    EXPECT_NE(s.message().find(dir.File("seen")), std::string::npos)
        << "no way back is named: " << s.message();
    plain.id = "m2";
    EXPECT_TRUE(AskBy(plain).ok()) << "another one";
    StopServer();
    unlink(dir.File("seen").c_str());
  }
}

TEST_F(GoingOverTest, WhoHasBothSecretsReachesWhoHasOne) {
  for (const TlsMode mode : {TlsMode::kRequired, TlsMode::kOff}) {
    Serve({old_}, mode);
    EXPECT_TRUE(AskBy(Member(both_, mode)).ok());
    EXPECT_EQ(Shown(), "root/1");
    // It goes over.
    StopServer();
    Serve({new_}, mode);
    EXPECT_TRUE(Ask().ok());
    EXPECT_EQ(Shown(), "root/2");
    // Somebody who has the old secret takes its place.
    StopServer();
    Serve({old_}, mode);
    EXPECT_FALSE(Ask(std::chrono::seconds(1)).ok()) << "the old secret is enough to be it again";
    StopServer();
  }
}

TEST_F(GoingOverTest, TheOlderSecretIsShownOnlyToWhoMayHaveNoOther) {
  Serve({old_});
  may_be_older_ = false;
  EXPECT_FALSE(AskBy(Member(both_), std::chrono::milliseconds(500)).ok());
  NetClient::Options nobody = Member(both_);
  nobody.may_be_older = nullptr;
  EXPECT_FALSE(AskBy(nobody, std::chrono::milliseconds(500)).ok());
  EXPECT_EQ(Shown(), "root/2");
}

}  // namespace
}  // namespace kfs
