#include "metaserver/store/db_env.h"

#include <rocksdb/env.h>

#include <cstdlib>

#include "common/log.h"

namespace kfs::meta {

rocksdb::Env* DbEnv::get() const { return env != nullptr ? env : rocksdb::Env::Default(); }

void DbEnv::End(const std::string& why) const {
  if (on_end) return on_end(why);
  spdlog::shutdown();
  std::_Exit(1);
}

}  // namespace kfs::meta
