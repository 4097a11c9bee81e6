// The options of kfs-metaserver.
#pragma once

#include "rpc/address.h"
#include "rpc/daemon.h"

namespace kfs::meta {

struct MetaOptions : DaemonOptions {
  Option<std::string> data_dir{this, "data-dir", "/var/lib/kfs/metaserver",
                               "Directory of the metadata. Made when it is missing; holds everything that "
                               "the metaserver must not lose."};
  Option<std::string> listen{this, "listen", "127.0.0.1:7400",
                             "Address and port to listen on. Port 0 takes a free one (see address-file)."};
  Option<std::string> advertise{
      this, "advertise", "",
      "HOST:PORT by which the other metaservers, the chunkservers and the mounts reach this one. Empty: the "
      "address listened on, or this machine's name where that is 0.0.0.0."};
  Option<std::string> old_secret_file{
      this, "old-secret-file", "",
      "File with the root secret before the one of secret-file, while a cluster goes over to a new one "
      "(kfs key root): it opens mounts, and the links of servers that have not gone over yet; nothing else. "
      "Taken away, what is mounted with it ends. Empty: none."};
  Option<bool> create_secret{this, "create-secret", false, "Make the secret file when it is missing."};
  Option<std::string> default_volume{
      this, "default-volume", "",
      "Volume that is created at the first start. Empty: none (see: kfs volume create)."};
  Option<int64_t> default_chunk_size{
      this,     "default-chunk-size",
      64 << 20, 64 << 10,
      1 << 30,  "Chunk size of volumes that do not ask for another (bytes, a power of two)."};
  Option<int64_t> default_replicas{
      this, "default-replicas", 1, 1, 1, "Copies of each chunk of such volumes."};
  Option<int64_t> session_ttl{
      this, "session-ttl",
      30,   1,
      3600, "A mount that is not heard of for so long loses its locks and open files (seconds)."};
  Option<int64_t> session_keep{
      this,
      "session-keep",
      86400,
      0,
      86400 * 30,
      "A mount that comes back so long after that may still send again what it had under way: each change "
      "happens once (seconds)."};
  Option<int64_t> reserve_bytes{
      this,
      "reserve-bytes",
      0,
      0,
      int64_t{1} << 50,
      "Free space on the disk of data-dir below which nothing new is made (ENOSPC), so that what is there "
      "can still be read, written and removed (bytes); 0: a tenth of the disk, at most 512M."};
  Option<int64_t> db_memory{
      this,
      "db-memory",
      256 << 20,
      8 << 20,
      int64_t{1} << 40,
      "Memory for the database's block cache and write buffers, of all volumes together (bytes)."};
  Option<int64_t> cache_memory{
      this,    "cache-memory",   256 << 20,
      1 << 20, int64_t{1} << 40, "Memory for decoded inodes and names, of each volume (bytes)."};
  Option<int64_t> move_rate{this,
                            "move-rate",
                            64 << 20,
                            1 << 20,
                            int64_t{1} << 40,
                            "How fast a volume's metadata is copied to another metaserver while it is "
                            "served (bytes a second; see: kfs volume move)."};
  Option<int64_t> slow_op_ms{this, "slow-op-ms", 1000,
                             1,    3600000,      "Ops that take longer are logged (milliseconds)."};

  Status Check() const override {
    KFS_RETURN_IF_ERROR(DaemonOptions::Check());
    KFS_RETURN_IF_ERROR(CheckListen(listen.name(), listen()));
    return advertise().empty() ? Status() : CheckReachable(advertise.name(), advertise(), kMetaserverPort);
  }
};

}  // namespace kfs::meta
