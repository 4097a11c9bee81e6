// The options of kfs-metaserver.
#pragma once

#include "common/options.h"

namespace kfs::meta {

struct MetaOptions : OptionSet {
  Option<std::string> data_dir{this, "data-dir", "/var/lib/kfs/metaserver",
                               "Directory of the metadata. Made when it is missing; holds everything that "
                               "the metaserver must not lose."};
  Option<std::string> listen{this, "listen", "127.0.0.1:7400",
                             "Address and port to listen on. Port 0 takes a free one (see address-file)."};
  Option<std::string> secret_file{
      this, "secret-file", "/etc/kfs/secret",
      "File with the cluster's secret, mode 0600. Whoever knows it may mount and administer."};
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
  Option<int64_t> slow_op_ms{this, "slow-op-ms", 1000,
                             1,    3600000,      "Ops that take longer are logged (milliseconds)."};
  Option<std::string> metrics_listen{this, "metrics-listen", "",
                                     "Address and port of /metrics (Prometheus). Empty: off."};
  Option<std::string> log_file{this, "log-file", "", "File to log to. Empty: standard error."};
  Option<std::string> log_level{this, "log-level", "info", "trace, debug, info, warn, error or off."};
  Option<std::string> address_file{
      this, "address-file", "",
      "File that gets the address (HOST:PORT) once the metaserver serves. Empty: none."};
};

}  // namespace kfs::meta
