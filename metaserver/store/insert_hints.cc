#include "metaserver/store/insert_hints.h"

#include <rocksdb/slice_transform.h>

namespace kfs::meta {
namespace {

// A place that is remembered takes 300 bytes of the memtable: not for what most files have, or have once.
// RocksDB (7.8) uses the place for a deleted range that begins with such a key as well, in another list,
// which breaks both: ranges begin with a prefix, and prefixes are not in the domain.
class KindOfKey : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "kfs.KindOfKey"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override { return {key.data(), Size(key)}; }
  bool InDomain(const rocksdb::Slice& key) const override { return Size(key) != 0; }

 private:
  static size_t Size(const rocksdb::Slice& key) {
    if (key.empty()) return 0;
    size_t size = 0;
    switch (key[0]) {
      case 'A':  // a session's answers, by their number
      case 'C':  // a directory's names, by their cookie
      case 'D':  // a directory's names
        size = 9;
        break;
      case 'I':  // new inodes have consecutive numbers; that of their directory changes with each, and lies
                 // elsewhere
        size = 8;
        break;
      default:
        break;
    }
    return key.size() > size ? size : 0;
  }
};

}  // namespace

std::shared_ptr<const rocksdb::SliceTransform> InsertHints() { return std::make_shared<KindOfKey>(); }

bool HasInsertHint(std::string_view key) { return KindOfKey().InDomain({key.data(), key.size()}); }

}  // namespace kfs::meta
