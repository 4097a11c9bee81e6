// A loop of this machine: Asio's io_context, the machine's clocks and sockets, real threads.
#include "rpc/asio_loop.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "common/allocator.h"
#include "rpc/event_loop_impl.h"
#include "rpc/network.h"
#include "rpc/stall.h"
#include "rpc/workers.h"

namespace kfs {
namespace {

namespace asio = boost::asio;

// Handlers of one tick, and their time.
constexpr int kReadyMax = 1024;
constexpr auto kReadyTime = std::chrono::milliseconds(2);

class AsioTimer : public EventLoop::Timer::State, public std::enable_shared_from_this<AsioTimer> {
 public:
  AsioTimer(asio::io_context& context, Duration period, std::function<void()> fn)
      : timer_(context), period_(period), fn_(std::move(fn)) {}

  void Arm(Duration delay) {
    timer_.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(delay));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->active_) self->Run();
    });
  }
  void Cancel() override {
    active_ = false;
    fn_ = nullptr;
    timer_.cancel();
  }
  bool active() const override { return active_; }

 private:
  void Run() {
    TickBegins();
    const RanPart part("timer", /*around=*/true);
    if (period_ == Duration::zero()) {
      active_ = false;
      auto fn = std::move(fn_);
      return fn();
    }
    // A copy: the function may cancel its own timer.
    auto fn = fn_;
    Arm(period_);
    fn();
  }

  asio::steady_timer timer_;
  const Duration period_;  // zero: one shot
  std::function<void()> fn_;
  bool active_ = true;
};

class FdWatch : public EventLoop::Watch {
 public:
  FdWatch(asio::io_context& context, int fd, std::function<void()> fn)
      : state_(std::make_shared<State>(context, fd, std::move(fn))) {
    state_->Arm();
  }
  ~FdWatch() override {
    state_->active = false;
    state_->descriptor.release();  // the descriptor stays its owner's; the wait ends with operation_aborted
  }

 private:
  struct State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, int fd, std::function<void()> f)
        : descriptor(context, fd), fn(std::move(f)) {}
    void Arm() {
      descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                            [self = shared_from_this()](const boost::system::error_code& error) {
                              if (!self->active || error == asio::error::operation_aborted) return;
                              TickBegins();
                              const RanPart part("watch", /*around=*/true);
                              self->fn();
                              if (self->active) self->Arm();
                            });
    }
    asio::posix::stream_descriptor descriptor;
    std::function<void()> fn;
    bool active = true;
  };
  std::shared_ptr<State> state_;
};

class Threads : public Workers {
 public:
  Threads(const char* name, int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this] { Run(); });
      pthread_setname_np(threads_.back().native_handle(), name);
    }
  }
  ~Threads() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  void Do(std::function<void()> work) override {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    wake_.notify_one();  // under the lock: `work` may be what ends us
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_.
  std::deque<std::function<void()>> waiting_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

class AsioLoop : public EventLoop::Impl {
 public:
  void Run() override {
    auto guard = asio::make_work_guard(context_);
    thread_ = std::this_thread::get_id();
    stopping_ = false;
    std::vector<std::function<void()>> round;
    while (!stopping_) {
      context_.run_one();
      // A flood of ready handlers must not put off the answers for ever.
      const MonoTime until = Now() + kReadyTime;
      for (int i = 0; i < kReadyMax && context_.poll_one() != 0; ++i) {
        if (clock_.MonoNow() > until) break;
      }
      while (!tick_end_.empty()) {
        round.swap(tick_end_);
        for (auto& fn : round) {
          const RanPart part("tick's end", /*around=*/true);
          fn();
        }
        round.clear();
      }
      now_known_ = false;
      TickEnds();
    }
  }
  void Stop() override {
    Post([this] { stopping_ = true; });
  }
  void Post(std::function<void()> fn) override {
    // `fn` may be what lets go of the loop, and have run before this thread has rung the bell.
    const auto keep = shared_from_this();
    asio::post(context_, [fn = std::move(fn)] {
      TickBegins();
      const RanPart part("posted", /*around=*/true);
      fn();
    });
  }
  void AtTickEnd(std::function<void()> fn) override { tick_end_.push_back(std::move(fn)); }
  bool InLoopThread() const override { return thread_ == std::this_thread::get_id(); }
  MonoTime Now() override {
    if (!InLoopThread()) return clock_.MonoNow();  // before it runs there are no ticks
    if (!now_known_) now_ = clock_.MonoNow();
    now_known_ = true;
    return now_;
  }
  Clock& clock() override { return clock_; }
  Entropy& entropy() override { return entropy_; }
  Network& network() override { return *network_; }
  std::string HostName() override {
    char name[256] = "";
    gethostname(name, sizeof(name) - 1);
    return name;
  }
  uint64_t ResidentBytes() override { return kfs::ResidentBytes(); }
  std::unique_ptr<Workers> StartWorkers(const char* name, int at_once) override {
    return std::make_unique<Threads>(name, at_once);
  }
  std::shared_ptr<EventLoop::Timer::State> StartTimer(Duration delay, Duration period,
                                                      std::function<void()> fn) override {
    auto timer = std::make_shared<AsioTimer>(context_, period, std::move(fn));
    timer->Arm(delay);
    return timer;
  }
  std::unique_ptr<EventLoop::Watch> WatchReadable(int fd, std::function<void()> fn) override {
    return std::make_unique<FdWatch>(context_, fd, std::move(fn));
  }
  asio::io_context& context() { return context_; }

 private:
  asio::io_context context_{1};
  SystemClock clock_;
  SystemEntropy entropy_;
  const std::unique_ptr<Network> network_ = SocketNetwork();
  std::atomic<std::thread::id> thread_{};
  // Loop's thread only.
  std::vector<std::function<void()>> tick_end_;
  bool stopping_ = false;
  bool now_known_ = false;
  MonoTime now_{};
};

}  // namespace

asio::io_context& AsioContext(EventLoop& loop) { return static_cast<AsioLoop&>(loop.impl()).context(); }

std::shared_ptr<EventLoop::Impl> MakeAsioLoop() { return std::make_shared<AsioLoop>(); }

}  // namespace kfs
