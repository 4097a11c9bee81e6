// Which volumes this metaserver serves, for whoever asks by name: the volume, or in words why it is not here
// and where it is. Loop's thread only.
#pragma once

#include <string>

#include "metaserver/hosting/volume_host.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

class OwnVolumes {
 public:
  OwnVolumes(const Member& member, const VolumeHost& volumes) : member_(member), volumes_(volumes) {}

  // As the configuration has it, maybe stopped. ENOENT: there is none; EAGAIN/kNotOwner: it is another
  // metaserver's.
  Result<const pb::VolumeConf*> Find(const std::string& name) const;
  // OK: it is served here, or is just being opened. EAGAIN/kTryAgain where this metaserver may not know.
  Status WhyNotHere(const std::string& name) const;
  // The same for a volume that is not open: never OK.
  Status WhyNotOpen(const std::string& name) const;

 private:
  const Member& member_;
  const VolumeHost& volumes_;
};

}  // namespace kfs::meta
