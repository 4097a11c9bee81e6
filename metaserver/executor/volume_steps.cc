// What a volume does by itself, in bounded steps: inodes without a name, and what was cut off, are freed; and
// the gate for this, and for whatever else is no op.
#include <algorithm>

#include "metaserver/executor/file_chunks.h"
#include "metaserver/executor/volume.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

void Volume::DropStep() {
  for (size_t n = 0; n < kStep && !dropped_.empty(); ++n) {
    std::unordered_map<Ino, Opens>& opens = dropped_.front();
    const auto [ino, open] = *opens.begin();
    opens.erase(opens.begin());
    --opens_held_;
    if (opens.empty()) dropped_.pop_front();
    DropOpen(ino, open.count);
  }
}

bool Volume::HasStep() const {
  return locks.HasStep() || !dropped_.empty() || orphans_to_queue_ ||
         (!steps_wait_ && (!reap_.empty() || !trims_.empty())) ||
         (!linger_.empty() && linger_.front().first <= linger_end_);
}

bool Volume::Step() {
  if (locks.HasStep()) locks.Step();
  if (!dropped_.empty()) DropStep();
  if (orphans_to_queue_) QueueStep();
  LingerStep();
  if (!reap_.empty() && !steps_wait_) ReapStep();
  if (!trims_.empty() && !steps_wait_) TrimOne();
  return HasStep();
}

void Volume::MaybeReap(Ino ino) {
  if (in_grace() || IsOpen(ino) || Lingers(ino)) return;
  InodePtr inode = store.GetInode(ino);
  if (inode == nullptr || inode->nlink() > 0) return;
  if (!reap_queued_.insert(ino).second) return;
  reap_.push_back(ino);
  Changed();
}

void Volume::Linger(Ino ino) {
  if (!lingering_.insert(ino).second) return;
  linger_.emplace_back(clock_.MonoNow() + kLinger, ino);
  if (linger_.size() > kLingerMax) LingersNoMore();
}

void Volume::EndLinger() {
  linger_end_ = clock_.MonoNow();
  if (HasStep()) Changed();
}

void Volume::LingersNoMore() {
  const Ino ino = linger_.front().second;
  linger_.pop_front();
  lingering_.erase(ino);
  MaybeReap(ino);
}

void Volume::LingerStep() {
  for (size_t n = 0; n < kStep && !linger_.empty() && linger_.front().first <= linger_end_; ++n)
    LingersNoMore();
}

void Volume::QueueAllOrphans() {
  orphans_to_queue_ = true;
  orphans_from_.clear();
  Changed();
}

void Volume::QueueStep() {
  std::vector<Ino> orphans;
  orphans_to_queue_ = false;
  store.Scan("O", orphans_from_, [&](std::string_view key, std::string_view) {
    if (orphans.size() == kStep) {
      orphans_to_queue_ = true;
      orphans_from_ = key;
      return false;
    }
    orphans.push_back(Ino(KeyU64(key, 1)));
    return true;
  });
  for (Ino ino : orphans) {
    if (opened_before_.contains(ino)) {
      Linger(ino);
    } else {
      MaybeReap(ino);
    }
  }
  if (!orphans_to_queue_) opened_before_ = {};
}

void Volume::ReapStep() {
  const Ino ino = reap_.front();
  const InodePtr inode = store.GetInode(ino);
  if (inode == nullptr || inode->nlink() > 0 || IsOpen(ino)) {  // linked or opened again meanwhile
    return EndReap();
  }
  uint64_t from = reap_from_;
  if (const Trim* trim = FindTrim(ino)) from = std::max<uint64_t>(from, trim->from);
  bool done = false;
  const Status s = FreeingStep([&](Txn& t) {
    done = FreeStep(*this, t, ino, kReapStep, &from);
    return Status();
  });
  if (s.code() == Code::kTryAgain) return;
  if (!s.ok()) return EndReap();  // stays an orphan: tried again after the next start
  reap_from_ = from;
  if (!done) return;
  append_safe_.erase(ino);
  EndReap();
}

void Volume::EndReap() {
  reap_queued_.erase(reap_.front());
  reap_.pop_front();
  reap_from_ = 0;
}

void Volume::StartTrim(Ino ino, uint64_t before) {
  trims_[ino] = {before, 0};
  Changed();
}

void Volume::TrimOne() {
  const Ino ino = trims_.begin()->first;
  const Status s = FreeingStep([&](Txn& t) {
    TrimStep(*this, t, ino);
    return Status();
  });
  if (!s.ok() && s.code() != Code::kTryAgain) trims_.erase(ino);  // tried again after the next start
}

Status Volume::FreeingStep(const std::function<Status(Txn&)>& change) {
  steps_wait_ = true;  // they may answer in this call
  const Status s = Change(change, [this] {
    steps_wait_ = false;
    Changed();
  });
  if (s.code() != Code::kTryAgain) steps_wait_ = false;
  return s;
}

Status Volume::Change(const std::function<Status(Txn&)>& change, std::function<void()> again) {
  Txn own(store);  // an op's may be under way
  Status s = change(own);
  if (Status read = store.db().TakeReadError(); !read.ok()) s = read;
  KFS_RETURN_IF_ERROR(s);
  KFS_RETURN_IF_ERROR(env_.MayChange(*this, own, lifetime_.While(std::move(again))));
  own.Apply();
  Changed();
  return {};
}

}  // namespace kfs::meta
