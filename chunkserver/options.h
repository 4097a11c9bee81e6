// What an operator may set; deploy's sample file, --help and the checks come from here.
#pragma once

#include "rpc/address.h"
#include "rpc/daemon.h"

namespace kfs {

struct ChunkserverOptions : DaemonOptions {
  Option<std::vector<std::string>> data_dirs{this,
                                             "data-dirs",
                                             {},
                                             "Directories that hold the chunks, one for each disk. They are "
                                             "created when their parent exists. The first one's "
                                             "identity is the chunkserver's. Required."};
  Option<std::string> listen{this, "listen", "127.0.0.1:0",
                             "Address and port on which clients are served; port 0 takes a free one."};
  Option<std::string> advertise{
      this, "advertise", "",
      "Address told to clients (host:port); empty: the one listened on. Set it when listening on "
      "0.0.0.0 or behind address translation."};
  Option<std::vector<std::string>> metaservers{this,
                                               "metaservers",
                                               {"127.0.0.1:7400"},
                                               "Metaservers (host:port) to register with: one that answers "
                                               "is enough, it tells the others, and they are remembered."};
  Option<std::vector<std::string>> labels{
      this,
      "labels",
      {},
      "Where this chunkserver stands, for placement: name=value pairs such as rack=r1,host=h7."};
  Option<int64_t> reserve_bytes{
      this,
      "reserve-bytes",
      0,
      0,
      int64_t{1} << 50,
      "Free space left alone on each disk (bytes, suffixes K, M, G); 0: 1 % of the disk, at least "
      "512K, at most 64M."};
  Option<int64_t> open_chunks_max{
      this, "open-chunks-max", 2048, 16, 1 << 20, "Chunks kept open; each takes two file descriptors."};
  Option<int64_t> cache_bytes_max{
      this,
      "cache-bytes-max",
      64 << 20,
      1 << 20,
      int64_t{1} << 40,
      "Memory for the checksum tables of open chunks (bytes); 128K for a full chunk of 64M."};
  Option<int64_t> io_threads{
      this, "io-threads", 4,
      1,    256,          "Threads for what may wait for a disk; requests served from memory need none."};
  Option<int64_t> inline_write_max{
      this,      "inline-write-max",
      256 << 10, 0,
      4 << 20,   "Largest write to an open chunk done without another thread (bytes)."};
  Option<int64_t> inline_read_max{
      this, "inline-read-max", 256 << 10,
      0,    4 << 20,           "Largest read from the page cache done without another thread (bytes)."};
  Option<int64_t> sync_interval_ms{
      this, "sync-interval-ms", 500, 50, 10000, "How often written data is made durable without fsync (ms)."};
  Option<int64_t> clean_after_ms{
      this,    "clean-after-ms",
      5000,    100,
      3600000, "Rest after which a chunk is marked clean on the disk (ms). The next write pays a sync."};
  Option<bool> durable_mutations{
      this, "durable-mutations", true,
      "Truncation and zeroing are on the disk before they are acknowledged; without, a power "
      "cut within a second may bring old data back."};
  Option<int64_t> inventory_interval_s{
      this, "inventory-interval", 3600,
      1,    86400 * 30,           "How often all chunks are compared with the metaserver's records (s)."};
  Option<int64_t> garbage_keep_s{
      this,
      "garbage-keep",
      86400,
      0,
      86400 * 30,
      "How long a chunk that was deleted can be had back (s); less when the disk needs the room."};
  Option<int64_t> accept_older_copy{
      this,
      "accept-older-copy",
      0,
      0,
      int64_t{1} << 61,
      "For data directories that are an older copy when there is no later one any more: the age named where "
      "it was refused (chunkserver.older_copy). What was written since the copy was made is lost. Works "
      "once."};
  Option<int64_t> inventory_rate{
      this, "inventory-rate", 5000, 1, 1 << 20, "Chunks looked at in a second while comparing (1/s)."};

  Status Check() const override {
    KFS_RETURN_IF_ERROR(DaemonOptions::Check());
    if (data_dirs().empty()) return Status(EINVAL, "no data directory is given: set option data-dirs");
    if (metaservers().empty())
      return Status(EINVAL, "option metaservers is empty: name the metaserver to register with (HOST:PORT)");
    for (const std::string& metaserver : metaservers())
      KFS_RETURN_IF_ERROR(CheckReachable(metaservers.name(), metaserver, kMetaserverPort));
    KFS_RETURN_IF_ERROR(CheckListen(listen.name(), listen()));
    if (!advertise().empty()) return CheckReachable(advertise.name(), advertise(), 0);
    if (listen().starts_with("0.0.0.0:") || listen().starts_with("[::]:"))
      return Status(EINVAL,
                    "listen=" + listen() + " needs advertise=HOST:PORT: the address that clients can reach");
    return {};
  }
};

}  // namespace kfs
