#include "rpc/event_loop.h"

#include <pthread.h>

#include <cassert>
#include <future>
#include <thread>

#include "rpc/asio_loop.h"
#include "rpc/event_loop_impl.h"
#include "rpc/workers.h"

namespace kfs {

EventLoop::EventLoop() : EventLoop(MakeAsioLoop()) {}
EventLoop::EventLoop(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventLoop::~EventLoop() = default;

void EventLoop::Run() { impl_->Run(); }
void EventLoop::Stop() { impl_->Stop(); }
void EventLoop::Post(std::function<void()> fn) { impl_->Post(std::move(fn)); }
void EventLoop::AtTickEnd(std::function<void()> fn) { impl_->AtTickEnd(std::move(fn)); }
bool EventLoop::InLoopThread() const { return impl_->InLoopThread(); }
MonoTime EventLoop::Now() { return impl_->Now(); }
Clock& EventLoop::clock() { return impl_->clock(); }
Entropy& EventLoop::entropy() { return impl_->entropy(); }
Network& EventLoop::network() { return impl_->network(); }
std::string EventLoop::HostName() { return impl_->HostName(); }
uint64_t EventLoop::ResidentBytes() { return impl_->ResidentBytes(); }

std::unique_ptr<Workers> EventLoop::StartWorkers(const char* name, int at_once) {
  return impl_->StartWorkers(name, at_once);
}

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
  if (state_ != nullptr) std::exchange(state_, nullptr)->Cancel();
}

bool EventLoop::Timer::active() const { return state_ != nullptr && state_->active(); }

EventLoop::Timer EventLoop::RunAfter(Duration delay, std::function<void()> fn) {
  Timer timer;
  timer.state_ = impl_->StartTimer(delay, Duration::zero(), std::move(fn));
  return timer;
}

EventLoop::Timer EventLoop::RunEvery(Duration period, std::function<void()> fn) {
  assert(period > Duration::zero());
  Timer timer;
  timer.state_ = impl_->StartTimer(period, period, std::move(fn));
  return timer;
}

std::unique_ptr<EventLoop::Watch> EventLoop::WatchReadable(int fd, std::function<void()> fn) {
  return impl_->WatchReadable(fd, std::move(fn));
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
