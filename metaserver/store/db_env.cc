#include "metaserver/store/db_env.h"

#include <rocksdb/env.h>

namespace kfs::meta {

rocksdb::Env* DbEnv::get() const { return env != nullptr ? env : rocksdb::Env::Default(); }

}  // namespace kfs::meta
