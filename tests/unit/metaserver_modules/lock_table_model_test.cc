// LockTable against a model that keeps, for every byte of a small file, who holds it how. Random operations; what is
// held, every outcome and the order of grants must agree.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <list>
#include <map>
#include <random>
#include <set>

#include "metaserver/locks/lock_table.h"

namespace kfs::meta {
namespace {

using Outcome = LockTable::Outcome;

constexpr uint64_t kBytes = 24;  // the last one stands for everything up to the end of the file

uint64_t RealEnd(uint64_t byte) { return byte == kBytes - 1 ? UINT64_MAX : byte; }

class Model {
 public:
  struct Waiting {
    uint64_t id;
    Ino ino;
    LockOwner owner;
    LockRequest request;  // start and end as bytes of the model
  };
  using Grants = std::vector<std::pair<uint64_t, int>>;  // waiter, errno

  Outcome Set(Ino ino, LockOwner owner, const LockRequest& r, bool wait, uint64_t id, Grants* grants) {
    if (r.flock && r.type != LockType::kUnlock) {
      auto own = flocks_[ino].find(owner);
      if (own != flocks_[ino].end() && own->second != r.type) flocks_[ino].erase(own);
    }
    Outcome outcome = Outcome::kGranted;
    std::set<LockOwner> blockers = Blockers(ino, owner, r);
    if (blockers.empty()) {
      Apply(ino, owner, r);
    } else if (!wait) {
      outcome = Outcome::kConflict;
    } else if (!r.flock && Circle(owner, blockers)) {
      outcome = Outcome::kDeadlock;
    } else {
      waiting_.push_back({id, ino, owner, r});
      outcome = Outcome::kWaiting;
    }
    Grant(grants);
    return outcome;
  }

  void ReleaseOwner(Ino ino, LockOwner owner, bool flock, Grants* grants) {
    Apply(ino, owner, {.type = LockType::kUnlock, .flock = flock, .start = 0, .end = kBytes - 1});
    if (flock) {
      EraseWaiting([&](const Waiting& w) { return w.request.flock && w.ino == ino && w.owner == owner; }, EINTR, grants);
    }
    Grant(grants);
  }

  void ReleaseSession(SessionId session, Grants* grants) {
    EraseWaiting([&](const Waiting& w) { return w.owner.session == session; }, EIO, grants);
    auto of_session = [&](const auto& entry) { return entry.first.session == session; };
    for (auto& [ino, locks] : flocks_) std::erase_if(locks, of_session);
    for (auto& [ino, bytes] : records_) {
      for (auto& byte : bytes) std::erase_if(byte, of_session);
    }
    Grant(grants);
  }

  bool Cancel(SessionId session, uint64_t id, Grants* grants) {
    const size_t before = grants->size();
    EraseWaiting([&](const Waiting& w) { return w.owner.session == session && w.id == id; }, EINTR, grants);
    return grants->size() != before;
  }

  bool Blocked(Ino ino, LockOwner owner, const LockRequest& r) { return !Blockers(ino, owner, r).empty(); }

  // How `owner` holds each byte ('-', 'r', 'w'), or the file.
  std::string Show(Ino ino, LockOwner owner, bool flock) {
    auto letter = [](LockType t) { return t == LockType::kRead ? 'r' : 'w'; };
    if (flock) {
      auto it = flocks_[ino].find(owner);
      return std::string(1, it == flocks_[ino].end() ? '-' : letter(it->second));
    }
    std::string out;
    for (auto& byte : records_[ino]) out += byte.contains(owner) ? letter(byte[owner]) : '-';
    return out;
  }

  size_t Waiters() const { return waiting_.size(); }

 private:
  static bool Conflict(LockType a, LockType b) {
    return a != LockType::kUnlock && b != LockType::kUnlock && (a == LockType::kWrite || b == LockType::kWrite);
  }

  std::set<LockOwner> Blockers(Ino ino, LockOwner owner, const LockRequest& r) {
    std::set<LockOwner> out;
    auto look = [&](const std::map<LockOwner, LockType>& holders) {
      for (auto& [holder, type] : holders) {
        if (holder != owner && Conflict(type, r.type)) out.insert(holder);
      }
    };
    if (r.flock) {
      look(flocks_[ino]);
    } else {
      for (uint64_t b = r.start; b <= r.end; ++b) look(records_[ino][b]);
    }
    return out;
  }

  bool Circle(LockOwner owner, std::set<LockOwner> reach) {
    for (size_t size = 0; size != reach.size();) {
      size = reach.size();
      for (const Waiting& w : waiting_) {
        if (!w.request.flock && reach.contains(w.owner)) reach.merge(Blockers(w.ino, w.owner, w.request));
      }
    }
    return reach.contains(owner);
  }

  void Apply(Ino ino, LockOwner owner, const LockRequest& r) {
    auto put = [&](std::map<LockOwner, LockType>& holders) {
      holders.erase(owner);
      if (r.type != LockType::kUnlock) holders[owner] = r.type;
    };
    if (r.flock) {
      put(flocks_[ino]);
    } else {
      for (uint64_t b = r.start; b <= r.end; ++b) put(records_[ino][b]);
    }
  }

  template <typename Pred>
  void EraseWaiting(Pred pred, int err, Grants* grants) {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (!pred(*it)) {
        ++it;
        continue;
      }
      grants->emplace_back(it->id, err);
      it = waiting_.erase(it);
    }
  }

  // By inode, then rounds in the order of arrival: the order in which the table promises its calls.
  void Grant(Grants* grants) {
    std::set<Ino> inos;
    for (const Waiting& w : waiting_) inos.insert(w.ino);
    for (Ino ino : inos) {
      for (bool again = true; again;) {
        again = false;
        for (auto it = waiting_.begin(); it != waiting_.end();) {
          if (it->ino != ino || Blocked(ino, it->owner, it->request)) {
            ++it;
            continue;
          }
          Apply(ino, it->owner, it->request);
          grants->emplace_back(it->id, 0);
          it = waiting_.erase(it);
          again = true;
        }
      }
    }
  }

  std::map<Ino, std::array<std::map<LockOwner, LockType>, kBytes>> records_;
  std::map<Ino, std::map<LockOwner, LockType>> flocks_;
  std::list<Waiting> waiting_;
};

std::string ShowTable(const LockTable& table, Ino ino, LockOwner owner, bool flock) {
  std::string out(flock ? 1 : kBytes, '-');
  for (const HeldLock& held : table.Held(ino, flock)) {
    if (held.owner != owner) continue;
    const char letter = held.type == LockType::kRead ? 'r' : 'w';
    if (flock) return std::string(1, letter);
    for (uint64_t b = held.start; b < kBytes && b <= held.end; ++b) {
      EXPECT_EQ(out[b], '-') << "ranges of one owner overlap";
      out[b] = letter;
    }
    EXPECT_TRUE(held.end < kBytes - 1 || held.end == UINT64_MAX);
  }
  return out;
}

class LockTableModelTest : public testing::TestWithParam<uint32_t> {};

TEST_P(LockTableModelTest, AgreesWithTheByteMap) {
  std::mt19937 rng(GetParam());
  LockTable table;
  Model model;
  Model::Grants got, want;
  std::vector<LockOwner> owners;
  for (uint64_t s = 1; s <= 3; ++s) {
    for (uint64_t o = 1; o <= 2; ++o) owners.push_back({SessionId(s), o});
  }
  const Ino inos[] = {Ino(5), Ino(6)};
  std::map<Outcome, int> outcomes;
  uint64_t next_id = 1;

  for (int step = 0; step < 4000; ++step) {
    const Ino ino = inos[rng() % 2];
    const LockOwner owner = owners[rng() % owners.size()];
    const bool flock = rng() % 5 == 0;
    got.clear();
    want.clear();
    const uint32_t dice = rng() % 100;
    if (dice < 80) {
      LockRequest r{.type = static_cast<LockType>(rng() % 3), .flock = flock};
      r.start = rng() % kBytes;
      r.end = std::min(r.start + rng() % 8, kBytes - 1);
      LockRequest real = r;
      real.end = RealEnd(r.end);
      const bool wait = rng() % 2 == 0;
      const uint64_t id = next_id++;
      const auto held = table.Test(ino, owner, real);
      ASSERT_EQ(held.has_value(), model.Blocked(ino, owner, r)) << "step " << step;
      const Outcome expected = model.Set(ino, owner, r, wait, id, &want);
      const Outcome outcome = table.Set(ino, owner, real, wait,
                                        [&got, id](Status s) { got.emplace_back(id, s.err()); }, id);
      ASSERT_EQ(outcome, expected) << "step " << step;
      ++outcomes[outcome];
    } else if (dice < 90) {
      model.ReleaseOwner(ino, owner, flock, &want);
      table.ReleaseOwner(ino, owner, flock);
    } else if (dice < 98) {
      const uint64_t id = next_id - 1 - rng() % std::min<uint64_t>(next_id, 30);
      ASSERT_EQ(table.CancelWaiter(owner.session, id), model.Cancel(owner.session, id, &want));
    } else {
      model.ReleaseSession(owner.session, &want);
      table.ReleaseSession(owner.session);
      ASSERT_EQ(table.CountOf(owner.session), 0u);
    }
    ASSERT_EQ(got, want) << "step " << step;
    ASSERT_EQ(table.waiters(), model.Waiters());
    for (Ino i : inos) {
      for (const LockOwner& o : owners) {
        for (bool f : {false, true}) ASSERT_EQ(ShowTable(table, i, o, f), model.Show(i, o, f)) << "step " << step;
      }
    }
  }
  for (Outcome o : {Outcome::kGranted, Outcome::kConflict, Outcome::kWaiting, Outcome::kDeadlock}) {
    EXPECT_GT(outcomes[o], 10) << "an outcome hardly tested: " << static_cast<int>(o);
  }
  for (uint64_t s = 1; s <= 3; ++s) {
    table.ReleaseSession(SessionId(s));
    EXPECT_EQ(table.CountOf(SessionId(s)), 0u);
  }
  EXPECT_EQ(table.waiters(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LockTableModelTest, testing::Range(1u, 21u));

}  // namespace
}  // namespace kfs::meta
