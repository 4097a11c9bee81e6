// Tokens and tickets as a metaserver makes them.
#pragma once

#include <string>

#include "common/chunk_token.h"
#include "proto/chunk.pb.h"

namespace kfs {

struct TestAccess {
  std::string key;
  uint64_t clock = 1;
  uint64_t expires_ms = UINT64_MAX / 2;
  uint64_t session = 5, serial = 1;
  uint32_t rights = kReadChunk | kWriteChunk;
  pb::ChunkRef ref = {};

  pb::ChunkAccess Signed() const {
    pb::ChunkAccess a;
    a.set_session(session);
    a.set_rights(rights);
    a.set_mac(TokenMac(key, {ref.volume(), ref.chunk(), ref.version(), session, rights}));
    a.mutable_ticket()->set_clock(clock);
    a.mutable_ticket()->set_expires_ms(expires_ms);
    a.mutable_ticket()->set_serial(serial);
    a.mutable_ticket()->set_mac(TicketMac(key, {ref.volume(), session, clock, expires_ms, serial}));
    return a;
  }
};

}  // namespace kfs
