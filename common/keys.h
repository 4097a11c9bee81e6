// How all keys come from the cluster's root secret, so that nothing of a key but its name is ever stored. The
// functions are pure and may be called by any thread; all results are bytes.
//
// Names of keys (who presents what is told in docs/security.md):
//
//   root/G                 the root secret of generation G itself; opens everything
//   chunkserver/UUID/G     a chunkserver's own key
//   invitation/NAME/SERIAL brings one chunkserver in, which gets its own for it
//   mount/NAME/SERIAL      a mount's
//   admin/NAME/SERIAL      an administrator's
//
// The last three are of the first root secret; of a later one they have its generation behind the serial
// ("mount/laptops/3/2").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/status.h"

namespace kfs {

constexpr size_t kKeySize = 32;
constexpr size_t kKeyIdSizeMax = 128;
constexpr char kRootKeyId[] = "root/1";

// HKDF-SHA256 (RFC 5869) without a salt, 32 bytes. `info` says what the key is for: two uses never share one.
std::string Hkdf(std::string_view key, std::string_view info);

// The key named `key_id`. That of a root secret is the secret itself.
std::string DeriveKey(std::string_view root_secret, std::string_view key_id);

// "mount/laptops/3": one to four parts of [A-Za-z0-9._-] between slashes, at most kKeyIdSizeMax bytes.
bool IsKeyId(std::string_view text);

// The generation of the root secret that a key comes from. 0: the name is of none of these kinds, or not the
// one way to write it.
uint32_t KeyGeneration(std::string_view key_id);
std::string RootKeyId(uint32_t generation);
// `name`: as of the first root secret, "mount/laptops/3".
std::string WithGeneration(const std::string& name, uint32_t generation);
// The same without the generation: "mount/laptops/3/2" is "mount/laptops/3".
std::string WithoutGeneration(std::string_view key_id);
constexpr uint32_t kKeyGenerationMax = 999999;

// The cluster's signing key (Ed25519), known to who knows the root secret. By it a metaserver proves itself
// to those who hold a key that others hold, too: a mount key does not make a metaserver.
class SigningKey {
 public:
  static SigningKey FromSecret(std::string_view root_secret);
  const std::string& public_key() const { return public_key_; }  // 32 bytes
  std::string Sign(std::string_view text) const;                 // 64 bytes

 private:
  SigningKey() = default;
  std::shared_ptr<void> key_;
  std::string public_key_;
};

bool VerifySignature(std::string_view public_key, std::string_view text, std::string_view signature);

std::string ToHex(std::string_view bytes);
// EINVAL: not hexadecimal digits in pairs.
Result<std::string> FromHex(std::string_view text);

}  // namespace kfs
