#include "rpc/tls_handshake.h"

#include <openssl/err.h>

#include <utility>

#include "rpc/frame.h"

namespace kfs {
namespace {

std::string Psk(const std::string& key, std::string_view identity) {
  return Hkdf(key, "kfs tls psk|" + std::string(identity));
}

}  // namespace

TlsHandshake::TlsHandshake(const LinkEnds& ends, const std::string& key)
    : identity_(*PskIdentity(ends)), psk_(Psk(key, identity_)) {}

TlsHandshake::TlsHandshake(const TlsServerEnd& server, std::string peer_address)
    : server_(&server), peer_address_(std::move(peer_address)) {}

void TlsHandshake::Begin(SSL* ssl) {
  SSL_set_app_data(ssl, this);
  if (server_ == nullptr) {
    SSL_set_psk_use_session_callback(ssl, UseSession);
    SSL_set_connect_state(ssl);
  } else {
    SSL_set_psk_find_session_callback(ssl, FindSession);
    SSL_set_accept_state(ssl);
  }
}

int TlsHandshake::UseSession(SSL* ssl, const EVP_MD* md, const unsigned char** id, size_t* id_size,
                             SSL_SESSION** session) {
  const auto* self = static_cast<const TlsHandshake*>(SSL_get_app_data(ssl));
  *session = nullptr;
  if (md != nullptr && EVP_MD_get_type(md) != NID_sha256) return 1;  // it would not fit: none
  *session = PskSession(ssl, self->psk_);
  *id = reinterpret_cast<const unsigned char*>(self->identity_.data());
  *id_size = self->identity_.size();
  return *session != nullptr ? 1 : 0;
}

int TlsHandshake::FindSession(SSL* ssl, const unsigned char* identity, size_t size, SSL_SESSION** session) {
  auto* self = static_cast<TlsHandshake*>(SSL_get_app_data(ssl));
  const std::string_view text(reinterpret_cast<const char*>(identity), size);
  *session = nullptr;
  Result<LinkEnds> ends = ParsePskIdentity(text);
  if (!ends.ok() || ends->client_role == pb::HelloRequest::UNKNOWN) {
    self->refusal_ = Malformed("a TLS handshake that is not one of KFS");
    return 1;
  }
  // An administrator who has named a chunkserver for a metaserver shall be told so, and can do nothing else
  // here.
  const bool role = ends->server_role == self->server_->role || ends->client_role == pb::HelloRequest::ADMIN;
  if (!role ||
      (!ends->server_id.empty() && !self->server_->uuid.empty() && ends->server_id != self->server_->uuid)) {
    self->refusal_ = Status(EACCES, Code::kBadProof, "the handshake was made for another server");
    return 1;
  }
  Result<FoundKey> key = self->server_->keyring->Find({.role = ends->client_role,
                                                       .id = ends->client_id,
                                                       .key_id = ends->key_id,
                                                       .address = self->peer_address_});
  if (!key.ok()) {
    self->refusal_ = key.status();
    return 1;
  }
  self->proven_ = {ends->client_role, ends->client_id, ends->key_id};
  *session = PskSession(ssl, Psk(key->key, text));
  return *session != nullptr ? 1 : 0;
}

Status TlsHandshake::Failed(int why) const {
  const bool fatal = why == SSL_ERROR_SSL;
  const unsigned long first = ERR_peek_error();
  const bool certificate =
      ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  const std::string reason = fatal ? TlsError() : "the connection was broken off";
  if (server_ != nullptr) {
    if (!refusal_.ok()) return refusal_;
    return {EACCES, Code::kBadProof, "the TLS handshake failed: " + reason};
  }
  if (certificate) {
    return {EACCES, Code::kBadProof,
            "it shows a certificate instead of proving that it has our key: it is no server of this cluster"};
  }
  return {EACCES, Code::kBadProof,
          "it does not accept our key, or has another one (another cluster, a wrong secret file, or the key "
          "was revoked or may not be used so); TLS says: " +
              reason};
}

// A server that passes over the PSK has no certificate that would do; this is the second lock on that door.
Status TlsHandshake::Check(SSL* ssl) {
  if (SSL_session_reused(ssl) != 1 || SSL_version(ssl) != TLS1_3_VERSION ||
      (server_ != nullptr && proven_.role == 0)) {
    return Status(EACCES, Code::kBadProof, "the TLS handshake was not made by our key");
  }
  constexpr std::string_view kLabel = "EXPORTER-kfs-greeting";
  binding_.resize(32);
  if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(binding_.data()), binding_.size(),
                                 kLabel.data(), kLabel.size(), nullptr, 0, 0) != 1)
    return Status(EACCES, Code::kBadProof, "TLS: " + TlsError());
  return {};
}

}  // namespace kfs
