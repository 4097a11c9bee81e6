// Table-driven state machines. A table is one constexpr object that reads like its diagram: only rows that
// mean something are written. Two rows for one state and event do not compile; a state that cannot be reached
// does not, either (AllReachable). An event without a row is for the machine to count and log.
//
//   constexpr auto kTable = MakeTable<State, Event, void (Machine::*)()>({
//       {State::kDefault, Event::kStartLock, State::kLockSent, &Machine::SendLock},
//       ...
//   });
//   static_assert(AllReachable(kTable, State::kDefault));
//
// What several states have in common is written once: MakeTable(Join(rows, FromEach({...}, event, to,
// handler), StayIn({...}, event, handler))).
#pragma once

#include <array>
#include <cstddef>
#include <stdexcept>

namespace kfs::meta {

template <typename State, typename Event, typename Handler>
struct Transition {
  State from;
  Event on;
  State to;
  Handler run;
};

template <typename State, typename Event, typename Handler, size_t N>
struct StateTable {
  std::array<Transition<State, Event, Handler>, N> rows;

  constexpr const Transition<State, Event, Handler>* Find(State from, Event on) const {
    for (const auto& row : rows) {
      if (row.from == from && row.on == on) return &row;
    }
    return nullptr;
  }
};

template <typename State, typename Event, typename Handler, size_t N>
consteval auto MakeTable(const Transition<State, Event, Handler> (&rows)[N]) {
  StateTable<State, Event, Handler, N> table{};
  for (size_t i = 0; i < N; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (rows[j].from == rows[i].from && rows[j].on == rows[i].on)
        throw std::logic_error("two rows for one event");
    }
    table.rows[i] = rows[i];
  }
  return table;
}

template <typename State, typename Event, typename Handler, size_t N>
consteval auto MakeTable(const std::array<Transition<State, Event, Handler>, N>& rows) {
  Transition<State, Event, Handler> list[N];
  for (size_t i = 0; i < N; ++i) list[i] = rows[i];
  return MakeTable(list);
}

// The same row for several states.
template <typename State, typename Event, typename Handler, size_t N>
consteval auto FromEach(const State (&from)[N], Event on, State to, Handler run) {
  std::array<Transition<State, Event, Handler>, N> rows{};
  for (size_t i = 0; i < N; ++i) rows[i] = {from[i], on, to, run};
  return rows;
}
template <typename State, typename Event, typename Handler, size_t N>
consteval auto StayIn(const State (&states)[N], Event on, Handler run) {
  std::array<Transition<State, Event, Handler>, N> rows{};
  for (size_t i = 0; i < N; ++i) rows[i] = {states[i], on, states[i], run};
  return rows;
}
template <typename Row, size_t... N>
consteval auto Join(const std::array<Row, N>&... parts) {
  std::array<Row, (N + ...)> rows{};
  size_t count = 0;
  const auto add = [&](const auto& part) {
    for (const Row& row : part) rows[count++] = row;
  };
  (add(parts), ...);
  return rows;
}

template <typename State, typename Event, typename Handler, size_t N>
consteval bool AllReachable(const StateTable<State, Event, Handler, N>& table, State start) {
  std::array<State, 2 * N + 1> reached{start};
  size_t count = 1;
  const auto knows = [&](State s) {
    for (size_t i = 0; i < count; ++i) {
      if (reached[i] == s) return true;
    }
    return false;
  };
  for (size_t i = 0; i < count; ++i) {
    for (const auto& row : table.rows) {
      if (row.from == reached[i] && !knows(row.to)) reached[count++] = row.to;
    }
  }
  for (const auto& row : table.rows) {
    if (!knows(row.from)) return false;
  }
  return true;
}

}  // namespace kfs::meta
