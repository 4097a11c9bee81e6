// For tls_stream.cc only: the part of a TLS handshake that is ours. Which key it is made with, what must hold
// once it is done, and what is told where it fails.
#pragma once

#include <memory>
#include <string>

#include "rpc/byte_stream.h"
#include "rpc/keyring.h"
#include "rpc/tls_context.h"
#include "rpc/tls_stream.h"

namespace kfs {

// Who accepts.
struct TlsServerEnd {
  pb::HelloRequest::Role role = pb::HelloRequest::UNKNOWN;
  std::string uuid;
  std::shared_ptr<const Keyring> keyring;
};

class TlsHandshake {
 public:
  // The connecting end. REQUIRES: PskIdentity(ends) is fine.
  TlsHandshake(const LinkEnds& ends, const std::string& key);
  // The accepting end; `server` outlives it.
  TlsHandshake(const TlsServerEnd& server, std::string peer_address);
  TlsHandshake(const TlsHandshake&) = delete;
  TlsHandshake& operator=(const TlsHandshake&) = delete;

  // Before SSL_do_handshake. Takes the app data of `ssl`, which this outlives.
  void Begin(SSL* ssl);
  // After it has failed with `why`, as SSL_get_error says: what its reader is told.
  Status Failed(int why) const;
  // After it has succeeded: what must hold besides what OpenSSL has checked.
  Status Check(SSL* ssl);

  // Who the other end has shown to be, once Check is OK; at the accepting end only (else its role is 0).
  const ByteStream::Peer& proven() const { return proven_; }
  // Differs from connection to connection; both ends have the same. Empty before Check.
  const std::string& binding() const { return binding_; }

 private:
  static int UseSession(SSL* ssl, const EVP_MD* md, const unsigned char** id, size_t* id_size,
                        SSL_SESSION** session);
  static int FindSession(SSL* ssl, const unsigned char* identity, size_t size, SSL_SESSION** session);

  const TlsServerEnd* const server_ = nullptr;  // null: the connecting end
  const std::string identity_, psk_;            // of the connecting end
  const std::string peer_address_;              // at the accepting end
  ByteStream::Peer proven_;
  std::string binding_;
  Status refusal_;  // why the accepting end had no key for it
};

}  // namespace kfs
