// A chunkserver registers, as its connection would, where records are synced at once.
#pragma once

#include <memory>
#include <utility>

#include "metaserver/chunks/chunkservers.h"

namespace kfs::meta {

inline bool Registers(Chunkservers& servers, const pb::RegisterChunkserverRequest& request,
                      std::shared_ptr<Connection> connection = nullptr) {
  bool registered = false;
  servers.Register(request, std::move(connection), [&](const Result<ServerId>& id) { registered = id.ok(); });
  return registered;
}

}  // namespace kfs::meta
