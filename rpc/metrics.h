// What a program counts, and the page that shows it (Prometheus' text). Whoever counts has counters and
// histograms as members, declares their families beside them, and tells the program's registry how they are
// shown:
//
//   constexpr MetricFamily kBadFrames{MetricType::kCounter, "kfs_meta_bad_frames_total", "Connections ..."};
//   metrics.Add([this](MetricsPage& page) { page.Add(kBadFrames, bad_frames_.value()); });
//
// docs/metrics.md lists all of them; tests/deploy/monitoring.sh compares.
//
// Counting takes no lock, allocates nothing and reads no clock. There is no global registry: a program hands
// its own to those who count.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace kfs {

class EventLoop;

// Goes up. Written by one thread, read by any.
class Counter {
 public:
  void Add(uint64_t n = 1) { n_.store(n_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t value() const { return n_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> n_{0};
};

// How often something took how long, in microseconds: a fixed array of counters, sixteen to each power of
// two, so that what is told of a time is off by at most a sixteenth of it (1 us below 32 us). 3 KiB. Written
// by one thread, read by any: what is counted meanwhile may be seen in part.
class LatencyHistogram {
 public:
  static constexpr unsigned kSubBits = 4;                 // sixteen counters to a power of two
  static constexpr uint64_t kMicrosMax = (1u << 27) - 1;  // two minutes; longer ones count as that
  static constexpr size_t kBuckets = (27 - kSubBits + 1) << kSubBits;

  void Observe(Duration took) {
    const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    const uint64_t micros = us < 0 ? 0 : static_cast<uint64_t>(us);
    buckets_[BucketOf(micros)].Add();
    micros_.Add(micros);
  }
  uint64_t count() const;
  uint64_t micros() const { return micros_.value(); }  // all together
  // Those that took at most `bound`, which is met up to a sixteenth.
  uint64_t CountUpTo(Duration bound) const;

  static constexpr size_t BucketOf(uint64_t micros) {
    if (micros > kMicrosMax) micros = kMicrosMax;
    if (micros < (2u << kSubBits)) return micros;
    const unsigned shift = static_cast<unsigned>(std::bit_width(micros)) - (kSubBits + 1);
    return (size_t{shift} << kSubBits) + (micros >> shift);
  }
  // The longest time that counts there.
  static constexpr uint64_t LastOf(size_t bucket) {
    if (bucket < (2u << kSubBits)) return bucket;
    const size_t shift = (bucket >> kSubBits) - 1;
    return ((((bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits)) + 1) << shift) - 1;
  }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter micros_;
};

enum class MetricType { kCounter, kGauge, kHistogram };

struct MetricFamily {
  MetricType type{};
  const char* name;  // of Prometheus' conventions: kfs_meta_ops_total, kfs_chunk_op_seconds
  const char* help;  // a sentence without its full stop
};

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// What one source has to say. Families are shown in alphabetical order.
class MetricsPage {
 public:
  // Where a histogram's buckets end: 1, 2 and 5 of each power of ten from 10 us to 10 s.
  static constexpr size_t kBoundsShown = 19;

  MetricsPage();
  ~MetricsPage();
  void Add(const MetricFamily& family, double value, MetricLabels labels = {});
  void Add(const MetricFamily& family, uint64_t value, MetricLabels labels = {}) {
    Add(family, static_cast<double>(value), std::move(labels));
  }
  void Add(const MetricFamily& family, const LatencyHistogram& histogram, MetricLabels labels = {});
  std::string Text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The sources of one program. The loop's thread.
class Metrics {
 public:
  using Source = std::function<void(MetricsPage&)>;

  Metrics();
  ~Metrics();
  // A family has one source. What the source looks at outlives the registry, or Clear comes before its end.
  void Add(Source source);
  void Clear();
  // All sources at once: for a few, or where nobody waits.
  std::string Text() const;
  // One source a turn of the loop, so that others are served in between however many there are. `done` is not
  // called once the registry is cleared or gone.
  void Write(EventLoop& loop, std::function<void(std::string)> done) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kfs
