#include "metaserver/executor/turns.h"

#include <algorithm>

namespace kfs::meta {

bool Turns::Spent() {
  const MonoTime now = clock_.MonoNow();
  if (began_ == MonoTime{}) began_ = now;
  return now - began_ >= kTick;
}

void Turns::Add(VolumeId volume, SessionId session, Lane lane, Fn fn) {
  OfVolume& v = volumes_[volume];
  if (v.order.empty()) {
    v.used = std::max(v.used, served_);
    order_.emplace(v.used, volume);
  }
  OfSession& s = v.sessions[session];
  if (s.first.empty() && s.in_order.empty()) {
    s.used = std::max(s.used, v.served);
    v.order.emplace(s.used, session);
  }
  (lane == Lane::kFirst ? s.first : s.in_order).push_back(std::move(fn));
  ++waiting_;
}

void Turns::RunNext() {
  const VolumeId volume = order_.begin()->second;
  OfVolume& v = volumes_.at(volume);
  const SessionId session = v.order.begin()->second;
  OfSession& s = v.sessions.at(session);
  served_ = v.used;
  v.served = s.used;
  std::deque<Fn>& lane = s.first.empty() ? s.in_order : s.first;
  Fn fn = std::move(lane.front());
  lane.pop_front();
  --waiting_;
  const MonoTime began = clock_.MonoNow();
  fn();  // may add; nothing but Run takes away
  fn = nullptr;
  const Duration cost = std::max(clock_.MonoNow() - began, kLeast);
  v.order.erase({s.used, session});
  s.used += cost;
  if (!s.first.empty() || !s.in_order.empty()) v.order.emplace(s.used, session);
  order_.erase({v.used, volume});
  v.used += cost;
  if (!v.order.empty()) order_.emplace(v.used, volume);
}

void Turns::Run() {
  for (size_t n = waiting_; n != 0 && !Spent(); --n) RunNext();
}

void Turns::TickEnded() {
  began_ = MonoTime{};
  if (waiting_ == 0) {
    volumes_.clear();
    served_ = Duration{};
    return;
  }
  for (auto& [id, v] : volumes_) {
    if (v.sessions.size() > 2 * v.order.size() + 64) ForgetIdle(v);
  }
}

// Those that would begin where whoever else begins to wait does.
void Turns::ForgetIdle(OfVolume& v) {
  std::erase_if(v.sessions, [&v](const auto& entry) {
    const OfSession& s = entry.second;
    return s.first.empty() && s.in_order.empty() && s.used <= v.served;
  });
}

}  // namespace kfs::meta
