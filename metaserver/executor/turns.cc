#include "metaserver/executor/turns.h"

#include <utility>

namespace kfs::meta {

bool Turns::Spent() {
  const MonoTime now = clock_.MonoNow();
  if (began_ == MonoTime{}) began_ = now;
  return now - began_ >= kTick;
}

void Turns::Take(VolumeId volume, SessionId session, Fn fn) {
  auto of_volume = volumes_.find(volume);
  const bool queued = of_volume != volumes_.end() && of_volume->second.queues.contains(session);
  if (!queued && !Spent()) return fn();
  if (of_volume == volumes_.end()) {
    of_volume = volumes_.emplace(volume, OfVolume{}).first;
    ring_.push_back(volume);
  }
  std::deque<Fn>& queue = of_volume->second.queues[session];
  if (queue.empty()) of_volume->second.ring.push_back(session);
  queue.push_back(std::move(fn));
  ++waiting_;
}

void Turns::Drop(VolumeId volume, SessionId session) {
  auto of_volume = volumes_.find(volume);
  if (of_volume == volumes_.end()) return;
  auto queue = of_volume->second.queues.find(session);
  if (queue == of_volume->second.queues.end()) return;
  const std::deque<Fn> dropped = std::move(queue->second);  // destroyed last: what they hold may call us
  waiting_ -= dropped.size();
  of_volume->second.queues.erase(queue);
  std::erase(of_volume->second.ring, session);
  if (of_volume->second.ring.empty()) {
    volumes_.erase(of_volume);
    std::erase(ring_, volume);
  }
}

void Turns::RunNext() {
  const VolumeId volume = ring_.front();
  ring_.pop_front();
  OfVolume& of_volume = volumes_.at(volume);
  const SessionId session = of_volume.ring.front();
  of_volume.ring.pop_front();
  auto queue = of_volume.queues.find(session);
  const Fn fn = std::move(queue->second.front());
  queue->second.pop_front();
  --waiting_;
  if (queue->second.empty()) {
    of_volume.queues.erase(queue);
  } else {
    of_volume.ring.push_back(session);
  }
  if (of_volume.ring.empty()) {
    volumes_.erase(volume);
  } else {
    ring_.push_back(volume);
  }
  fn();  // last: it may bring more
}

void Turns::RunWaiting() {
  while (waiting_ != 0 && !Spent()) RunNext();
}

}  // namespace kfs::meta
