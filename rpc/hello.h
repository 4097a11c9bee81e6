// The greeting: both ends prove that they know the cluster's secret without sending it. docs/protocol.md
// shows the exchange.
//
//   client                         server
//     Hello{role, nonce_c}   ->
//                            <-   HelloReply{nonce_s, proof_s}
//     HelloProof{proof_c}    ->
//                            <-   HelloProofReply
#pragma once

#include <functional>
#include <string>

#include "rpc/connection.h"

namespace kfs {

constexpr size_t kNonceSize = 16;
constexpr char kSoftware[] = "kfs 0.1.0";

std::string ServerProof(const std::string& secret, const std::string& client_nonce,
                        const std::string& server_nonce);
std::string ClientProof(const std::string& secret, const std::string& client_nonce,
                        const std::string& server_nonce, int role);

struct GreetOptions {
  pb::HelloRequest::Role role = pb::HelloRequest::CLIENT;
  std::string id;
  std::string cluster_id;  // empty: any
  std::string secret;
};

// Greets as the connecting side. `done` gets the server's reply once both sides are satisfied; the connection
// is then marked greeted. Errors carry kWrongCluster, kBadProof or kWrongVersion where those are the reason.
void Greet(const ConnectionPtr& connection, const GreetOptions& options,
           std::function<void(Result<pb::HelloReply>)> done);

}  // namespace kfs
