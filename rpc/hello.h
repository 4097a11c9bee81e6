// The greeting: both ends prove that they know the same key without sending it, and a metaserver that it is
// one of the cluster whose public key the other end pins. docs/protocol.md shows the exchange.
//
//   client                         server
//     Hello{role, nonce_c}   ->
//                            <-   HelloReply{nonce_s, proof_s}
//     HelloProof{proof_c}    ->
//                            <-   HelloProofReply
#pragma once

#include <functional>
#include <string>

#include "common/credentials.h"
#include "rpc/connection.h"

namespace kfs {

constexpr size_t kNonceSize = 16;
constexpr char kSoftware[] = "kfs 0.1.0";

// What both ends have seen of this connection and no other has: a proof made for one is good for no other.
struct Transcript {
  std::string client_nonce, server_nonce;
  std::string binding;  // ByteStream::binding()
};
std::string ServerProof(const std::string& key, const Transcript& t);
std::string ClientProof(const std::string& key, const Transcript& t, int role);
// What the greeting end's option tls says; empty: it has not said it.
std::string_view TlsWord(const pb::HelloRequest& hello);
// What the cluster's signing key signs.
std::string SignedText(const Transcript& t, int server_role);

struct GreetOptions {
  pb::HelloRequest::Role role = pb::HelloRequest::CLIENT;
  std::string id;
  std::string cluster_id;  // empty: any
  Credentials credentials;
  pb::HelloRequest::Role server_role = pb::HelloRequest::METASERVER;
  std::string server_uuid;  // empty: any
};

// Greets as the connecting side. `done` gets the server's reply once both sides are satisfied; the connection
// is then marked greeted. Errors carry kWrongCluster, kBadProof (a wrong key, or
// a metaserver without the signature that the credentials pin) or kWrongVersion where those are the reason.
void Greet(const ConnectionPtr& connection, const GreetOptions& options,
           std::function<void(Result<pb::HelloReply>)> done);

}  // namespace kfs
