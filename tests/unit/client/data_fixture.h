// A client of a fake cluster, with the blocking forms of the calls on data.
#pragma once

#include <memory>
#include <string>

#include "tests/unit/client/fake_cluster.h"

namespace kfs::test {

inline std::string Pattern(size_t size, int seed = 1) {
  std::string s(size, '\0');
  for (size_t i = 0; i < size; ++i)
    s[i] = static_cast<char>('a' + (i * 7 + static_cast<size_t>(seed) + i / 251) % 26);
  return s;
}

class Data : public ::testing::Test {
 protected:
  Data() : client(cluster.Client()) {}
  uint64_t File(uint64_t size = 0) {
    return cluster.On([&] { return cluster.AddFile("f" + std::to_string(++files), size); });
  }
  Result<uint32_t> Write(uint64_t ino, uint64_t offset, const std::string& data,
                         KfsClient::WriteFlags flags = {}) {
    return client->Wait<uint32_t>([&](auto done) {
      client->Write({}, At(ino), offset, Buffer::Copy(data.data(), data.size()), flags, done);
    });
  }
  std::string Read(uint64_t ino, uint64_t offset, uint32_t size) {
    auto r = client->Wait<Buffer>([&](auto done) { client->Read({}, At(ino), offset, size, done); });
    return r.ok() ? std::string(r->view()) : r.status().ToString();
  }
  Result<uint64_t> Seek(uint64_t ino, uint64_t offset, int whence) {
    return client->Wait<uint64_t>([&](auto done) { client->Seek(At(ino), offset, whence, done); });
  }
  std::string Content(uint64_t ino) {
    return cluster.On([&] { return cluster.Content(ino); });
  }
  // Chunk 0 of the file takes another version; the client's cached layout is stale then.
  void Bump(uint64_t ino, bool metaserver_knows) {
    cluster.On([&] {
      const uint64_t version = ++cluster.ChunkOf(ino, 0).version;
      if (metaserver_knows) cluster.inodes[ino].chunks[0].set_version(version);
    });
  }

  FakeCluster cluster;
  std::unique_ptr<KfsClient> client;
  int files = 0;
};

}  // namespace kfs::test
