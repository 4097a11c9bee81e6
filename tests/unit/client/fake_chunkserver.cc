#include "tests/unit/client/fake_chunkserver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "common/crc32c.h"
#include "common/limits.h"
#include "proto/op_types.h"

namespace kfs::test {

void ServeChunks(FakeChunkserver& s) {
  // Versions are compared as the real one does: the reply tells which one there is.
  auto check = [&s](const IncomingCallPtr& call, const pb::ChunkRef& ref, bool create) {
    if (s.intercept && s.intercept(call)) return false;
    auto it = s.chunks.find(ref.chunk());
    EXPECT_EQ(ref.volume(), 7u);
    if (it == s.chunks.end() && create && ref.version() == 1)
      it = s.chunks.emplace(ref.chunk(), FakeChunk{}).first;
    const uint64_t have = it == s.chunks.end() ? 0 : it->second.version;
    if (have == ref.version()) return true;
    call->Fail(Status(ESTALE, Code::kStaleChunk, "another version"), have);
    return false;
  };
  s.server->Handle<rpc::ChunkRead>([&s, check](IncomingCallPtr call, const pb::ChunkReadRequest& r) {
    if (!check(call, r.ref(), false)) return;
    Buffer out(r.length());
    std::memset(out.data(), 0, out.size());
    const std::string& data = s.chunks[r.ref().chunk()].data;
    if (r.offset() < data.size())
      std::memcpy(out.data(), data.data() + r.offset(),
                  std::min<size_t>(out.size(), data.size() - r.offset()));
    call->Reply(pb::ChunkReadReply(), std::move(out));
  });
  s.server->Handle<rpc::ChunkWrite>([&s, check](IncomingCallPtr call, const pb::ChunkWriteRequest& r) {
    if (!check(call, r.ref(), !r.existing())) return;
    const Buffer& in = call->payload();
    size_t at = 0;
    int block = 0;
    while (at < in.size()) {
      const size_t n = std::min(kBlockSize - (r.offset() + at) % kBlockSize, in.size() - at);
      ASSERT_LT(block, r.block_crc_size());
      EXPECT_EQ(r.block_crc(block++), Crc32c(in.data() + at, n));
      at += n;
    }
    EXPECT_EQ(block, r.block_crc_size());
    std::string& data = s.chunks[r.ref().chunk()].data;
    if (data.size() < r.offset() + in.size()) data.resize(r.offset() + in.size());
    data.replace(r.offset(), in.size(), in.data(), in.size());
    pb::ChunkWriteReply reply;
    reply.set_allocated((data.size() + kBlockSize - 1) / kBlockSize * kBlockSize);
    reply.set_boot(s.boot);
    call->Reply(reply);
  });
  s.server->Handle<rpc::ChunkSync>([&s](IncomingCallPtr call, const pb::ChunkSyncRequest& r) {
    if (s.intercept && s.intercept(call)) return;
    for (uint64_t c : r.chunk()) s.synced.push_back(c);
    pb::ChunkSyncReply reply;
    reply.set_boot(s.boot);
    call->Reply(reply);
  });
  // Zero bytes are holes, byte by byte.
  s.server->Handle<rpc::ChunkSeek>([&s, check](IncomingCallPtr call, const pb::ChunkSeekRequest& r) {
    if (!check(call, r.ref(), false)) return;
    std::string data = s.chunks[r.ref().chunk()].data;
    data.resize(kChunkSize);
    pb::ChunkSeekReply reply;
    const size_t d = data.find_first_not_of('\0', r.offset());
    const size_t h = data.find('\0', r.offset());
    reply.set_data(d == std::string::npos ? UINT64_MAX : d);
    reply.set_hole(h == std::string::npos ? kChunkSize : h);
    call->Reply(reply);
  });
}

}  // namespace kfs::test
