// Where RocksDB begins to look for the place of a new key in its memtable. Left alone it begins where it has
// put the last one; but the records of one op lie far from each other (answers, cookies, names, inodes), and
// the way between them was half of what a create cost the volume. Beside the last key of its own kind, in its
// own directory or session, most are at once in their place.
#pragma once

#include <memory>
#include <string_view>

namespace rocksdb {
class SliceTransform;
}

namespace kfs::meta {

std::shared_ptr<const rocksdb::SliceTransform> InsertHints();
// No range may be deleted that begins with `key`.
bool HasInsertHint(std::string_view key);

}  // namespace kfs::meta
