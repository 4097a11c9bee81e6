// What a NetClient consists of: the calls that wait (net_client.cc), and the way to a connection that they
// may leave on (net_client_connecting.cc).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "rpc/byte_stream.h"
#include "rpc/event_loop.h"
#include "rpc/net_client.h"
#include "rpc/network.h"

namespace kfs {

// One state at a time:
//
//   kIdle -> kConnecting (resolve, connect) -> kGreeting (Hello) -> kAttaching (on_connected) -> kReady
//     ^          |                                |                     |                          |
//     +- kBackoff <---------------------- any failure -----------------------------------------+
//   kFailed: a fatal error; kClosed: Close() was called.
struct NetClient::Impl : std::enable_shared_from_this<NetClient::Impl> {
  enum State { kIdle, kConnecting, kGreeting, kAttaching, kReady, kBackoff, kFailed, kClosed };

  struct Pending {
    Op op{};
    std::shared_ptr<std::string> frame;
    Slices payload;
    Trace trace;
    std::optional<MonoTime> deadline;
    bool resend = true;
    bool sent = false;  // on the present connection, under `seq`
    uint64_t seq = 0;
    AnswerFn done;
  };

  Impl(EventLoop& l, Options o)
      : loop(l),
        options(std::move(o)),
        random(l.entropy().Next()),
        addresses(options.addresses),
        dispatcher(std::make_shared<Dispatcher>(l, Dispatcher::Options{.role = options.role})) {}

  void Connect();
  void OnDialed(std::unique_ptr<ByteStream> plain);
  void OnGreeted(const pb::HelloReply& reply, const std::string& key_id);
  // Null: our id or our key's name cannot be used on a link.
  std::unique_ptr<ByteStream> Stream(std::unique_ptr<ByteStream> raw, const Credentials& shown);
  Credentials Shown();
  bool TryOlder();
  void Refused(const Status& why);
  void OnReady();
  void Trouble(const Status& why, bool fatal);
  void Lost(const Status& why);
  void SendOne(uint64_t id, Pending& p);
  void OnAnswer(uint64_t id, Answer answer);
  void Finish(uint64_t id, Status status);
  void FinishAll(const Status& status);
  void StartWatchdog();
  void Watchdog();
  Duration Backoff();

  EventLoop& loop;
  Options options;  // constant but for the credentials
  std::mt19937_64 random;

  State state = kIdle;
  bool keep_connected = false;
  bool ever_ready = false;
  std::vector<std::string> addresses;
  size_t next_address = 0;
  std::string address;   // of the present or last attempt
  uint64_t attempt = 0;  // of connecting; late results of earlier ones are dropped
  int failures = 0;
  std::optional<Duration> next_pause;  // once, instead of the back-off
  uint64_t reconnects = 0;
  ConnectionPtr connection;
  std::unique_ptr<Network::Dialing> dialing;
  EventLoop::Timer backoff_timer, connect_timer, watchdog;
  Status last_error;
  std::string server_cluster_id, server_software;
  // With tls = accept: the last attempt ended as if the server had no TLS, and it has never been seen with
  // it.
  bool plain_next = false, seen_tls = false, said_plain = false;
  // With an older root secret: it is shown next; the server knows the newer one.
  bool older_next = false, knows_newer = false;
  std::string shown_key_id;

  std::map<uint64_t, Pending> pending;  // in the order of Enqueue
  uint64_t next_id = 1;
  bool ping_sent = false;

  std::function<void(const ConnectionPtr&, ReadyFn)> on_connected;
  std::shared_ptr<Dispatcher> dispatcher;
  std::function<void(const Status&)> on_disconnected;
};

}  // namespace kfs
