// A store on directories of its own, and the ways to hurt it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"
#include "common/crc32c.h"
#include "tests/unit/common/temp_dir.h"

namespace kfs {

class ManualClock : public Clock {
 public:
  TimeNs WallNow() const override { return 0; }
  MonoTime MonoNow() const override { return now; }
  MonoTime now = MonoTime(std::chrono::hours(1));
};

// Stops the process, in effect, after a number of changing system calls: the next one is done in part
// (writes: whole pages, as a killed process leaves them) or not at all, and all after it fail.
class FaultOps : public FileOps {
 public:
  std::atomic<int64_t> calls_left = INT64_MAX;  // until the "kill"
  std::atomic<size_t> torn_pages = 0;           // of the last write that are done all the same
  std::atomic<int> fail_next_write = 0;         // errno
  std::atomic<int> fail_next_sync = 0;
  std::atomic<int> fail_reads = 0;
  std::atomic<int64_t> calls = 0, syncs = 0, reads = 0;

  ssize_t Preadv(int fd, const iovec* iov, int count, uint64_t offset, bool nowait) override {
    ++reads;
    if (fail_reads != 0) return -fail_reads;
    return FileOps::Preadv(fd, iov, count, offset, nowait);
  }
  ssize_t Pwritev(int fd, const iovec* iov, int count, uint64_t offset) override {
    if (fail_next_write != 0) return -fail_next_write.exchange(0);
    if (Alive()) return FileOps::Pwritev(fd, iov, count, offset);
    if (torn_pages != 0) {
      // Up to a page border of the file.
      size_t keep = torn_pages * 4096 - offset % 4096;
      torn_pages = 0;
      std::vector<iovec> part(iov, iov + count);
      for (auto& v : part) {
        v.iov_len = std::min(v.iov_len, keep);
        keep -= v.iov_len;
      }
      FileOps::Pwritev(fd, part.data(), count, offset);
    }
    return -EINTR;
  }
  int Fallocate(int fd, int mode, uint64_t offset, uint64_t length) override {
    return Alive() ? FileOps::Fallocate(fd, mode, offset, length) : -EINTR;
  }
  int Ftruncate(int fd, uint64_t size) override { return Alive() ? FileOps::Ftruncate(fd, size) : -EINTR; }
  int Fdatasync(int fd) override {
    ++syncs;
    if (fail_next_sync != 0) return -fail_next_sync.exchange(0);
    return Alive() ? FileOps::Fdatasync(fd) : -EINTR;
  }
  int Unlink(const std::string& path) override { return Alive() ? FileOps::Unlink(path) : -EINTR; }
  int Rename(const std::string& from, const std::string& to) override {
    return Alive() ? FileOps::Rename(from, to) : -EINTR;
  }
  int Open(const std::string& path, int flags, mode_t mode) override {
    if ((flags & O_CREAT) != 0 && !Alive()) return -EINTR;
    return FileOps::Open(path, flags, mode);
  }

 private:
  bool Alive() {
    ++calls;
    if (calls_left <= 0) return false;
    --calls_left;
    return true;
  }
};

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { dirs_ = {root_ + "/d0"}; }
  void TearDown() override { store_.reset(); }

  ChunkStore::Options StoreOptions() {
    ChunkStore::Options o;
    o.data_dirs = dirs_;
    o.ops = &ops_;
    o.clock = &clock_;
    o.boot = boot_;
    return o;
  }
  void Open() { OpenWith(StoreOptions()); }
  void OpenWith(ChunkStore::Options o) {
    store_.reset();
    auto opened = ChunkStore::Open(std::move(o));
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    store_ = std::move(*opened);
  }
  // As after kill -9: nothing more reaches the disk from the old store.
  void KillAndReopen() {
    ops_.calls_left = 0;
    store_.reset();
    ops_.calls_left = INT64_MAX;
    ops_.torn_pages = 0;
    Open();
  }
  // As after a power cut: another boot.
  void PowerCutAndReopen() {
    boot_[0]++;
    KillAndReopen();
  }

  static ChunkKey Key(uint64_t id = 42) { return {VolumeId(1), ChunkId(id)}; }
  static std::vector<uint32_t> Crcs(uint64_t offset, std::string_view data) {
    std::vector<uint32_t> crcs;
    uint64_t end = offset + data.size();
    for (uint64_t at = offset; at < end;) {
      uint64_t to = std::min(end, (at / kBlockSize + 1) * kBlockSize);
      crcs.push_back(Crc32c(data.data() + (at - offset), to - at));
      at = to;
    }
    return crcs;
  }
  static std::string Pattern(size_t size, int seed) {
    std::string s(size, '\0');
    uint64_t x = static_cast<uint64_t>(seed) * 0x9e3779b97f4a7c15ull + 1;
    for (auto& c : s) {
      x = x * 6364136223846793005ull + 1442695040888963407ull;
      c = static_cast<char>(x >> 56);
    }
    return s;
  }

  Status Write(uint64_t offset, std::string_view data, uint64_t version = 1, uint64_t id = 42) {
    return store_
        ->Write(Key(id), ChunkVersion(version), offset, data, Crcs(offset, data), Wait::kAllowed, &detail_)
        .status();
  }
  Result<std::string> Read(uint64_t offset, uint32_t length, uint64_t version = 1, uint64_t id = 42) {
    auto r = store_->Read(Key(id), ChunkVersion(version), offset, length, Wait::kAllowed, &detail_);
    if (!r.ok()) return r.status();
    return std::string(r->view());
  }
  std::string MustRead(uint64_t offset, uint32_t length, uint64_t version = 1, uint64_t id = 42) {
    auto r = Read(offset, length, version, id);
    EXPECT_TRUE(r.ok()) << r.status().ToString();
    return r.ok() ? *r : std::string();
  }
  static pb::ChunkStep Step(pb::ChunkStep::Kind kind, uint64_t offset, uint64_t length = 0) {
    pb::ChunkStep s;
    s.set_kind(kind);
    s.set_offset(offset);
    s.set_length(length);
    return s;
  }
  Status Mutate(uint64_t from, uint64_t to, std::vector<pb::ChunkStep> steps = {}, uint64_t id = 42) {
    Chunk::Steps all;
    for (auto& s : steps) *all.Add() = s;
    return store_->Mutate(Key(id), ChunkVersion(from), ChunkVersion(to), all).status();
  }
  Chunk::SeekResult Seek(uint64_t offset, uint64_t version = 1) {
    auto r = store_->Seek(Key(), ChunkVersion(version), offset, Wait::kAllowed, &detail_);
    EXPECT_TRUE(r.ok()) << r.status().ToString();
    return r.ok() ? *r : Chunk::SeekResult{};
  }
  Status Sync(uint64_t id = 42) { return store_->Sync(VolumeId(1), std::vector<uint64_t>{id}); }
  Status Delete(uint64_t id = 42) { return store_->Delete(VolumeId(1), std::vector<uint64_t>{id}); }
  std::vector<std::pair<uint64_t, uint64_t>> Inventory() {
    std::vector<std::pair<uint64_t, uint64_t>> all;
    for (ChunkStore::Cursor c; !c.done;) {
      auto held = store_->ScanStep(&c);
      all.insert(all.end(), held.chunks.begin(), held.chunks.end());
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  std::string DataFile(uint64_t id = 42, int disk = 0) { return store_->disks()[disk]->DataPath(Key(id)); }
  std::string MetaFile(uint64_t id = 42, int disk = 0) { return store_->disks()[disk]->MetaPath(Key(id)); }
  static void Flip(const std::string& file, uint64_t offset) {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekg(static_cast<std::streamoff>(offset));
    char c = 0;
    f.get(c);
    f.seekp(static_cast<std::streamoff>(offset));
    f.put(static_cast<char>(c ^ 0x10));
    ASSERT_TRUE(f.good()) << file;
  }
  static std::string Slurp(const std::string& file) {
    std::ifstream f(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(f), {});
  }
  static void Spew(const std::string& file, const std::string& data) {
    std::ofstream f(file, std::ios::binary | std::ios::trunc);
    f << data;
  }

  const TempDir temp_;
  const std::string root_ = temp_.path();
  std::vector<std::string> dirs_;
  FaultOps ops_;
  ManualClock clock_;
  BootId boot_ = ParseBootId("11111111-1111-1111-1111-111111111111");
  std::unique_ptr<ChunkStore> store_;
  uint64_t detail_ = 0;
};

}  // namespace kfs
