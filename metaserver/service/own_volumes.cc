#include "metaserver/service/own_volumes.h"

#include <fmt/format.h>

#include "metaserver/cluster/configuration.h"

namespace kfs::meta {

Result<const pb::VolumeConf*> OwnVolumes::Find(const std::string& name) const {
  const pb::VolumeConf* v = FindVolume(member_.conf(), name);
  if (v == nullptr)
    return Status(ENOENT, fmt::format("there is no volume \"{}\" (see: kfs volume list)", name));
  if (v->owner() != member_.uuid()) {
    return Status(
        EAGAIN, Code::kNotOwner,
        fmt::format("volume \"{}\" is served by {}: ask that one", name, NameOf(member_.conf(), v->owner())));
  }
  return v;
}

Status OwnVolumes::WhyNotHere(const std::string& name) const {
  const Status s = volumes_.WhyNotServed(member_.conf(), member_.uuid(), name);
  const bool may_have_changed = s.err() == ENOENT || s.code() == Code::kStopped;
  return may_have_changed ? member_.UnlessOld(s) : s;
}

Status OwnVolumes::WhyNotOpen(const std::string& name) const {
  const Status why = WhyNotHere(name);
  return why.ok() ? Status(EAGAIN, Code::kTryAgain, "the volume is being opened") : why;
}

}  // namespace kfs::meta
