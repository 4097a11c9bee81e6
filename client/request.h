// An op on its way through the worker, and who is told when it is done.
//
//   SyncRequest:  the caller's thread waits on a condition until Done.
//   AsyncRequest: a completion runs on the worker's thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "client/kfs_op.h"

namespace kfs {

class Request {
 public:
  explicit Request(KfsOpPtr op) : op_(std::move(op)) {}
  virtual ~Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  KfsOp& op() { return *op_; }
  // Worker's thread, once: the op has its answer.
  virtual void Done() = 0;
  // The caller's thread sleeps until Done, so holding it back is how it is told that there is too much to do.
  virtual bool blocks() const = 0;

  // Set by the worker.
  bool refused = false;   // over the limit: ends with EAGAIN without having been started
  bool starting = false;  // inside Start: Done is put off until the caller of Execute has its CallId

 private:
  const KfsOpPtr op_;
};
using RequestPtr = std::shared_ptr<Request>;

class SyncRequest final : public Request {
 public:
  using Request::Request;
  void Done() override {
    // Notified under the lock: the waiter destroys the condition as soon as it may.
    std::lock_guard lock(mutex_);
    done_ = true;
    condition_.notify_one();
  }
  bool blocks() const override { return true; }
  void Wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return done_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool done_ = false;  // guarded by mutex_
};

class AsyncRequest final : public Request {
 public:
  using Completion = std::function<void(KfsOp&)>;
  AsyncRequest(KfsOpPtr op, Completion completion)
      : Request(std::move(op)), completion_(std::move(completion)) {}
  void Done() override {
    auto completion = std::move(completion_);
    completion(op());
  }
  bool blocks() const override { return false; }

 private:
  Completion completion_;
};

}  // namespace kfs
