// What every program shows of itself, where it is told to: /metrics (its registry's, and what is of the
// process), and /healthz: "ok", or status 503 and what is wrong, in words. The loop's thread, but for Listen
// before the loop runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rpc/http.h"
#include "rpc/metrics.h"

namespace kfs {

class Monitor {
 public:
  explicit Monitor(EventLoop& loop);

  Metrics& metrics() { return metrics_; }
  // Asked at each look at /healthz. What it looks at lives until Stop.
  void OnHealth(std::function<Status()> health) { health_ = std::move(health); }
  // "1.2.3.4:port" or "unix:/path" (rpc/http.h).
  Status Listen(const std::string& address);
  std::string address() const { return http_.address(); }
  // Nothing that was handed in is called after it. May be called twice.
  void Stop();

 private:
  // However many ask and however often, a page is made at most once a second: what it costs is bounded.
  static constexpr Duration kPageKept = std::chrono::seconds(1);
  void ShowMetrics(HttpServer::ReplyFn reply);

  EventLoop& loop_;
  Metrics metrics_;
  std::function<Status()> health_ = [] { return Status(); };
  static constexpr size_t kWaitingMax = 4 * HttpServer::kVisitorsMax;  // some may have gone
  std::vector<HttpServer::ReplyFn> waiting_;                           // for the page that is being made
  std::string page_;
  MonoTime page_made_{};
  HttpServer http_;
};

}  // namespace kfs
