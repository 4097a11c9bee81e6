#include "tests/sim/world/world.h"

#include <algorithm>

#include "tests/sim/world/process.h"

namespace kfs::sim {

World::World(uint64_t seed, Mishaps m) : mishaps(m), random_(seed) {}

World::~World() {
  for (auto& [name, host] : hosts_) host->Lose();
}

void World::At(Nanos when, const std::shared_ptr<Process>& process, std::function<void()> fn) {
  if (process != nullptr && !process->alive()) return;
  Push(std::make_unique<Event>(Event{std::max(when, now_), next_number_++, process, std::move(fn)}));
}

void World::Push(std::unique_ptr<Event> event) {
  queue_.push_back(std::move(event));
  std::push_heap(queue_.begin(), queue_.end(), Later());
}

std::unique_ptr<World::Event> World::Pop() {
  std::pop_heap(queue_.begin(), queue_.end(), Later());
  auto event = std::move(queue_.back());
  queue_.pop_back();
  return event;
}

void World::Drop(const Process& process) {
  // What they hold is let go of when the queue is whole again: it may ask for more to happen.
  std::vector<std::unique_ptr<Event>> kept, dropped;
  for (auto& event : queue_) (event->process.get() == &process ? dropped : kept).push_back(std::move(event));
  queue_ = std::move(kept);
  std::make_heap(queue_.begin(), queue_.end(), Later());
}

bool World::Step() {
  if (queue_.empty()) return false;
  auto event = Pop();
  now_ = std::max(now_, event->when);
  const auto process = event->process;
  if (process == nullptr) {
    ++events_;
    Note(event->number);
    event->fn();
    return true;
  }
  if (const Nanos free = process->BusyUntil(); free > now_) {
    event->when = free;  // keeps its number: what came first still runs first
    Push(std::move(event));
    return true;
  }
  ++events_;
  Note(event->number);
  process->RunEvent(event->fn);
  return true;
}

void World::RunUntil(Nanos when) {
  while (!queue_.empty() && queue_.front()->when <= when) Step();
  now_ = std::max(now_, when);
}

bool World::RunUntil(const std::function<bool()>& what, Nanos patience) {
  const Nanos until = now_ + patience;
  while (!what()) {
    if (queue_.empty() || queue_.front()->when > until) {
      now_ = std::max(now_, until);
      return what();
    }
    Step();
  }
  return true;
}

Nanos World::Between(Nanos from, Nanos to) {
  return to <= from ? from : from + static_cast<Nanos>(Draw() % static_cast<uint64_t>(to - from + 1));
}

bool World::Chance(double p) { return p > 0 && static_cast<double>(Draw() >> 11) * 0x1.0p-53 < p; }

void World::Note(uint64_t what) {
  for (int i = 0; i < 8; ++i) {
    hash_ ^= what & 0xff;
    hash_ *= 1099511628211u;
    what >>= 8;
  }
}

void World::Note(const std::string& what) {
  for (unsigned char c : what) {
    hash_ ^= c;
    hash_ *= 1099511628211u;
  }
}

void World::Cut(const std::string& a, const std::string& b, bool cut) { cuts_[std::minmax(a, b)] = cut; }

bool World::Reaches(const std::string& a, const std::string& b) const {
  const auto it = cuts_.find(std::minmax(a, b));
  return it == cuts_.end() || !it->second;
}

std::shared_ptr<Host> World::AddHost(const std::string& name) {
  auto host = std::make_shared<Host>(*this, name);
  hosts_[name] = host;
  return host;
}

}  // namespace kfs::sim
