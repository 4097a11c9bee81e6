// For tls_stream.cc and tls_handshake.cc only: OpenSSL's side of it. Errors of OpenSSL are left for
// TlsError().
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "common/status.h"

namespace kfs {

struct SslFree {
  void operator()(SSL* s) const { SSL_free(s); }
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;
using SslContextPtr = std::unique_ptr<SSL_CTX, SslFree>;

// TLS 1.3 with PSKs only.
SslContextPtr MakeTlsContext(bool server);

// A session that stands for an external PSK; the caller's. Null: out of memory.
SSL_SESSION* PskSession(SSL* ssl, const std::string& psk);

// What a BIO's two ends are.
class CipherEnds {
 public:
  virtual ~CipherEnds() = default;
  virtual size_t TakeInput(char* to, size_t size) = 0;  // 0: nothing is there now
  virtual void AddOutput(const char* from, size_t size) = 0;
};
// Lets `ssl` read and write through `ends`, which must outlive it.
void SetCipherEnds(SSL* ssl, CipherEnds* ends);

// The first error that OpenSSL has left in this thread, for a person; clears them.
std::string TlsError();

}  // namespace kfs
