#include "rpc/event_loop.h"

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cassert>
#include <future>

#include "rpc/event_loop_impl.h"
#include "rpc/stall.h"

namespace kfs {

namespace asio = boost::asio;

namespace {

// Handlers of one tick, and their time.
constexpr int kReadyMax = 1024;
constexpr auto kReadyTime = std::chrono::milliseconds(2);

}  // namespace

EventLoop::EventLoop() : impl_(std::make_shared<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() {
  auto guard = asio::make_work_guard(impl_->context);
  impl_->thread = std::this_thread::get_id();
  impl_->stopping = false;
  std::vector<std::function<void()>> round;
  while (!impl_->stopping) {
    impl_->context.run_one();
    // A flood of ready handlers must not put off the answers for ever.
    const MonoTime until = std::chrono::steady_clock::now() + kReadyTime;
    for (int i = 0; i < kReadyMax && impl_->context.poll_one() != 0; ++i) {
      if (std::chrono::steady_clock::now() > until) break;
    }
    while (!impl_->tick_end.empty()) {
      round.swap(impl_->tick_end);
      for (auto& fn : round) fn();
      round.clear();
    }
    TickEnds();
  }
}

void EventLoop::Stop() {
  Post([this] { impl_->stopping = true; });
}

void EventLoop::Post(std::function<void()> fn) {
  asio::post(impl_->context, [fn = std::move(fn)] {
    TickBegins();
    fn();
  });
}

void EventLoop::AtTickEnd(std::function<void()> fn) { impl_->tick_end.push_back(std::move(fn)); }

bool EventLoop::InLoopThread() const { return impl_->thread == std::this_thread::get_id(); }

struct EventLoop::Timer::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, Duration period_, std::function<void()> fn_)
      : timer(context), period(period_), fn(std::move(fn_)) {}

  void Arm(Duration delay) {
    timer.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(delay));
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || !self->active) return;
      TickBegins();
      if (self->period == Duration::zero()) {
        self->active = false;
        auto fn = std::move(self->fn);
        fn();
        return;
      }
      // A copy: the function may cancel its own timer.
      auto fn = self->fn;
      self->Arm(self->period);
      fn();
    });
  }

  asio::steady_timer timer;
  const Duration period;  // zero: one shot
  std::function<void()> fn;
  bool active = true;
};

EventLoop::Timer::Timer(Timer&&) noexcept = default;

EventLoop::Timer& EventLoop::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    Cancel();
    state_ = std::move(other.state_);
  }
  return *this;
}

EventLoop::Timer::~Timer() { Cancel(); }

void EventLoop::Timer::Cancel() {
  if (state_ == nullptr) return;
  state_->active = false;
  state_->fn = nullptr;
  state_->timer.cancel();
  state_.reset();
}

bool EventLoop::Timer::active() const { return state_ != nullptr && state_->active; }

EventLoop::Timer EventLoop::RunAfter(Duration delay, std::function<void()> fn) {
  Timer timer;
  timer.state_ = std::make_shared<Timer::State>(impl_->context, Duration::zero(), std::move(fn));
  timer.state_->Arm(delay);
  return timer;
}

EventLoop::Timer EventLoop::RunEvery(Duration period, std::function<void()> fn) {
  assert(period > Duration::zero());
  Timer timer;
  timer.state_ = std::make_shared<Timer::State>(impl_->context, period, std::move(fn));
  timer.state_->Arm(period);
  return timer;
}

namespace {

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

}  // namespace

std::unique_ptr<EventLoop::Watch> EventLoop::WatchReadable(int fd, std::function<void()> fn) {
  return std::make_unique<FdWatch>(impl_->context, fd, std::move(fn));
}

struct LoopThread::Impl {
  EventLoop loop;
  std::thread thread;
};

LoopThread::LoopThread(const char* name) : impl_(std::make_unique<Impl>()) {
  std::promise<void> started;
  impl_->thread = std::thread([this, name, &started] {
    pthread_setname_np(pthread_self(), name);
    impl_->loop.Post([&started] { started.set_value(); });
    impl_->loop.Run();
  });
  started.get_future().wait();
}

LoopThread::~LoopThread() {
  impl_->loop.Stop();
  impl_->thread.join();
}

EventLoop& LoopThread::loop() { return impl_->loop; }

}  // namespace kfs
