#include "common/keys.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <algorithm>
#include <cstdlib>

namespace kfs {
namespace {

// A failure here is of the library or of memory, and no answer would be safe.
void Must(bool ok) {
  if (!ok) std::abort();
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

constexpr size_t kSignatureSize = 64;

}  // namespace

std::string Hkdf(std::string_view key, std::string_view info) {
  std::string out(kKeySize, '\0');
  size_t size = out.size();
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
      EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), EVP_PKEY_CTX_free);
  Must(context != nullptr && EVP_PKEY_derive_init(context.get()) > 0 &&
       EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) > 0 &&
       EVP_PKEY_CTX_set1_hkdf_key(context.get(), Bytes(key), static_cast<int>(key.size())) > 0 &&
       EVP_PKEY_CTX_add1_hkdf_info(context.get(), Bytes(info), static_cast<int>(info.size())) > 0 &&
       EVP_PKEY_derive(context.get(), Bytes(out), &size) > 0 && size == out.size());
  return out;
}

std::string DeriveKey(std::string_view root_secret, std::string_view key_id) {
  if (key_id.starts_with("root/")) return std::string(root_secret);
  return Hkdf(root_secret, "kfs key " + std::string(key_id));
}

bool IsKeyId(std::string_view text) {
  if (text.empty() || text.size() > kKeyIdSizeMax || text.front() == '/' || text.back() == '/') return false;
  int slashes = 0;
  char before = 0;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && c != '.' && c != '_' && c != '-' && c != '/') return false;
    if (c == '/' && (before == '/' || ++slashes > 3)) return false;
    before = c;
  }
  return true;
}

namespace {

// 0: not a generation, or not as it is written.
uint32_t ParseGeneration(std::string_view text) {
  if (text.empty() || text.size() > 6 || text.front() == '0') return 0;
  uint32_t out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return 0;
    out = out * 10 + static_cast<uint32_t>(c - '0');
  }
  return out;
}

// Up to the slash before the serial's end: "mount/laptops/3" of "mount/laptops/3/2"; all of it when nothing
// is behind the serial.
std::string_view Name(std::string_view key_id) {
  const size_t first = key_id.find('/'), second = key_id.find('/', first + 1);
  return key_id.substr(0, key_id.find('/', second + 1));
}

bool BehindSerial(std::string_view key_id) {
  return key_id.starts_with("invitation/") || key_id.starts_with("mount/") || key_id.starts_with("admin/");
}

}  // namespace

uint32_t KeyGeneration(std::string_view key_id) {
  if (!IsKeyId(key_id)) return 0;
  const auto slashes = std::count(key_id.begin(), key_id.end(), '/');
  if ((key_id.starts_with("root/") && slashes == 1) || (key_id.starts_with("chunkserver/") && slashes == 2))
    return ParseGeneration(key_id.substr(key_id.rfind('/') + 1));
  if (!BehindSerial(key_id)) return 0;
  if (slashes == 2) return 1;
  const uint32_t generation = slashes == 3 ? ParseGeneration(key_id.substr(key_id.rfind('/') + 1)) : 0;
  return generation >= 2 ? generation : 0;
}

std::string RootKeyId(uint32_t generation) { return "root/" + std::to_string(generation); }

std::string WithGeneration(const std::string& name, uint32_t generation) {
  return generation <= 1 ? name : name + "/" + std::to_string(generation);
}

std::string WithoutGeneration(std::string_view key_id) {
  return std::string(BehindSerial(key_id) ? Name(key_id) : key_id);
}

SigningKey SigningKey::FromSecret(std::string_view root_secret) {
  const std::string seed = Hkdf(root_secret, "kfs cluster signing key");
  SigningKey out;
  EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Bytes(seed), seed.size());
  Must(key != nullptr);
  out.key_ = std::shared_ptr<void>(key, [](void* k) { EVP_PKEY_free(static_cast<EVP_PKEY*>(k)); });
  out.public_key_.resize(kKeySize);
  size_t size = kKeySize;
  Must(EVP_PKEY_get_raw_public_key(key, Bytes(out.public_key_), &size) == 1 && size == kKeySize);
  return out;
}

std::string SigningKey::Sign(std::string_view text) const {
  std::string out(kSignatureSize, '\0');
  size_t size = out.size();
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  Must(context != nullptr &&
       EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, static_cast<EVP_PKEY*>(key_.get())) ==
           1 &&
       EVP_DigestSign(context.get(), Bytes(out), &size, Bytes(text), text.size()) == 1 && size == out.size());
  return out;
}

bool VerifySignature(std::string_view public_key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(public_key), public_key.size()),
      EVP_PKEY_free);
  if (key == nullptr || signature.size() != kSignatureSize) return false;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text), text.size()) == 1;
}

std::string ToHex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Result<std::string> FromHex(std::string_view text) {
  auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return Status(EINVAL, "an odd number of hexadecimal digits");
  std::string out;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return Status(EINVAL, "not a hexadecimal digit");
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

}  // namespace kfs
