// Chunk numbers that a volume has passed over: after a stop that was not clean it goes on far ahead, since
// the last numbers it gave out may have been lost with the machine's power. A chunk of such a number was not
// given out by this database: it was made in that lost second, or by a later state of the volume, of which
// this database is an older copy. So it is not certainly garbage, and stays. Loop's thread.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "metaserver/store/db.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

// Key `U` from:8, value to:8, both big-endian: [from, to) were passed over.
inline Key SkippedKey(uint64_t from) { return Key('U').U64(from); }

// Puts it into the batch. Of very many starts only the latest are kept.
void NoteSkipped(Db& db, uint64_t from, uint64_t to);

class SkippedNumbers {
 public:
  // Reads them; commits. A read error is left in the database.
  explicit SkippedNumbers(Db& db);
  bool Has(uint64_t number) const;

  static constexpr size_t kKept = 1024;

 private:
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;  // in order
};

}  // namespace kfs::meta
