#include "metaserver/executor/open_proof.h"

#include "common/secret.h"

namespace kfs::meta {
namespace {

constexpr size_t kMacSize = 16;

std::string Mac(const std::string& key, VolumeId volume, SessionId session, Ino ino, uint32_t rights) {
  return MacOf(key, "kfs open proof", {volume.v, session.v, ino.v, rights}, kMacSize);
}

}  // namespace

pb::OpenProof OpenProofs::Sign(VolumeId volume, SessionId session, Ino ino, uint32_t rights) const {
  pb::OpenProof proof;
  if (keys_.empty()) return proof;
  proof.set_rights(rights);
  proof.set_mac(Mac(keys_.front(), volume, session, ino, rights));
  return proof;
}

std::optional<uint32_t> OpenProofs::Check(VolumeId volume, SessionId session, Ino ino,
                                          const pb::OpenProof& proof) const {
  for (const std::string& key : keys_) {
    if (EqualConstantTime(proof.mac(), Mac(key, volume, session, ino, proof.rights()))) return proof.rights();
  }
  return {};
}

}  // namespace kfs::meta
