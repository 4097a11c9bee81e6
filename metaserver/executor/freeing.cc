#include "metaserver/executor/freeing.h"

#include <algorithm>

#include "metaserver/executor/file_chunks.h"
#include "metaserver/executor/volume.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

bool Freeing::HasStep() const {
  return orphans_to_queue_ || (!waits_ && (!reap_.empty() || !trims_.empty())) ||
         (!linger_.empty() && linger_.front().first <= linger_end_);
}

void Freeing::Step() {
  if (orphans_to_queue_) QueueStep();
  LingerStep();
  if (!reap_.empty() && !waits_) ReapStep();
  if (!trims_.empty() && !waits_) TrimOne();
}

void Freeing::MaybeReap(Ino ino) {
  if (volume_.in_grace() || volume_.open_files.IsOpen(ino) || Lingers(ino)) return;
  InodePtr inode = volume_.store.GetInode(ino);
  if (inode == nullptr || inode->nlink() > 0) return;
  if (!reap_queued_.insert(ino).second) return;
  reap_.push_back(ino);
  volume_.Changed();
}

void Freeing::Linger(Ino ino) {
  if (!lingering_.insert(ino).second) return;
  linger_.emplace_back(clock_.MonoNow() + kLinger, ino);
  if (linger_.size() > kLingerMax) LingersNoMore();
}

void Freeing::EndLinger() {
  linger_end_ = clock_.MonoNow();
  if (HasStep()) volume_.Changed();
}

void Freeing::LingersNoMore() {
  const Ino ino = linger_.front().second;
  linger_.pop_front();
  lingering_.erase(ino);
  MaybeReap(ino);
}

void Freeing::LingerStep() {
  for (size_t n = 0; n < kStep && !linger_.empty() && linger_.front().first <= linger_end_; ++n)
    LingersNoMore();
}

void Freeing::QueueAllOrphans() {
  orphans_to_queue_ = true;
  orphans_from_.clear();
}

void Freeing::QueueStep() {
  std::vector<Ino> orphans;
  orphans_to_queue_ = false;
  volume_.store.Scan("O", orphans_from_, [&](std::string_view key, std::string_view) {
    if (orphans.size() == kStep) {
      orphans_to_queue_ = true;
      orphans_from_ = key;
      return false;
    }
    orphans.push_back(Ino(KeyU64(key, 1)));
    return true;
  });
  for (Ino ino : orphans) MaybeReap(ino);
}

void Freeing::ReapStep() {
  const Ino ino = reap_.front();
  const InodePtr inode = volume_.store.GetInode(ino);
  if (inode == nullptr || inode->nlink() > 0 ||
      volume_.open_files.IsOpen(ino)) {  // linked or opened again meanwhile
    return EndReap();
  }
  uint64_t from = reap_from_;
  if (const Trim* trim = FindTrim(ino)) from = std::max<uint64_t>(from, trim->from);
  bool done = false;
  const Status s = Change([&](Txn& t) {
    done = FreeStep(volume_, t, ino, kReapStep, &from);
    return Status();
  });
  if (s.code() == Code::kTryAgain) return;
  if (!s.ok()) return EndReap();  // stays an orphan: tried again after the next start
  reap_from_ = from;
  if (!done) return;
  volume_.appenders.Forget(ino);
  EndReap();
}

void Freeing::EndReap() {
  reap_queued_.erase(reap_.front());
  reap_.pop_front();
  reap_from_ = 0;
}

void Freeing::TrimOne() {
  const Ino ino = trims_.begin()->first;
  const Status s = Change([&](Txn& t) {
    TrimStep(volume_, t, ino);
    return Status();
  });
  if (!s.ok() && s.code() != Code::kTryAgain) trims_.erase(ino);  // tried again after the next start
}

Status Freeing::Change(const std::function<Status(Txn&)>& change) {
  waits_ = true;  // they may answer in this call
  const Status s = volume_.Change(change, [this] {
    waits_ = false;
    volume_.Changed();
  });
  if (s.code() != Code::kTryAgain) waits_ = false;
  return s;
}

}  // namespace kfs::meta
