// What a mount may, by the key that its connection came with.
#pragma once

#include <cstdint>
#include <string>

#include "proto/cluster.pb.h"

namespace kfs::meta {

// What the key allows that a connection came with. The default, which the root secret gives, allows all.
struct MountRights {
  std::string key;      // its id; empty: the root secret
  std::string path;     // that it is bound to, from the volume's root on; empty: the whole volume
  uint32_t volume = 0;  // the only one that it opens; 0: any
  bool read_only = false;
  pb::KeyConf::Squash squash = pb::KeyConf::NONE;
  uint32_t squash_uid = 0, squash_gid = 0;
  int64_t expires = 0;  // wall time; 0: never
};

// Whether the key of this id is the root secret, of whichever generation.
inline bool IsRootKey(const std::string& key_id) { return key_id.empty() || key_id.starts_with("root/"); }

}  // namespace kfs::meta
