// TLS 1.3 on a link, by a key that both ends have (an external PSK, RFC 8446 4.2.11) and nothing else: no
// certificates, no tickets, no early data, always with a fresh Diffie-Hellman exchange. The PSK is derived
// from the key and from who both ends are, so that a handshake proves key, role and id of either end, and
// what was made for one pair of ends is of no use between any other.
//
//   identity (sent in the clear):  kfs1|client role|client id|key id|server role|server id or -
//   PSK:                           HKDF(key, "kfs tls psk|" identity)
#pragma once

#include <memory>
#include <string>

#include "common/credentials.h"
#include "rpc/byte_stream.h"
#include "rpc/keyring.h"

namespace kfs {

struct LinkEnds {
  pb::HelloRequest::Role client_role = pb::HelloRequest::UNKNOWN;
  std::string client_id;
  std::string key_id;
  pb::HelloRequest::Role server_role = pb::HelloRequest::UNKNOWN;
  std::string server_id;  // empty: whichever server of that role has the key
};

// The identity as it is sent. EINVAL: an id that is too long, or has characters that are not printable or
// "|".
Result<std::string> PskIdentity(const LinkEnds& ends);
Result<LinkEnds> ParsePskIdentity(std::string_view identity);

// The connecting end, over a stream that is plain. Errors of Read: kBadProof where the other end
// does not have the key, or shows something else instead; kTryAgain where it ends the connection when TLS
// begins. REQUIRES: PskIdentity(ends) is fine.
std::unique_ptr<ByteStream> TlsConnect(EventLoop& loop, std::unique_ptr<ByteStream> plain,
                                       const LinkEnds& ends, const std::string& key);

// The accepting end. Makes streams of two kinds: whoever begins with a TLS handshake gets TLS, anybody else a
// plain stream ("plain" says kind()), for the greeting to refuse or not.
class TlsAcceptor {
 public:
  TlsAcceptor(EventLoop& loop, pb::HelloRequest::Role role, std::string uuid,
              std::shared_ptr<const Keyring> keyring);
  std::unique_ptr<ByteStream> Accept(std::unique_ptr<ByteStream> plain);

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;  // with the streams, which may outlive this
};

}  // namespace kfs
