#include "tests/sim/disk/sim_file.h"

#include <algorithm>
#include <cstring>

#include "common/reached.h"

namespace kfs::sim {

const SimFile::Page& SimFile::PageOf(const Image& image, uint64_t number) {
  static const Page kZeros{};
  const auto it = image.pages.find(number);
  return it == image.pages.end() ? kZeros : *it->second;
}

SimFile::Page& SimFile::Writable(uint64_t number) {
  auto& page = now_.pages[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
    page->fill('\0');
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  forgotten_.erase(number);
  return *page;
}

uint64_t SimFile::PagesMissing(uint64_t offset, uint64_t length) const {
  uint64_t missing = 0;
  for (uint64_t p = offset / kPageSize; p * kPageSize < offset + length; ++p)
    missing += !now_.pages.contains(p);
  return missing;
}

uint64_t SimFile::Read(char* data, uint64_t length, uint64_t offset) const {
  if (offset >= now_.size) return 0;
  length = std::min(length, now_.size - offset);
  for (uint64_t done = 0; done < length;) {
    const uint64_t at = offset + done, within = at % kPageSize;
    const uint64_t part = std::min(length - done, kPageSize - within);
    std::memcpy(data + done, PageOf(now_, at / kPageSize).data() + within, part);
    done += part;
  }
  return length;
}

void SimFile::Write(std::string_view data, uint64_t offset) {
  for (uint64_t done = 0; done < data.size();) {
    const uint64_t at = offset + done, within = at % kPageSize;
    const uint64_t part = std::min<uint64_t>(data.size() - done, kPageSize - within);
    std::memcpy(Writable(at / kPageSize).data() + within, data.data() + done, part);
    done += part;
  }
  now_.size = std::max(now_.size, offset + data.size());
}

void SimFile::Truncate(uint64_t size) {
  if (size < now_.size) Zero(size, now_.size);
  now_.pages.erase(now_.pages.lower_bound((size + kPageSize - 1) / kPageSize), now_.pages.end());
  now_.size = size;
  shrunk_to_ = std::min(shrunk_to_, size);
}

void SimFile::Allocate(uint64_t offset, uint64_t length, bool keep_size) {
  for (uint64_t p = offset / kPageSize; p * kPageSize < offset + length; ++p) {
    if (!now_.pages.contains(p)) (void)Writable(p);
  }
  if (!keep_size) now_.size = std::max(now_.size, offset + length);
}

// Only what lies in pages that are there.
void SimFile::Zero(uint64_t offset, uint64_t end) {
  for (uint64_t at = offset; at < end;) {
    const uint64_t within = at % kPageSize, part = std::min(end - at, kPageSize - within);
    if (now_.pages.contains(at / kPageSize)) std::memset(Writable(at / kPageSize).data() + within, 0, part);
    at += part;
  }
}

void SimFile::Punch(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  Zero(offset, end);
  const auto first = now_.pages.lower_bound((offset + kPageSize - 1) / kPageSize);
  const auto last = now_.pages.lower_bound(end / kPageSize);
  if (offset < end && (offset + kPageSize - 1) / kPageSize < end / kPageSize) now_.pages.erase(first, last);
}

std::set<uint64_t> SimFile::Dirty() const {
  std::set<uint64_t> dirty;
  for (const auto& [number, page] : now_.pages) {
    const auto it = kept_.pages.find(number);
    if (it == kept_.pages.end() || it->second != page) dirty.insert(number);
  }
  for (const auto& [number, page] : kept_.pages) {
    if (!now_.pages.contains(number)) dirty.insert(number);
  }
  return dirty;
}

void SimFile::Sync() {
  Image synced = now_;
  for (uint64_t number : forgotten_) {
    if (const auto old = kept_.pages.find(number); old != kept_.pages.end()) {
      synced.pages[number] = old->second;
    } else {
      synced.pages.erase(number);
    }
  }
  kept_ = std::move(synced);
  shrunk_to_ = now_.size;
}

void SimFile::FailSync(Lot& lot) {
  for (uint64_t number : Dirty()) {
    if (lot.Coin()) {
      forgotten_.insert(number);
    } else if (const auto old = kept_.pages.find(number); old != kept_.pages.end()) {
      now_.pages[number] = old->second;
    } else {
      now_.pages.erase(number);
    }
  }
}

uint64_t SimFile::FirstDifference(uint64_t page) const {
  const Page &old = PageOf(kept_, page), &young = PageOf(now_, page);
  const auto at = std::mismatch(old.begin(), old.end(), young.begin()).first;
  return page * kPageSize + static_cast<uint64_t>(at - old.begin());
}

void SimFile::KeepUpTo(uint64_t cut) {
  for (uint64_t number : Dirty()) {
    if (forgotten_.contains(number)) continue;
    const uint64_t begin = number * kPageSize;
    if (begin >= cut) continue;
    auto mixed = std::make_shared<Page>(PageOf(kept_, number));
    const uint64_t part = std::min(cut - begin, kPageSize);
    std::copy_n(PageOf(now_, number).begin(), part, mixed->begin());
    kept_.pages[number] = std::move(mixed);
  }
  if (now_.size > kept_.size) kept_.size = std::max(kept_.size, std::min(cut, now_.size));
}

void SimFile::KeepSectors(Lot& lot) {
  for (uint64_t number : Dirty()) {
    if (forgotten_.contains(number)) continue;
    auto mixed = std::make_shared<Page>(PageOf(kept_, number));
    for (uint64_t at = 0; at < kPageSize; at += kSectorSize) {
      if (lot.Coin()) std::copy_n(PageOf(now_, number).begin() + at, kSectorSize, mixed->begin() + at);
    }
    kept_.pages[number] = std::move(mixed);
  }
  const uint64_t sizes[] = {kept_.size, now_.size, shrunk_to_};
  kept_.size = sizes[lot.Below(3)];
}

void SimFile::PowerLoss(Lot& lot, Tearing tearing) {
  const std::set<uint64_t> dirty = Dirty();
  if (!dirty.empty() || now_.size != kept_.size) {
    const uint64_t kind = lot.Below(tearing == Tearing::kTails ? 3 : 4);
    if (kind == 0) {
      KFS_REACHED("mishap.power_took_writes");
    } else if (kind == 1) {
      Sync();
    } else if (kind == 2) {
      KFS_REACHED("mishap.power_tore_writes");
      const uint64_t from = dirty.empty() ? kept_.size : FirstDifference(*dirty.begin());
      const uint64_t to = std::max(now_.size, kept_.size);
      uint64_t cut = from < to ? from + lot.Below(to - from + 1) : to;
      // A sector that is there is overwritten whole or not at all.
      if (tearing == Tearing::kSectors || cut < kept_.size) cut -= cut == to ? 0 : cut % kSectorSize;
      KeepUpTo(cut);
      if (now_.size < kept_.size && lot.Coin()) kept_.size = now_.size;
    } else if (kind == 3) {
      KeepSectors(lot);
    }
  }
  now_ = kept_;
  forgotten_.clear();
  // In the last page what lies behind the end is there again when the file grows: not every file system
  // makes zeros of it.
  const uint64_t size = now_.size;
  Truncate(size);
  kept_ = now_;
  shrunk_to_ = size;
}

void SimFile::Rot(uint64_t byte, int bit) {
  const uint64_t number = byte / kPageSize;
  const bool clean = kept_.pages.contains(number) && kept_.pages[number] == now_.pages[number];
  char& rotten = Writable(number)[byte % kPageSize];
  rotten = static_cast<char>(rotten ^ (1 << bit));
  if (clean) kept_.pages[number] = now_.pages[number];
}

}  // namespace kfs::sim
