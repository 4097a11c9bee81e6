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
  const bool old_news =
      s.err() == ENOENT || s.code() == Code::kStopped;  // it may be there, or started, by now
  const std::string why = old_news ? member_.WhyOutOfTouch() : "";
  if (why.empty()) return s;
  return Status(EAGAIN, Code::kTryAgain, fmt::format("{}; this may be old: {}", s.message(), why));
}

Status OwnVolumes::WhyNotOpen(const std::string& name) const {
  const Status why = WhyNotHere(name);
  return why.ok() ? Status(EAGAIN, Code::kTryAgain, "the volume is being opened") : why;
}

}  // namespace kfs::meta
