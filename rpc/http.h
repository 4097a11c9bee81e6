// A listener for those who look on (Prometheus, a browser, curl): GET of a few pages, and nothing else. On
// the loop, beside what the program is for, so that everything about it is bounded: visitors, the size of a
// request, the time that one may take. No TLS, no keys: whoever reaches the address may read.
//
// The loop's thread, but for Listen before the loop runs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/status.h"
#include "rpc/event_loop.h"

namespace kfs {

class HttpServer {
 public:
  // With one more, one that asks for nothing goes: who comes and asks is served.
  static constexpr size_t kVisitorsMax = 16;
  static constexpr size_t kRequestBytesMax = 8u << 10;  // with all its headers
  // From its first byte to the last of the answer.
  static constexpr Duration kRequestTimeMax = std::chrono::seconds(10);
  // Between requests, which may come on one connection.
  static constexpr Duration kIdleMax = std::chrono::seconds(60);

  struct Reply {
    unsigned status = 200;
    std::string body;
    std::string type = "text/plain; charset=utf-8";
  };
  using ReplyFn = std::function<void(Reply)>;
  // Calls its argument once, now or later.
  using Page = std::function<void(ReplyFn)>;

  explicit HttpServer(EventLoop& loop);
  ~HttpServer();
  // `path`: "/metrics"; what follows a '?' in a request is not looked at.
  void Serve(std::string path, Page page);
  // "1.2.3.4:port" (0 takes a free one), or "unix:/path" for our user alone: a socket that an earlier process
  // left is replaced, and anything else in its place is an error. Errors name the address.
  Status Listen(const std::string& address);
  std::string address() const;  // with the port taken
  size_t visitors() const;
  // Answers that have not left are lost.
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace kfs
