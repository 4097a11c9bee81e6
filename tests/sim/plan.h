// What a history is like: how many take part, how busy they are, what goes wrong and how often.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kfs::sim {

// Chances, but where a unit says otherwise.
struct Faults {
  double drop = 0, twice = 0, late = 0;  // of a message
  double drop_commit = 0;                // of a commit, besides
  double late_commit = 0;
  int64_t commit_late_ms_min = 0, commit_late_ms_max = 0;  // by how much a late one is late
  double crash = 0;                                        // of a durable write: before or after it
  double slow_sync = 0;                                    // of a write that its process does not wait for
  // Of an originator whose value nobody else has, while somebody has not heard of its ballot.
  double crash_proposing = 0;
  double crash_deciding = 0;  // of an originator that has its majority, before anybody hears of it
  double crash_sending = 0;   // right after a message has left
  double crash_each_s = 0, cut_each_s = 0, wipe_each_s = 0;    // of the whole cluster
  double hold_each_s = 0;                                      // somebody's messages leave much later
  double full_each_s = 0;                                      // somebody's disk is full for a while
  double bricks_fail = 0, bricks_late = 0, bricks_silent = 0;  // of a member's chunkservers, asked once
  bool cuts_are_noticed = false;                               // the sender knows that a link is cut
};

struct Plan {
  size_t members = 3;       // at first
  size_t machines = 3;      // those besides stand alone, until they are probed
  int members_min = 3;      // are not detached further than that
  uint64_t regroup_of = 8;  // commands, one is a probe or a detach
  // In a busy history commands stand in each other's way, and whoever is refused hears of the ballots that
  // there are; in a calm one somebody may begin who has heard of none.
  bool busy = true;
  int64_t pause_ms_max = 1500, timeout_ms_max = 12000;
  int steps = 40;
  bool disaster = false;  // in the end several are lost
  Faults faults;
};

Plan PlanOf(uint64_t seed);

}  // namespace kfs::sim
