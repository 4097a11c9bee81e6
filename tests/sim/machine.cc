#include "machine.h"

#include <utility>

#include "cluster_world.h"

namespace kfs::sim {

Machine::Machine(World& w, std::string id, const pb::MemberRecord& record)
    : world(w), uuid(std::move(id)), disk(record) {
  speed = 0.8 + std::uniform_real_distribution<>(0, 0.4)(world.random_);
}

MonoTime Machine::Now() const {
  return MonoTime(std::chrono::hours(1)) +
         std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(world.now_) * speed));
}

bool Machine::Reachable(const std::string& to) const {
  return !world.faults_.cuts_are_noticed || !world.cut_.contains({uuid, to});
}

uint64_t Machine::Random() { return world.random_(); }

std::string Machine::NewTransactionId() { return "t" + std::to_string(++world.ids_); }

void Machine::Send(const std::string& to, const pb::PeerMessage& message) {
  ++world.counts_.messages;
  const bool commit = message.has_request() && message.request().phase() == pb::COMMIT;
  if (world.cut_.contains({uuid, to}) || world.Chance(world.faults_.drop) ||
      (commit && world.Chance(world.faults_.drop_commit)))
    return;
  const int copies = world.Chance(world.faults_.twice) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    int64_t delay = static_cast<int64_t>(world.random_() % (20 * kMs));
    if (commit && world.Chance(world.faults_.late_commit))
      delay += world.Between(world.faults_.commit_late_ms_min, world.faults_.commit_late_ms_max) * kMs;
    if (held_until > world.now_) delay += held_until - world.now_;
    if (world.Chance(world.faults_.late)) delay += static_cast<int64_t>(world.random_() % (4000 * kMs));
    for (auto& m : world.machines_) {
      if (m->uuid != to) continue;
      world.At(delay, [this, target = m.get(), message] {
        // To whatever process runs there by then.
        world.On(*target, target->life, [&](meta::ClusterNode& node) { node.OnMessage(message); });
      });
    }
  }
  if (world.Chance(world.faults_.crash_sending)) throw World::Crash();
}

void Machine::Bricks(const pb::ClusterConf& next, const pb::Ballot& ballot, bool read,
                     std::function<void(Status, std::string)> done) {
  if (world.Chance(world.faults_.bricks_silent)) return;
  const Status answer = world.Chance(world.faults_.bricks_fail) ? Status(EIO, "a brick cannot") : Status();
  // A late one is around the deadline of whoever has asked, or long after it.
  const bool late = world.Chance(world.faults_.bricks_late);
  const int64_t ms = late ? world.Between(1000, 4000) : world.Between(0, 50);
  world.At(ms * kMs, [this, in = life, answer, generation = next.generation(), ballot, read, late,
                      done = std::move(done)] {
    world.On(*this, in, [&](meta::ClusterNode&) {
      // Its own bricks' refusal no originator can miss.
      if (!answer.ok() && !late && !read && ballot.member() == uuid)
        world.witness_.Vetoed(generation, ballot);
      done(answer, "fine");
    });
  });
}

bool Machine::HasRoom() const { return full_until <= world.now_; }

void Machine::Save(const pb::MemberRecord& record, std::function<void()> durable) {
  if (world.Chance(world.faults_.crash)) throw World::Crash();
  if (record.conf().generation() > world.witness_.newest() && !World::Alone(*this) &&
      world.Chance(world.faults_.crash_deciding))
    throw World::Crash{.for_long = true};
  const uint64_t number = ++writes_made;
  writes.push_back({number, record, std::move(durable)});
  // One sync is of all that was written before.
  if (!world.Chance(world.faults_.slow_sync)) return Sync(number);
  world.At(world.Between(1, 400) * kMs,
           [this, in = life, number] { world.On(*this, in, [&](meta::ClusterNode&) { Sync(number); }); });
}

void Machine::Sync(uint64_t up_to) {
  while (!writes.empty() && writes.front().number <= up_to) {
    const Write next = std::move(writes.front());
    writes.pop_front();
    const pb::MemberRecord before = Keep(next.record);
    Synced(before, next.record);
    next.durable();
  }
}

pb::MemberRecord Machine::Keep(const pb::MemberRecord& record) {
  pb::MemberRecord before = std::exchange(disk, record);
  world.Stored(before, record);
  return before;
}

void Machine::EndWrites() {
  if (writes.empty()) return;
  for (uint64_t kept = world.random_() % (writes.size() + 1); kept > 0; --kept) {
    Keep(writes.front().record);
    writes.pop_front();
  }
  writes.clear();
}

// A crash right after a sync, before anybody hears of it.
void Machine::Synced(const pb::MemberRecord& before, const pb::MemberRecord& record) {
  // An originator is the first to accept.
  const bool proposes =
      record.accepted().member() == uuid && record.round() == record.conf().generation() + 1 &&
      (record.round() != before.round() || !meta::Equal(record.accepted(), before.accepted()));
  if (proposes && world.SomebodyMissed(record) && world.Chance(world.faults_.crash_proposing))
    throw World::Crash{.for_long = true};
  if (world.Chance(world.faults_.crash)) throw World::Crash();
}

}  // namespace kfs::sim
