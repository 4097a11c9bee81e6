// A lasting link to one server (one of several addresses): connects when needed, greets, reconnects with
// back-off and jitter, and sends what is pending again under the same idempotency ids. Loop's thread only.
//
//   Enqueue -> pending map -> [connected and attached] -> Connection::CallEncoded -> answer -> done
//                    ^                                            |
//                    +---- connection lost: back-off, reconnect --+
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/credentials.h"
#include "rpc/connection.h"
#include "rpc/dispatcher.h"

namespace kfs {

class NetClient {
 public:
  struct Options {
    std::string name;                    // for logs: "metaserver", "chunkserver 3"
    std::vector<std::string> addresses;  // host:port, tried in turn
    pb::HelloRequest::Role role = pb::HelloRequest::CLIENT;
    std::string id;          // our UUID
    std::string cluster_id;  // empty: any
    Credentials credentials;
    pb::HelloRequest::Role server_role = pb::HelloRequest::METASERVER;  // what we connect to
    std::string server_uuid;                                            // empty: whichever is there
    Duration connect_timeout = std::chrono::seconds(5);
    Duration backoff_min = std::chrono::milliseconds(20);
    Duration backoff_max = std::chrono::seconds(2);
    // Nothing heard for so long while something is pending: Ping; twice as long: the connection is given up.
    Duration silence = std::chrono::seconds(10);
    size_t pending_max = 65536;  // more are refused with EAGAIN/kTryAgain
    // A server that was never reached and refuses the greeting (another cluster, secret or version) ends the
    // link for good. Else it is tried again, like one that does not answer: it may change its mind.
    bool may_give_up = true;
    // Nothing that was sent survives the end of the link, or of our process: what the peer's machine has not
    // taken yet is dropped, instead of arriving whenever the network allows (SO_LINGER).
    bool hard_close = false;
    // Where the credentials have an older root secret: whether the server may be one that does not know the
    // newer one yet. Asked at each attempt; null: it may not. Never again once it has known the newer one.
    std::function<bool()> may_be_older;
  };

  struct Call {
    Op op{};
    const google::protobuf::MessageLite* request = nullptr;  // serialized by Enqueue
    Slices payload;
    std::optional<Duration> timeout;  // none: as long as it takes (hard mount)
    Trace trace = {};                 // of the call that it is a part of
    bool resend = true;               // false: ends with EIO/kConnectionLost instead of being sent again
    AnswerFn done;                    // exactly once, on the loop's thread
  };

  NetClient(EventLoop& loop, Options options);
  ~NetClient();  // pending calls end with ECANCELED

  uint64_t Enqueue(Call call);
  template <typename Rpc>
  uint64_t Enqueue(const typename Rpc::Request& request, AnswerFn done,
                   std::optional<Duration> timeout = {}) {
    return Enqueue({.op = Rpc::kOp,
                    .request = &request,
                    .payload = {},
                    .timeout = timeout,
                    .resend = true,
                    .done = std::move(done)});
  }
  // Ends the call with ECANCELED (its effect may happen all the same). False when it is not pending.
  bool Cancel(uint64_t id);

  // Runs after each successful greeting, before pending calls are sent: attach a session, register. It calls
  // `ready` with OK to go on; an error closes the connection and tries again later, unless the error is fatal
  // (`fatal` true): then all pending and later calls end with it.
  using ReadyFn = std::function<void(Status status, bool fatal)>;
  void OnConnected(std::function<void(const ConnectionPtr&, ReadyFn ready)> fn);
  // Serves what the server asks of us. Without, Ping alone is answered.
  void Serve(std::shared_ptr<Dispatcher> dispatcher);
  void OnDisconnected(std::function<void(const Status&)> fn);

  // Replaces the addresses; the first one is tried next. What is pending stays, and so does a live
  // connection. REQUIRES: at least one.
  void SetAddresses(std::vector<std::string> addresses);
  // For connections from now on; the present one stays.
  void SetCredentials(Credentials credentials);
  // The one connected to, or tried last.
  const std::string& address() const;
  // Called before an error is given to `ready`: the next attempt begins after `pause` instead of the
  // back-off.
  void RetryAfter(Duration pause);
  // Drops the connection and reconnects (e.g. after UnknownSession). Pending calls stay.
  void Reconnect(const Status& why);
  // Connects now even if nothing is pending, and stays connected.
  void KeepConnected();
  bool connected() const;     // greeted and attached
  bool linked() const;        // somebody has taken the connection, and has perhaps said nothing yet
  Status last_error() const;  // why it is not, for a person
  const std::string& server_cluster_id() const;
  // "kfs 0.1.0", of the last greeting; empty: not connected yet.
  const std::string& server_software() const;
  // The key that the server has proved to know, by its id; empty: not connected yet.
  const std::string& shown_key_id() const;
  size_t pending() const;
  uint64_t reconnects() const;
  // No further calls; pending ones end with ECANCELED.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Typed answer: parses the body, EPROTO/kMalformed when it is not valid.
template <typename Reply>
Status ParseAnswer(const Answer& answer, Reply* reply) {
  if (!answer.status.ok()) return answer.status;
  if (!reply->ParseFromString(answer.body)) {
    return Status(EPROTO, Code::kMalformed, "the server's answer cannot be understood");
  }
  return {};
}

}  // namespace kfs
