#include "rpc/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "rpc/event_loop.h"

namespace kfs {
namespace {

constexpr std::array<int64_t, MetricsPage::kBoundsShown> kBoundsMicros = {
    10,     20,     50,      100,     200,     500,       1'000,     2'000,     5'000,     10'000,
    20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000, 10'000'000};

prometheus::MetricType TypeOf(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricType::kHistogram:
      break;
  }
  return prometheus::MetricType::Histogram;
}

}  // namespace

uint64_t LatencyHistogram::count() const {
  uint64_t n = 0;
  for (const Counter& c : buckets_) n += c.value();
  return n;
}

uint64_t LatencyHistogram::CountUpTo(Duration bound) const {
  const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(bound).count();
  if (us < 0) return 0;
  const size_t end = BucketOf(static_cast<uint64_t>(us));
  uint64_t n = 0;
  for (size_t i = 0; i <= end; ++i) n += buckets_[i].value();
  return n;
}

struct MetricsPage::Impl {
  prometheus::ClientMetric& Add(const MetricFamily& family, MetricLabels labels) {
    prometheus::MetricFamily& f = families[family.name];
    f.name = family.name;
    f.help = family.help;
    f.type = TypeOf(family.type);
    prometheus::ClientMetric& m = f.metric.emplace_back();
    for (auto& [name, value] : labels) m.label.push_back({std::move(name), std::move(value)});
    return m;
  }

  std::map<std::string, prometheus::MetricFamily> families;
};

MetricsPage::MetricsPage() : impl_(std::make_unique<Impl>()) {}
MetricsPage::~MetricsPage() = default;

void MetricsPage::Add(const MetricFamily& family, double value, MetricLabels labels) {
  prometheus::ClientMetric& m = impl_->Add(family, std::move(labels));
  (family.type == MetricType::kCounter ? m.counter.value : m.gauge.value) = value;
}

void MetricsPage::Add(const MetricFamily& family, const LatencyHistogram& histogram, MetricLabels labels) {
  prometheus::ClientMetric::Histogram& h = impl_->Add(family, std::move(labels)).histogram;
  for (const int64_t micros : kBoundsMicros) {
    h.bucket.push_back(
        {histogram.CountUpTo(std::chrono::microseconds(micros)), static_cast<double>(micros) / 1e6});
  }
  h.sample_count = histogram.count();
  h.sample_sum = static_cast<double>(histogram.micros()) / 1e6;
  h.bucket.push_back({h.sample_count, std::numeric_limits<double>::infinity()});
}

std::string MetricsPage::Text() const {
  std::vector<prometheus::MetricFamily> all;
  for (const auto& [name, family] : impl_->families) all.push_back(family);
  return prometheus::TextSerializer().Serialize(all);
}

struct Metrics::State {
  std::vector<Source> sources;
  uint64_t cleared = 0;
};

namespace {

std::string TextOf(const Metrics::Source& source) {
  MetricsPage page;
  source(page);
  return page.Text();
}

}  // namespace

Metrics::Metrics() : state_(std::make_shared<State>()) {}
Metrics::~Metrics() = default;

void Metrics::Add(Source source) { state_->sources.push_back(std::move(source)); }

void Metrics::Clear() {
  state_->sources.clear();
  ++state_->cleared;
}

std::string Metrics::Text() const {
  std::string text;
  for (const Source& source : state_->sources) text += TextOf(source);
  return text;
}

void Metrics::Write(EventLoop& loop, std::function<void(std::string)> done) const {
  struct Writing : std::enable_shared_from_this<Writing> {
    Writing(EventLoop& l, const std::shared_ptr<State>& s, std::function<void(std::string)> d)
        : loop(l), state(s), cleared(s->cleared), done(std::move(d)) {}
    void Step() {
      loop.Post([self = shared_from_this()] {
        auto s = self->state.lock();
        if (s == nullptr || s->cleared != self->cleared) return;
        if (self->next == s->sources.size()) return self->done(std::move(self->text));
        self->text += TextOf(s->sources[self->next++]);
        self->Step();
      });
    }
    EventLoop& loop;
    const std::weak_ptr<State> state;
    const uint64_t cleared;
    const std::function<void(std::string)> done;
    size_t next = 0;
    std::string text;
  };
  std::make_shared<Writing>(loop, state_, std::move(done))->Step();
}

}  // namespace kfs
