// What may answer a call of KfsClient without a server, before an op is made of it: a cache. Asked on the
// worker's thread only, so a call from another thread goes to the metaserver, and not once the client is shut
// down or its volume is stopped. What it does not know it leaves alone, and must be right about the rest
// (P2), rights of the caller included: its answers are given as they are, before the call returns
// (kfs_client.h).
#pragma once

#include <optional>
#include <string_view>

#include "client/kfs_client.h"

namespace kfs {

class LocalAnswers {
 public:
  virtual ~LocalAnswers() = default;

  // None: not known here. An error is an answer, too.
  virtual std::optional<Result<Entry>> Lookup(const Caller&, Ino parent, std::string_view name) = 0;
  virtual std::optional<Result<Entry>> GetAttr(const Caller&, Ino ino) = 0;
};

}  // namespace kfs
