// Links by TLS over real sockets, and those who try to get between.
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "rpc/address.h"
#include "rpc/hello.h"
#include "rpc/tls_stream.h"
#include "tests/unit/rpc/rpc_fixture.h"

namespace kfs {
namespace {

using std::chrono::seconds;

pb::ReadlinkRequest Request(uint64_t ino) {
  pb::ReadlinkRequest r;
  r.set_ino(ino);
  return r;
}

// A blocking socket connected to `address`.
int Dial(const std::string& address) {
  auto parsed = ParseNumericAddress(address, 0);
  const int fd = socket(parsed->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->size), 0) << address;
  return fd;
}

// Accepts one connection after the other on 127.0.0.1 and gives each to `serve`, on a thread of its own.
class Rogue {
 public:
  explicit Rogue(std::function<void(int)> serve) : serve_(std::move(serve)) {
    fd_ = *ListenOn(*ParseNumericAddress("127.0.0.1:0", 0));
    address_ = LocalAddress(fd_);
    thread_ = std::thread([this] {
      pollfd p{fd_, POLLIN, 0};
      while (!stop_) {
        if (poll(&p, 1, 20) != 1) continue;
        const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        ++accepted_;
        serve_(fd);
        close(fd);
      }
    });
  }
  ~Rogue() {
    stop_ = true;
    thread_.join();
    close(fd_);
  }
  const std::string& address() const { return address_; }
  int accepted() const { return accepted_; }

 private:
  const std::function<void(int)> serve_;
  int fd_ = -1;
  std::string address_;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0};
  std::thread thread_;
};

// Copies between two sockets until one ends; `see` is told all that the first one sends, and may change it.
void Pump(int a, int b, const std::function<bool(bool from_a, std::string&)>& see) {
  for (;;) {
    pollfd p[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    if (poll(p, 2, 10000) <= 0) return;
    for (int i = 0; i < 2; ++i) {
      if (p[i].revents == 0) continue;
      char bytes[65536];
      const ssize_t n = read(i == 0 ? a : b, bytes, sizeof(bytes));
      if (n <= 0) return;
      std::string text(bytes, static_cast<size_t>(n));
      if (!see(i == 0, text)) return;
      if (send(i == 0 ? b : a, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
        return;
    }
  }
}

class TlsTest : public RpcFixture {
 protected:
  void SetUp() override { Serve(TlsMode::kRequired); }
  void Serve(TlsMode mode, const std::string& secret = kTestSecret) {
    StartServer("127.0.0.1:0", {.role = pb::HelloRequest::METASERVER,
                                .cluster_id = "cluster-a",
                                .keyring = RootKeyring(secret),
                                .uuid = "server-1",
                                .policy = {.tls = mode, .socket_dir = {}}});
  }
  NetClient::Options Options(TlsMode mode, const std::string& secret = kTestSecret) {
    NetClient::Options options = ClientOptions();
    options.credentials = Credentials::Root(secret).With({.tls = mode, .socket_dir = {}});
    return options;
  }
  Status Ask(NetClient::Options options, Duration timeout = seconds(10)) {
    OnLoop(client_thread_.loop(), [&] { client_.reset(); });
    MakeClient(std::move(options));
    return Send<rpc::Readlink>(Request(1), timeout).get().status;
  }
  std::string Kind() {
    std::string kind;
    OnLoop(server_thread_.loop(), [&] {
      for (const auto& c : server_->connections()) kind = c->stream().kind();
    });
    return kind;
  }
};

TEST_F(TlsTest, LinksAreTlsWithNothingToSetUp) {
  EXPECT_TRUE(Ask(Options(TlsMode::kRequired)).ok());
  EXPECT_EQ(Kind(), "tls");
}

TEST_F(TlsTest, LargeDataPassesInBothDirections) {
  MakeClient(Options(TlsMode::kRequired));
  std::vector<std::future<Answer>> answers;
  for (uint32_t i = 0; i < 16; ++i) {
    pb::ChunkReadRequest read;
    read.set_length(3 * 1000 * 1000 + i);
    answers.push_back(Send<rpc::ChunkRead>(read));
    Buffer payload(2 * 1000 * 1000 + i);
    memset(payload.data(), 'w', payload.size());
    answers.push_back(Send<rpc::ChunkWrite>(pb::ChunkWriteRequest(), {}, true, std::move(payload)));
  }
  for (uint32_t i = 0; i < 16; ++i) {
    const Answer read = answers[2 * i].get(), written = answers[2 * i + 1].get();
    ASSERT_TRUE(read.status.ok()) << read.status.ToString();
    ASSERT_EQ(read.payload.size(), 3 * 1000 * 1000 + i);
    EXPECT_EQ(std::count(read.payload.data(), read.payload.data() + read.payload.size(), 'r'),
              static_cast<ptrdiff_t>(read.payload.size()));
    pb::ChunkWriteReply reply;
    ASSERT_TRUE(ParseAnswer(written, &reply).ok());
    EXPECT_EQ(reply.allocated(), 2 * 1000 * 1000 + i);
  }
}

TEST_F(TlsTest, AnotherSecretIsRefusedInWords) {
  const Status s = Ask(Options(TlsMode::kRequired, "quite another secret"));
  EXPECT_EQ(s.code(), Code::kBadProof) << s.ToString();
  EXPECT_NE(s.message().find("does not accept our key"), std::string::npos) << s.message();
  EXPECT_EQ(served_, 0);
}

TEST_F(TlsTest, AHandshakeForAnotherServerIsRefused) {
  NetClient::Options options = Options(TlsMode::kRequired);
  options.server_uuid = "server-2";
  EXPECT_EQ(Ask(options).code(), Code::kBadProof);
  options.server_uuid = "server-1";
  EXPECT_TRUE(Ask(options).ok());
  options.server_role = pb::HelloRequest::CHUNKSERVER;
  EXPECT_EQ(Ask(options).code(), Code::kBadProof);
}

TEST_F(TlsTest, WhoComesWithoutTlsIsTold) {
  const Status s = Ask(Options(TlsMode::kOff));
  EXPECT_EQ(s.code(), Code::kWrongVersion) << s.ToString();
  EXPECT_NE(s.message().find("TLS"), std::string::npos) << s.message();
  EXPECT_EQ(served_, 0);
}

TEST_F(TlsTest, APlainServerIsNoServerForWhoRequiresTls) {
  StopServer();
  Serve(TlsMode::kOff);
  NetClient::Options options = Options(TlsMode::kRequired);
  EXPECT_FALSE(Ask(options, seconds(1)).ok());
  EXPECT_EQ(served_, 0);
}

TEST_F(TlsTest, InTheTransitionEachLinkIsAsGoodAsBothEndsCan) {
  EXPECT_TRUE(Ask(Options(TlsMode::kAccept)).ok());
  EXPECT_EQ(Kind(), "tls");
  StopServer();
  Serve(TlsMode::kOff);
  EXPECT_TRUE(Ask(Options(TlsMode::kAccept)).ok());
  EXPECT_EQ(Kind(), "plain");
  StopServer();
  Serve(TlsMode::kAccept);
  EXPECT_TRUE(Ask(Options(TlsMode::kAccept)).ok());
  EXPECT_EQ(Kind(), "tls");
}

TEST_F(TlsTest, WhoHasComeByTlsIsNotAcceptedWithout) {
  StopServer();
  Serve(TlsMode::kAccept);
  NetClient::Options plain = Options(TlsMode::kOff);
  plain.id = "of before TLS";
  EXPECT_TRUE(Ask(plain).ok());
  EXPECT_TRUE(Ask(Options(TlsMode::kAccept)).ok());
  const Status s = Ask(Options(TlsMode::kOff));
  EXPECT_EQ(s.code(), Code::kBadProof) << s.ToString();
}

// ---- those who get between ----

TEST_F(TlsTest, ARelayLearnsNothingAndChangesNothing) {
  std::string seen;
  std::mutex mutex;
  Rogue relay([&](int fd) {
    const int server = Dial(address_);
    Pump(fd, server, [&](bool, std::string& text) {
      const std::lock_guard lock(mutex);
      seen += text;
      return true;
    });
    close(server);
  });
  NetClient::Options options = Options(TlsMode::kRequired);
  options.addresses = {relay.address()};
  EXPECT_TRUE(Ask(options).ok()) << "a relay that only carries is as good as a wire";
  OnLoop(client_thread_.loop(), [&] { client_.reset(); });
  const std::lock_guard lock(mutex);
  EXPECT_NE(seen.find("kfs1|"), std::string::npos);
  EXPECT_EQ(seen.find("KFS1"), std::string::npos) << "a frame can be read";
  EXPECT_EQ(seen.find("target of 1"), std::string::npos);
}

TEST_F(TlsTest, AChangedByteEndsTheConnection) {
  std::atomic<int> bytes{0};
  Rogue relay([&](int fd) {
    const int server = Dial(address_);
    Pump(fd, server, [&](bool from_client, std::string& text) {
      if (!from_client) return true;
      bytes += static_cast<int>(text.size());
      if (bytes > 1000) text[text.size() / 2] ^= 1;  // well after the handshake
      return true;
    });
    close(server);
  });
  NetClient::Options options = Options(TlsMode::kRequired);
  options.addresses = {relay.address()};
  MakeClient(options);
  Buffer payload(100000);
  memset(payload.data(), 'w', payload.size());
  const Answer a =
      Send<rpc::ChunkWrite>(pb::ChunkWriteRequest(), seconds(10), false, std::move(payload)).get();
  EXPECT_EQ(a.status.code(), Code::kConnectionLost) << a.status.ToString();
}

TEST_F(TlsTest, ACutConnectionIsNoAnswer) {
  Rogue relay([&](int fd) {
    const int server = Dial(address_);
    size_t from_server = 0;
    Pump(fd, server, [&](bool from_client, std::string& text) {
      if (!from_client) from_server += text.size();
      return from_server < 100000;  // in the middle of the answer
    });
    close(server);
  });
  NetClient::Options options = Options(TlsMode::kRequired);
  options.addresses = {relay.address()};
  MakeClient(options);
  pb::ChunkReadRequest read;
  read.set_length(1000000);
  const Answer a = Send<rpc::ChunkRead>(read, seconds(10), false).get();
  EXPECT_EQ(a.status.code(), Code::kConnectionLost) << a.status.ToString();
  EXPECT_TRUE(a.payload.empty());
}

TEST_F(TlsTest, WhatWasOverheardIsOfNoUse) {
  std::string from_client;
  std::mutex mutex;
  {
    Rogue relay([&](int fd) {
      const int server = Dial(address_);
      Pump(fd, server, [&](bool client, std::string& text) {
        const std::lock_guard lock(mutex);
        if (client) from_client += text;
        return true;
      });
      close(server);
    });
    NetClient::Options options = Options(TlsMode::kRequired);
    options.addresses = {relay.address()};
    ASSERT_TRUE(Ask(options).ok());
    OnLoop(client_thread_.loop(), [&] { client_.reset(); });
  }
  const int served = served_;
  const int fd = Dial(address_);
  EXPECT_GT(send(fd, from_client.data(), from_client.size(), MSG_NOSIGNAL), 0);
  char bytes[4096];
  while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
  }
  close(fd);
  EXPECT_EQ(served_, served);
}

// Sends back to the client whatever it sends.
TEST_F(TlsTest, AReflectionIsNoServer) {
  Rogue mirror([](int fd) {
    char bytes[4096];
    for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0;)
      if (send(fd, bytes, static_cast<size_t>(n), MSG_NOSIGNAL) != n) return;
  });
  NetClient::Options options = Options(TlsMode::kRequired);
  options.addresses = {mirror.address()};
  EXPECT_FALSE(Ask(options, seconds(2)).ok());
}

// A server that does not have the key and shows a certificate instead, as any TLS server does.
TEST_F(TlsTest, ACertificateIsNoProof) {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  X509* certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  ASSERT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  ASSERT_EQ(SSL_CTX_use_certificate(context, certificate), 1);
  ASSERT_EQ(SSL_CTX_use_PrivateKey(context, key), 1);
  std::atomic<int> got_in{0};
  {
    Rogue rogue([&](int fd) {
      SSL* ssl = SSL_new(context);
      SSL_set_fd(ssl, fd);
      char byte;
      if (SSL_accept(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1) ++got_in;
      SSL_free(ssl);
    });
    NetClient::Options options = Options(TlsMode::kRequired);
    options.addresses = {rogue.address()};
    const Status s = Ask(options);
    EXPECT_EQ(s.code(), Code::kBadProof) << s.ToString();
    EXPECT_NE(s.message().find("certificate"), std::string::npos) << s.message();
  }
  EXPECT_EQ(got_in, 0) << "the client has said something to it";
  SSL_CTX_free(context);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

TEST_F(TlsTest, GarbageInsteadOfAHandshakeHurtsNobody) {
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\xff\xff", 5) + std::string(70000, 'x'), std::string("\x16", 1),
        std::string("GET / HTTP/1.0\r\n\r\n"), std::string(3, '\x16')}) {
    const int fd = Dial(address_);
    EXPECT_GE(send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL), -1);
    shutdown(fd, SHUT_WR);
    char bytes[4096];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
    }
    close(fd);
  }
  EXPECT_TRUE(Ask(Options(TlsMode::kRequired)).ok());
}

TEST_F(TlsTest, ACrowdOfHandshakesLetsOthersThrough) {
  MakeClient(Options(TlsMode::kRequired));
  ASSERT_TRUE(Send<rpc::Readlink>(Request(1)).get().status.ok());
  std::vector<std::unique_ptr<NetClient>> crowd;
  std::atomic<int> connected{0};
  OnLoop(client_thread_.loop(), [&] {
    for (int i = 0; i < 100; ++i) {
      NetClient::Options options = Options(TlsMode::kRequired);
      options.id = "client-" + std::to_string(i + 10);
      options.connect_timeout = seconds(30);
      crowd.push_back(std::make_unique<NetClient>(client_thread_.loop(), options));
      crowd.back()->Enqueue<rpc::Readlink>(Request(2),
                                           [&](const Answer& a) { connected += a.status.ok() ? 1 : 0; });
    }
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Send<rpc::Readlink>(Request(1), seconds(30)).get().status.ok());
  for (int i = 0; i < 3000 && connected < 100; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(connected, 100);
  OnLoop(client_thread_.loop(), [&] { crowd.clear(); });
}

TEST(PskIdentity, NamesBothEndsAndNothingElsePasses) {
  const LinkEnds ends{pb::HelloRequest::CLIENT, "id-1", "mount/a/1", pb::HelloRequest::CHUNKSERVER, "uuid"};
  const std::string text = *PskIdentity(ends);
  EXPECT_EQ(text, "kfs1|1|id-1|mount/a/1|2|uuid");
  auto parsed = ParsePskIdentity(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->client_id, "id-1");
  EXPECT_EQ(parsed->key_id, "mount/a/1");
  EXPECT_EQ(parsed->server_id, "uuid");
  EXPECT_EQ(parsed->server_role, pb::HelloRequest::CHUNKSERVER);
  LinkEnds bad = ends;
  bad.client_id = "a|b";
  EXPECT_FALSE(PskIdentity(bad).ok());
  bad.client_id = "a b";
  EXPECT_FALSE(PskIdentity(bad).ok());
  bad.client_id = std::string(65, 'a');
  EXPECT_FALSE(PskIdentity(bad).ok());
  for (const char* wrong : {"", "kfs1", "kfs2|1|a|b|2|c", "kfs1|1|a|b|2", "kfs1|1|a|b|2|c|d",
                            "kfs1|9|a|b|2|c", "kfs1|01|a|b|2|c", "kfs1|1|a||2|c", "kfs1|1|a|b|2|"})
    EXPECT_FALSE(ParsePskIdentity(wrong).ok()) << wrong;
}

}  // namespace
}  // namespace kfs
