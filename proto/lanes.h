// Lanes of a session (docs/protocol.md): an op id is the number of its lane, and within it a number that
// rises from 1 on. In lane 0 ids are as they were before there were lanes.
#pragma once

#include <cstdint>

namespace kfs {

constexpr int kLaneShift = 56;

constexpr uint64_t LaneOf(uint64_t op_id) { return op_id >> kLaneShift; }
// Below all ids of the lane; no op has it.
constexpr uint64_t LaneBase(uint64_t lane) { return lane << kLaneShift; }
constexpr uint64_t NumberInLane(uint64_t op_id) { return op_id & (LaneBase(1) - 1); }

// 0, which says nothing, is of each.
constexpr bool IsOfLane(uint64_t op_id, uint64_t lane) { return op_id == 0 || LaneOf(op_id) == lane; }

}  // namespace kfs
