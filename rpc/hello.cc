#include "rpc/hello.h"

#include "common/secret.h"
#include "rpc/net_client.h"

namespace kfs {

namespace {

// Whether it is who we take it for; `hello` is ours.
Status CheckServer(const Connection& connection, const GreetOptions& options, const Transcript& t,
                   const pb::HelloReply& reply) {
  const Credentials& own = options.credentials;
  if (reply.nonce().size() != kNonceSize || own.empty() ||
      !EqualConstantTime(reply.proof(), ServerProof(own.key(), t))) {
    return Status(EACCES, Code::kBadProof,
                  connection.peer_address() + " does not know our " +
                      (own.is_root() ? std::string("cluster's secret") : "key " + own.key_id()) +
                      " (another cluster, or the secret file is not the one made with the cluster)");
  }
  if (options.server_role == pb::HelloRequest::METASERVER && !own.cluster_public_key().empty() &&
      !VerifySignature(own.cluster_public_key(), SignedText(t, options.server_role), reply.signature())) {
    return Status(
        EACCES, Code::kBadProof,
        connection.peer_address() + " knows our key " + own.key_id() +
            ", but does not prove to be a metaserver of its cluster: another holder of the key may be "
            "posing as one");
  }
  if (!options.server_uuid.empty() && !reply.uuid().empty() && reply.uuid() != options.server_uuid) {
    return Status(EACCES, connection.peer_address() + " is server " + reply.uuid() + ", not " +
                              options.server_uuid + ": the address belongs to another one now");
  }
  return {};
}

pb::HelloRequest::Tls TlsOf(TlsMode mode) {
  switch (mode) {
    case TlsMode::kRequired:
      return pb::HelloRequest::REQUIRED;
    case TlsMode::kAccept:
      return pb::HelloRequest::ACCEPT;
    case TlsMode::kOff:
      break;
  }
  return pb::HelloRequest::OFF;
}

}  // namespace

std::string_view TlsWord(const pb::HelloRequest& hello) {
  switch (hello.tls()) {
    case pb::HelloRequest::REQUIRED:
      return TlsModeName(TlsMode::kRequired);
    case pb::HelloRequest::ACCEPT:
      return TlsModeName(TlsMode::kAccept);
    case pb::HelloRequest::OFF:
      return TlsModeName(TlsMode::kOff);
    default:
      return "";
  }
}

std::string ServerProof(const std::string& key, const Transcript& t) {
  return HmacSha256(key, "kfs-server" + t.client_nonce + t.server_nonce + t.binding);
}

std::string ClientProof(const std::string& key, const Transcript& t, int role) {
  return HmacSha256(key,
                    "kfs-client" + t.client_nonce + t.server_nonce + static_cast<char>(role) + t.binding);
}

std::string SignedText(const Transcript& t, int server_role) {
  return "kfs-cluster" + std::string(1, static_cast<char>(server_role)) + t.client_nonce + t.server_nonce +
         t.binding;
}

void Greet(const ConnectionPtr& connection, const GreetOptions& options,
           std::function<void(Result<pb::HelloReply>)> done) {
  pb::HelloRequest hello;
  hello.set_role(options.role);
  hello.set_id(options.id);
  hello.set_version_min(kProtocolVersion);
  hello.set_version_max(kProtocolVersion);
  hello.set_cluster_id(options.cluster_id);
  hello.set_nonce(connection->loop().entropy().Bytes(kNonceSize));
  hello.set_software(kSoftware);
  hello.set_features(kFeatures);
  if (options.credentials.key_id() != kRootKeyId) hello.set_key_id(options.credentials.key_id());
  hello.set_tls(TlsOf(options.credentials.policy().tls));
  hello.set_host(connection->loop().HostName());

  auto on_proof = [connection, done](const pb::HelloReply& reply, const Answer& answer) {
    pb::HelloProofReply proof_reply;
    if (Status s = ParseAnswer(answer, &proof_reply); !s.ok()) return done(s);
    connection->greeted = true;
    done(reply);
  };
  connection->Call(Op::kHello, hello, {}, [connection, options, hello, done, on_proof](Answer answer) {
    pb::HelloReply reply;
    if (Status s = ParseAnswer(answer, &reply); !s.ok()) return done(s);
    const Transcript transcript{hello.nonce(), reply.nonce(), connection->stream().binding()};
    if (Status s = CheckServer(*connection, options, transcript, reply); !s.ok()) return done(s);
    connection->features = reply.features() & kFeatures;
    pb::HelloProofRequest proof;
    proof.set_proof(ClientProof(options.credentials.key(), transcript, options.role));
    connection->Call(Op::kHelloProof, proof, {}, [reply, on_proof](Answer a) { on_proof(reply, a); });
  });
}

}  // namespace kfs
