// Which keys open a server, and what else it can prove. Loop's thread of the server.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/keys.h"
#include "common/status.h"
#include "proto/common.pb.h"

namespace kfs {

// Who somebody says they are, before any proof. All but the address are the peer's own words.
struct PeerClaim {
  pb::HelloRequest::Role role = pb::HelloRequest::UNKNOWN;
  std::string id;
  std::string key_id;   // empty: of a version that knew root secrets only
  std::string address;  // "10.0.0.1:40000", "unix:..."
};

struct FoundKey {
  std::string key;
  // What the key allows, for those who made the keyring; kept with the connection (Connection::rights).
  std::shared_ptr<const void> rights;
};

class Keyring {
 public:
  virtual ~Keyring() = default;
  // The key that who claims this has to prove; EACCES (kBadProof) in words for a person when there is none,
  // or it has expired, was revoked, or may not be used in that role or from that address. It is asked at each
  // greeting, and by TLS before it: quick, from memory.
  virtual Result<FoundKey> Find(const PeerClaim& claim) const = 0;
  // Signed by the cluster's signing key, that of the root secret from which the peer's key comes; empty: this
  // server does not have it.
  virtual std::string Sign(std::string_view text, std::string_view key_id) const = 0;
};

// Of who knows the root secret and no other keys: opens to the same secret in every role.
std::shared_ptr<Keyring> RootKeyring(std::string secret);

}  // namespace kfs
