#include "rpc/monitor.h"

#include <utility>

#include "common/event_counts.h"
#include "rpc/stall.h"

namespace kfs {
namespace {

constexpr MetricFamily kLogEvents{MetricType::kCounter, "kfs_log_events_total",
                                  "Warnings and worse in the log, by event"};
constexpr MetricFamily kStalls{MetricType::kCounter, "kfs_loop_stalls_total",
                               "Ticks of an event loop over 50 ms, without waiting for a processor"};
constexpr MetricFamily kStallSeconds{MetricType::kCounter, "kfs_loop_stall_seconds_total",
                                     "What these ticks took"};
constexpr MetricFamily kResident{MetricType::kGauge, "kfs_process_resident_bytes",
                                 "Resident memory of the process"};

void OfTheProcess(EventLoop& loop, MetricsPage& page) {
  for (const EventCount& e : LoggedEvents())
    page.Add(kLogEvents, e.count, {{"event", e.event}, {"level", e.level}});
  page.Add(kStalls, LoopStalls());
  page.Add(kStallSeconds, static_cast<double>(LoopStallMicros()) / 1e6);
  page.Add(kResident, loop.ResidentBytes());
}

HttpServer::Reply MetricsReply(std::string text) {
  return {.body = std::move(text), .type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace

Monitor::Monitor(EventLoop& loop) : loop_(loop), http_(loop) {
  metrics_.Add([&loop](MetricsPage& page) { OfTheProcess(loop, page); });
  http_.Serve("/metrics", [this](HttpServer::ReplyFn reply) { ShowMetrics(std::move(reply)); });
  http_.Serve("/healthz", [this](const HttpServer::ReplyFn& reply) {
    const Status health = health_();
    if (health.ok()) return reply({.body = "ok\n"});
    reply({.status = 503, .body = health.message() + "\n"});
  });
}

Status Monitor::Listen(const std::string& address) {
  Status s = http_.Listen(address);
  return s.ok() ? s : Status(s.err(), "metrics: " + s.message());
}

void Monitor::Stop() {
  http_.Stop();
  metrics_.Clear();
  waiting_.clear();
  health_ = [] { return Status(ESHUTDOWN, "it stops"); };
}

void Monitor::ShowMetrics(HttpServer::ReplyFn reply) {
  if (waiting_.empty() && page_made_ != MonoTime{} && loop_.Now() - page_made_ < kPageKept)
    return reply(MetricsReply(page_));
  if (waiting_.size() == kWaitingMax) return reply({.status = 503, .body = "too many are asking\n"});
  waiting_.push_back(std::move(reply));
  if (waiting_.size() != 1) return;
  metrics_.Write(loop_, [this](std::string text) {
    page_ = std::move(text);
    page_made_ = loop_.Now();
    for (const auto& waits : std::exchange(waiting_, {})) waits(MetricsReply(page_));
  });
}

}  // namespace kfs
