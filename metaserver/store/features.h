// The feature bits of databases that this program knows (docs/metadata-format.md): a database gets a bit with
// the first use of what it stands for, and programs that do not know the bit refuse it.
#pragma once

#include <cstdint>

namespace kfs::meta {

class Txn;

// Inodes that are immutable or append-only: who does not enforce that must not change anything.
constexpr uint64_t kRoCompatInodeFlags = 1;
constexpr uint64_t kRoCompatKnown = kRoCompatInodeFlags;

// The database has these bits from this change on.
void RequireRoCompat(Txn& txn, uint64_t bits);

}  // namespace kfs::meta
