#include "rpc/hello.h"

#include <unistd.h>

#include "common/secret.h"
#include "rpc/net_client.h"

namespace kfs {

std::string ServerProof(const std::string& secret, const std::string& client_nonce,
                        const std::string& server_nonce) {
  return HmacSha256(secret, "kfs-server" + client_nonce + server_nonce);
}

std::string ClientProof(const std::string& secret, const std::string& client_nonce,
                        const std::string& server_nonce, int role) {
  return HmacSha256(secret, "kfs-client" + client_nonce + server_nonce + static_cast<char>(role));
}

void Greet(const ConnectionPtr& connection, const GreetOptions& options,
           std::function<void(Result<pb::HelloReply>)> done) {
  pb::HelloRequest hello;
  hello.set_role(options.role);
  hello.set_id(options.id);
  hello.set_version_min(kProtocolVersion);
  hello.set_version_max(kProtocolVersion);
  hello.set_cluster_id(options.cluster_id);
  hello.set_nonce(RandomBytes(kNonceSize));
  hello.set_software(kSoftware);
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  hello.set_host(host);

  auto on_proof = [connection, done](const pb::HelloReply& reply, const Answer& answer) {
    pb::HelloProofReply proof_reply;
    if (Status s = ParseAnswer(answer, &proof_reply); !s.ok()) return done(s);
    connection->greeted = true;
    done(reply);
  };
  connection->Call(Op::kHello, hello, nullptr, [connection, options, hello, done, on_proof](Answer answer) {
    pb::HelloReply reply;
    if (Status s = ParseAnswer(answer, &reply); !s.ok()) return done(s);
    if (reply.nonce().size() != kNonceSize ||
        !EqualConstantTime(reply.proof(), ServerProof(options.secret, hello.nonce(), reply.nonce()))) {
      return done(Status(EACCES, Code::kBadProof,
                         connection->peer_address() +
                             " does not know our cluster's secret (another cluster, or the "
                             "secret file is not the one made with the cluster)"));
    }
    pb::HelloProofRequest proof;
    proof.set_proof(ClientProof(options.secret, hello.nonce(), reply.nonce(), options.role));
    connection->Call(Op::kHelloProof, proof, nullptr, [reply, on_proof](Answer a) { on_proof(reply, a); });
  });
}

}  // namespace kfs
