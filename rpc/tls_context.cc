#include "rpc/tls_context.h"

#include <openssl/err.h>

#include <cstdlib>

namespace kfs {
namespace {

void Must(bool ok) {
  if (!ok) std::abort();  // memory, or an OpenSSL without TLS 1.3: nothing would be safe
}

int BioRead(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const size_t n = static_cast<CipherEnds*>(BIO_get_data(bio))->TakeInput(to, static_cast<size_t>(size));
  if (n != 0) return static_cast<int>(n);
  BIO_set_retry_read(bio);
  return -1;
}

int BioWrite(BIO* bio, const char* from, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<CipherEnds*>(BIO_get_data(bio))->AddOutput(from, static_cast<size_t>(size));
  return size;
}

long BioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int BioCreate(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

const BIO_METHOD* Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kfs");
    Must(m != nullptr);
    BIO_meth_set_read(m, BioRead);
    BIO_meth_set_write(m, BioWrite);
    BIO_meth_set_ctrl(m, BioControl);
    BIO_meth_set_create(m, BioCreate);
    return m;
  }();
  return method;
}

}  // namespace

SslContextPtr MakeTlsContext(bool server) {
  SslContextPtr c(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  Must(c != nullptr && SSL_CTX_set_min_proto_version(c.get(), TLS1_3_VERSION) == 1 &&
       SSL_CTX_set_max_proto_version(c.get(), TLS1_3_VERSION) == 1 &&
       // Those with SHA-256, the hash of an external PSK.
       SSL_CTX_set_ciphersuites(c.get(), "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
       SSL_CTX_set1_groups_list(c.get(), "X25519") == 1 && SSL_CTX_set_num_tickets(c.get(), 0) == 1);
  SSL_CTX_set_options(c.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(c.get(), SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
  SSL_CTX_set_session_cache_mode(c.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c.get(), SSL_MODE_RELEASE_BUFFERS);
  // Nothing is in its store: no certificate will do, whoever has signed it.
  if (!server) SSL_CTX_set_verify(c.get(), SSL_VERIFY_PEER, nullptr);
  return c;
}

SSL_SESSION* PskSession(SSL* ssl, const std::string& psk) {
  static constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kAes128GcmSha256);
  SSL_SESSION* session = SSL_SESSION_new();
  if (cipher == nullptr || session == nullptr ||
      SSL_SESSION_set1_master_key(session, reinterpret_cast<const unsigned char*>(psk.data()), psk.size()) !=
          1 ||
      SSL_SESSION_set_cipher(session, cipher) != 1 ||
      SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) != 1) {
    SSL_SESSION_free(session);
    return nullptr;
  }
  return session;
}

void SetCipherEnds(SSL* ssl, CipherEnds* ends) {
  BIO* bio = BIO_new(Method());
  Must(bio != nullptr);
  BIO_set_data(bio, ends);
  SSL_set_bio(ssl, bio, bio);
}

std::string TlsError() {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* reason = first != 0 ? ERR_reason_error_string(first) : nullptr;
  return reason != nullptr ? reason : "the connection was broken off";
}

}  // namespace kfs
