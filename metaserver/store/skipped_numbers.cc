#include "metaserver/store/skipped_numbers.h"

#include <algorithm>
#include <string>

namespace kfs::meta {
namespace {

std::vector<std::pair<uint64_t, uint64_t>> Read(Db& db) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  db.Scan("U", "", [&](std::string_view key, std::string_view value) {
    if (key.size() == 9 && value.size() == 8) ranges.emplace_back(KeyU64(key, 1), KeyU64(value, 0));
    return true;
  });
  return ranges;
}

}  // namespace

void NoteSkipped(Db& db, uint64_t from, uint64_t to) {
  const auto ranges = Read(db);
  for (size_t i = 0; i + SkippedNumbers::kKept <= ranges.size(); ++i) db.Delete(SkippedKey(ranges[i].first));
  db.Put(SkippedKey(from), SkippedKey(to).view().substr(1));
}

SkippedNumbers::SkippedNumbers(Db& db) : ranges_(Read(db)) {}

bool SkippedNumbers::Has(uint64_t number) const {
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), number,
                                [](uint64_t n, const auto& range) { return n < range.first; });
  return after != ranges_.begin() && number < std::prev(after)->second;
}

}  // namespace kfs::meta
