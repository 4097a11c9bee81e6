#include "metaserver/members/root_secret.h"

#include <fmt/format.h>

#include "common/log.h"
#include "common/secret.h"

namespace kfs::meta {

Result<Credentials> ReadRootSecret(const DaemonOptions& options, bool create, const std::string& older_file,
                                   Entropy& entropy) {
  const std::string& path = options.secret_file();
  if (create) {  // EEXIST: there is one
    if (Status s = WriteSecretFile(path, GenerateSecret(entropy)); !s.ok() && s.err() != EEXIST) return s;
  }
  Result<Credentials> read = ReadCredentials(options);
  if (!read.ok()) return read.status();
  if (!read->is_root()) {
    return Status(EINVAL,
                  fmt::format("secret-file {} holds the key {}: a metaserver needs the cluster's root secret",
                              path, read->key_id()));
  }
  if (older_file.empty()) return read;
  Result<Credentials> old = Credentials::Read(older_file);
  if (!old.ok()) return Status(old.status().err(), "old-secret-file: " + old.status().message());
  if (!old->is_root())
    return Status(EINVAL, fmt::format("old-secret-file {} holds the key {}, not a root secret", older_file,
                                      old->key_id()));
  Result<Credentials> both = read->WithOlder(*old);
  if (!both.ok()) return both.status();
  KFS_LOG(warn,
          "secret.old_accepted old={} new={} next=\"give chunkservers invitations and mounts keys, then take "
          "old-secret-file from the options; 'kfs health' shows who still uses it\"",
          both->older()->key_id(), both->key_id());
  return both;
}

}  // namespace kfs::meta
