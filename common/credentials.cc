#include "common/credentials.h"

#include <cassert>
#include <sstream>

#include "common/secret.h"
#include "common/uuid.h"

namespace kfs {
namespace {

constexpr std::string_view kMark = "kfs-key ";

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

Result<TlsMode> ParseTlsMode(std::string_view text) {
  for (const TlsMode mode : {TlsMode::kRequired, TlsMode::kAccept, TlsMode::kOff}) {
    if (TlsModeName(mode) == text) return mode;
  }
  return Status(EINVAL, "tls: '" + std::string(text) + "' is none of required, accept, off");
}

std::string_view TlsModeName(TlsMode mode) {
  switch (mode) {
    case TlsMode::kRequired:
      return "required";
    case TlsMode::kAccept:
      return "accept";
    case TlsMode::kOff:
      break;
  }
  return "off";
}

Credentials Credentials::Root(std::string secret, uint32_t generation) {
  Credentials out;
  out.root_ = true;
  out.key_id_ = RootKeyId(generation);
  out.key_ = std::move(secret);
  return out;
}

Credentials Credentials::OfKey(std::string key_id, std::string key, std::string cluster_id,
                               std::string cluster_public_key) {
  Credentials out;
  out.key_id_ = std::move(key_id);
  out.key_ = std::move(key);
  out.cluster_id_ = std::move(cluster_id);
  out.cluster_public_key_ = std::move(cluster_public_key);
  return out;
}

Result<Credentials> Credentials::Parse(const std::string& text, const std::string& where) {
  if (!text.starts_with(kMark)) return Root(text);
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  if (Trimmed(line) != "kfs-key 1")
    return Status(EINVAL,
                  where + ": '" + line.substr(0, 32) + "' is of a later version: upgrade this program");
  Credentials out;
  for (int number = 2; std::getline(lines, line); ++number) {
    auto wrong = [&](const std::string& what) {
      return Status(EINVAL, where + ", line " + std::to_string(number) + ": " + what);
    };
    const std::string_view trimmed = Trimmed(line);
    if (trimmed.empty() || trimmed.front() == '#') continue;
    const size_t equals = trimmed.find('=');
    if (equals == std::string_view::npos) return wrong("want NAME = VALUE");
    const std::string_view name = Trimmed(trimmed.substr(0, equals));
    const std::string value(Trimmed(trimmed.substr(equals + 1)));
    auto take_hex = [&](std::string* to) {
      Result<std::string> bytes = FromHex(value);
      if (!bytes.ok() || bytes->size() != kKeySize) return wrong("want 64 hexadecimal digits");
      *to = std::move(*bytes);
      return Status();
    };
    if (name == "id") {
      if (!IsKeyId(value)) return wrong("that is no key's name");
      out.key_id_ = value;
    } else if (name == "key") {
      KFS_RETURN_IF_ERROR(take_hex(&out.key_));
    } else if (name == "cluster-public-key") {
      KFS_RETURN_IF_ERROR(take_hex(&out.cluster_public_key_));
    } else if (name == "cluster") {
      if (!IsUuid(value)) return wrong("that is no cluster's UUID");
      out.cluster_id_ = value;
    }
  }
  if (out.key_id_.starts_with("root/")) {
    if (out.key_.empty() || KeyGeneration(out.key_id_) < 2)
      return Status(EINVAL, where +
                                ": a root secret has a key file from the second on, with id and key "
                                "('kfs key root' makes it)");
    return Root(std::move(out.key_), KeyGeneration(out.key_id_));
  }
  if (out.key_id_.empty() || out.key_.empty() || out.cluster_id_.empty() || out.cluster_public_key_.empty())
    return Status(EINVAL,
                  where + " is no whole key file: id, key, cluster and cluster-public-key belong in it");
  return out;
}

Result<Credentials> Credentials::Read(const std::string& path) {
  Result<std::string> text = ReadSecretFile(path);
  if (!text.ok()) return text.status();
  return Parse(*text, path);
}

std::string Credentials::FileText() const {
  assert(!root_ || generation() > 1);
  if (root_) return std::string(kMark) + "1\nid = " + key_id_ + "\nkey = " + ToHex(key_) + "\n";
  return std::string(kMark) + "1\nid = " + key_id_ + "\nkey = " + ToHex(key_) + "\ncluster = " + cluster_id_ +
         "\ncluster-public-key = " + ToHex(cluster_public_key_) + "\n";
}

Credentials Credentials::Derived(const std::string& key_id) const {
  assert(root_);
  if (older_ != nullptr && KeyGeneration(key_id) == older_->generation()) return older_->Derived(key_id);
  Credentials out = OfKey(key_id, DeriveKey(key_, key_id), cluster_id_, cluster_public_key_);
  out.policy_ = policy_;
  return out;
}

Credentials Credentials::With(LinkPolicy policy) const {
  Credentials out = *this;
  if (older_ != nullptr) out.older_ = std::make_shared<const Credentials>(older_->With(policy));
  out.policy_ = std::move(policy);
  return out;
}

Result<Credentials> Credentials::WithOlder(const Credentials& older) const {
  assert(root_ && older.root_);
  if (older.generation() >= generation() || older.key_ == key_)
    return Status(EINVAL, "the root secret " + older.key_id_ + " is not older than " + key_id_ +
                              ": 'kfs key root' makes the next one");
  Credentials out = *this;
  out.older_ = std::make_shared<const Credentials>(older.With(policy_));
  return out;
}

Credentials Credentials::WithoutOlder() const {
  Credentials out = *this;
  out.older_ = nullptr;
  return out;
}

}  // namespace kfs
