// The greeting under keys of several kinds, over real sockets.
#include "rpc/keyring.h"

#include "proto/op_types.h"
#include "rpc/hello.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

// Knows the root secret and one mount key, which opens for clients only.
class MountKeyring : public Keyring {
 public:
  explicit MountKeyring(bool signs) : signs_(signs) {}

  Result<FoundKey> Find(const PeerClaim& claim) const override {
    if (claim.key_id == "mount/a/1" && claim.role == pb::HelloRequest::CLIENT)
      return FoundKey{.key = DeriveKey(kTestSecret, claim.key_id), .rights = rights};
    if (claim.key_id.empty() || claim.key_id == kRootKeyId)
      return FoundKey{.key = kTestSecret, .rights = nullptr};
    return Status(EACCES, Code::kBadProof, "the key was revoked");
  }
  std::string Sign(std::string_view text, std::string_view) const override {
    return signs_ ? SigningKey::FromSecret(kTestSecret).Sign(text) : std::string();
  }
  std::shared_ptr<const void> rights = std::make_shared<int>(7);

 private:
  const bool signs_;
};

class KeyringTest : public RpcFixture {
 protected:
  void SetUp() override {}
  void Serve(bool signs) {
    keyring_ = std::make_shared<MountKeyring>(signs);
    StartServer("127.0.0.1:0",
                {.role = pb::HelloRequest::METASERVER, .cluster_id = "cluster-a", .keyring = keyring_});
  }
  static Credentials Key(const std::string& id, const std::string& public_key) {
    return Credentials::OfKey(id, DeriveKey(kTestSecret, id), "cluster-a", public_key);
  }
  Status Ask(Credentials credentials, pb::HelloRequest::Role role = pb::HelloRequest::CLIENT) {
    NetClient::Options options = ClientOptions();
    options.credentials = std::move(credentials);
    options.role = role;
    MakeClient(options);
    pb::ReadlinkRequest request;
    request.set_ino(1);
    return Send<rpc::Readlink>(request, std::chrono::seconds(10)).get().status;
  }
  const std::string public_key_ = SigningKey::FromSecret(kTestSecret).public_key();
  std::shared_ptr<MountKeyring> keyring_;
};

TEST_F(KeyringTest, AKeyOpensAndItsRightsStayWithTheConnection) {
  Serve(true);
  EXPECT_TRUE(Ask(Key("mount/a/1", public_key_)).ok());
  OnLoop(server_thread_.loop(), [&] {
    ASSERT_EQ(server_->connections().size(), 1u);
    EXPECT_EQ((*server_->connections().begin())->rights, keyring_->rights);
    EXPECT_EQ((*server_->connections().begin())->hello.key_id(), "mount/a/1");
  });
}

TEST_F(KeyringTest, TheRootSecretOpensWithoutAName) {
  Serve(true);
  EXPECT_TRUE(Ask(Credentials::Root(kTestSecret)).ok());
}

TEST_F(KeyringTest, AKeyThatIsNotThereOpensNothing) {
  Serve(true);
  const Status s = Ask(Key("mount/a/2", public_key_));
  EXPECT_EQ(s.code(), Code::kBadProof);
  EXPECT_NE(s.message().find("revoked"), std::string::npos) << s.message();
}

TEST_F(KeyringTest, AKeyOpensInItsOwnRoleOnly) {
  Serve(true);
  EXPECT_EQ(Ask(Key("mount/a/1", public_key_), pb::HelloRequest::ADMIN).code(), Code::kBadProof);
}

TEST_F(KeyringTest, ANameAloneIsNoProof) {
  Serve(true);
  EXPECT_EQ(Ask(Credentials::OfKey("mount/a/1", std::string(32, 'x'), "cluster-a", public_key_)).code(),
            Code::kBadProof);
}

// Who shares a mount key knows all that a metaserver proves by it.
TEST_F(KeyringTest, AnotherHolderOfTheKeyIsNoMetaserver) {
  Serve(false);
  const Status s = Ask(Key("mount/a/1", public_key_));
  EXPECT_EQ(s.code(), Code::kBadProof);
  EXPECT_NE(s.message().find("posing"), std::string::npos) << s.message();
}

TEST_F(KeyringTest, TheSignatureIsOfThePinnedCluster) {
  Serve(true);
  EXPECT_EQ(
      Ask(Key("mount/a/1", SigningKey::FromSecret("another secret of enough bytes").public_key())).code(),
      Code::kBadProof);
}

TEST(Transcript, ProofsAreBoundToTheirConnection) {
  const Transcript t{"client", "server", "binding"}, other{"client", "server", "other"};
  EXPECT_NE(ServerProof("key", t), ServerProof("key", other));
  EXPECT_NE(ClientProof("key", t, 1), ClientProof("key", other, 1));
  EXPECT_NE(ClientProof("key", t, 1), ClientProof("key", t, 2));
  EXPECT_NE(SignedText(t, 3), SignedText(other, 3));
  EXPECT_NE(SignedText(t, 3), SignedText(t, 2));
}

}  // namespace
}  // namespace kfs
