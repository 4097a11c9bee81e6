#include "metaserver/metrics.h"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <map>
#include <mutex>

namespace kfs::meta {

struct Metrics::Impl {
  struct Page : prometheus::Collectable {
    std::vector<prometheus::MetricFamily> Collect() const override {
      std::lock_guard lock(mutex);
      return families;
    }
    mutable std::mutex mutex;
    std::vector<prometheus::MetricFamily> families;  // guarded by mutex
  };
  std::shared_ptr<Page> page = std::make_shared<Page>();
  std::unique_ptr<prometheus::Exposer> exposer;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

Status Metrics::Listen(const std::string& address) {
  try {
    impl_->exposer = std::make_unique<prometheus::Exposer>(address, 1);
  } catch (const std::exception& e) {
    return Status(EADDRINUSE, "cannot serve metrics on " + address + ": " + e.what());
  }
  impl_->exposer->RegisterCollectable(impl_->page);
  return {};
}

void Metrics::Set(std::vector<Sample> samples) {
  std::map<std::string, prometheus::MetricFamily> families;
  for (Sample& s : samples) {
    prometheus::MetricFamily& f = families[s.name];
    f.name = s.name;
    f.help = s.help;
    f.type = s.counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    prometheus::ClientMetric& m = f.metric.emplace_back();
    for (auto& [name, value] : s.labels) m.label.push_back({name, value});
    (s.counter ? m.counter.value : m.gauge.value) = s.value;
  }
  std::lock_guard lock(impl_->page->mutex);
  impl_->page->families.clear();
  for (auto& [name, f] : families) impl_->page->families.push_back(std::move(f));
}

}  // namespace kfs::meta
