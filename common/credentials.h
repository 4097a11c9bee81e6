// What a program shows of itself on a link: the cluster's root secret, or one key and what that key's file
// pins. A value; copies are cheap enough for a connection each. Never logged.
//
// A file that is no key file holds the first root secret. A key file (mode 0600):
//
//   kfs-key 1
//   id = mount/laptops/3
//   key = 64 hexadecimal digits
//   cluster = UUID
//   cluster-public-key = 64 hexadecimal digits
//
// Words that a later version adds are skipped; "kfs-key 2" is refused. A later root secret ("id = root/2")
// has neither cluster nor public key: whoever has it is the cluster.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/keys.h"

namespace kfs {

// Whether a link has to be encrypted and proven by TLS. On one end only it is of no use: kAccept is for the
// time in which a cluster goes over.
enum class TlsMode : uint8_t {
  kRequired,
  kAccept,  // TLS where the other end has it; plain from and to those that do not
  kOff,     // never: who listens to the network, or sits in it, reads and changes everything
};

// "required", "accept", "off".
Result<TlsMode> ParseTlsMode(std::string_view text);
std::string_view TlsModeName(TlsMode mode);

// How a program links itself, beside the key.
struct LinkPolicy {
  TlsMode tls = TlsMode::kRequired;
  // Where servers of this machine have their sockets (rpc/local_socket.h). Empty: links are by TCP only.
  std::string socket_dir;
};

class Credentials {
 public:
  Credentials() = default;  // none: opens nothing
  static Credentials Root(std::string secret, uint32_t generation = 1);
  // `public_key`, `cluster_id`: empty: not pinned.
  static Credentials OfKey(std::string key_id, std::string key, std::string cluster_id,
                           std::string cluster_public_key);
  // A key file's text or a root secret. EINVAL says which line is wrong; `where` is for the words.
  static Result<Credentials> Parse(const std::string& text, const std::string& where);
  // As ReadSecretFile: refuses what others may read.
  static Result<Credentials> Read(const std::string& path);

  // The text of a key file. REQUIRES: it is not the first root secret.
  std::string FileText() const;

  bool empty() const { return key_.empty(); }
  bool is_root() const { return root_; }
  const std::string& key_id() const { return key_id_; }
  const std::string& key() const { return key_; }
  const std::string& cluster_id() const { return cluster_id_; }                  // empty: any
  const std::string& cluster_public_key() const { return cluster_public_key_; }  // empty: not pinned
  uint32_t generation() const { return KeyGeneration(key_id_); }
  // The key of that name, for who holds the root secret: of the older one where the name says so. REQUIRES:
  // is_root().
  Credentials Derived(const std::string& key_id) const;

  // The root secret before this one, while a metaserver still has it (its option old-secret-file); null:
  // none.
  const std::shared_ptr<const Credentials>& older() const { return older_; }
  // REQUIRES: both are root secrets. EINVAL: `older` is no older.
  Result<Credentials> WithOlder(const Credentials& older) const;
  Credentials WithoutOlder() const;

  const LinkPolicy& policy() const { return policy_; }
  Credentials With(LinkPolicy policy) const;

 private:
  bool root_ = false;
  std::string key_id_, key_, cluster_id_, cluster_public_key_;
  std::shared_ptr<const Credentials> older_;
  LinkPolicy policy_;
};

}  // namespace kfs
