#include "metaserver/store/features.h"

#include "metaserver/store/keys.h"
#include "metaserver/store/records.pb.h"
#include "metaserver/store/txn.h"

namespace kfs::meta {

void RequireRoCompat(Txn& txn, uint64_t bits) {
  std::optional<std::string> stored = txn.Get(FormatKey());
  rec::Format format;
  // Absent: not yet read into memory, and the op runs again, or unreadable, and it ends with the error.
  if (!stored || !format.ParseFromString(*stored) || (format.ro_compat() & bits) == bits) return;
  format.set_ro_compat(format.ro_compat() | bits);
  txn.Put(FormatKey(), format.SerializeAsString());
}

}  // namespace kfs::meta
