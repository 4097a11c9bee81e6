// Whether this metaserver is well, for /healthz. Loop's thread.
#pragma once

#include <string>

#include "metaserver/executor/executor.h"
#include "metaserver/hosting/disk_watch.h"
#include "metaserver/members/member.h"

namespace kfs::meta {

class Health {
 public:
  Health(std::string data_dir, const DiskWatch& disk, const Member& member, Executor& executor)
      : data_dir_(std::move(data_dir)), disk_(disk), member_(member), executor_(executor) {}

  // Not OK: what is wrong, in words.
  Status Check() const;

 private:
  const std::string data_dir_;
  const DiskWatch& disk_;
  const Member& member_;
  Executor& executor_;
};

}  // namespace kfs::meta
