#include "metaserver/executor/open_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kfs::meta {

void OpenFiles::Add(Session& session, Ino ino, uint32_t rights, uint32_t count) {
  const auto [it, fresh] = session.opens.try_emplace(ino);
  if (fresh) ++held_;
  Opens& opens = it->second;
  count = std::min(count, UINT32_MAX - opens.count);  // whoever says that it has more has lost count
  opens.count += count;
  opens.rights |= rights;
  counts_[ino] += count;
}

bool OpenFiles::Drop(Session& session, Ino ino, uint32_t count) {
  auto it = session.opens.find(ino);
  if (it == session.opens.end()) return false;
  count = std::min(count, it->second.count);
  if ((it->second.count -= count) == 0) {
    session.opens.erase(it);
    --held_;
  }
  Uncount(ino, count);
  return true;
}

void OpenFiles::DropAll(Session& session) {
  if (session.opens.empty()) return;
  dropped_.emplace_back().swap(session.opens);
  env_.Changed();
}

void OpenFiles::AddUnheard(Session& session, uint64_t op_id, Ino ino) {
  session.unheard_opens[op_id] = ino;
  ++counts_[ino];
}

void OpenFiles::Heard(Session& session, uint64_t first, uint64_t last, const std::set<uint64_t>& but) {
  std::unordered_map<Ino, Opens> heard;
  for (auto it = session.unheard_opens.lower_bound(first);
       it != session.unheard_opens.end() && it->first <= last;) {
    if (but.contains(it->first)) {
      ++it;
      continue;
    }
    ++heard[it->second].count;
    it = session.unheard_opens.erase(it);
  }
  if (heard.empty()) return;
  held_ += heard.size();
  dropped_.push_back(std::move(heard));
  env_.Changed();
}

void OpenFiles::Step() {
  for (size_t n = 0; n < kStep && !dropped_.empty(); ++n) {
    std::unordered_map<Ino, Opens>& opens = dropped_.front();
    const auto [ino, open] = *opens.begin();
    opens.erase(opens.begin());
    --held_;
    if (opens.empty()) dropped_.pop_front();
    Uncount(ino, open.count);
  }
}

void OpenFiles::Uncount(Ino ino, uint64_t count) {
  auto total = counts_.find(ino);
  if ((total->second -= count) != 0) return;
  counts_.erase(total);
  freeing_.MaybeReap(ino);
}

Status OpenFiles::Room(const Session& session, Ino ino) const {
  if (bytes() < bytes_max || session.opens.contains(ino) || session.opens.size() * kWeight < always)
    return {};
  return Status(ENFILE, fmt::format("{} files are open on volume {}: no more can be", held_, volume_.name()));
}

}  // namespace kfs::meta
