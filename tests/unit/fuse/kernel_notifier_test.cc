#include "fuse/kernel_notifier.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <set>

#include "tests/unit/rpc/on_loop.h"

namespace kfs::fuse {
namespace {

// A kernel that does not answer for some inodes before it is let.
class KernelNotifierTest : public testing::Test {
 protected:
  void SetUp() override {
    OnLoop(loop(), [this] {
      notifier_ = std::make_unique<KernelNotifier>(loop(), [this](Ino ino) {
        std::unique_lock lock(mutex_);
        ++asked_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !held_.contains(ino.v); });
      });
    });
  }
  void TearDown() override {
    LetGo();
    OnLoop(loop(), [this] { notifier_.reset(); });
  }
  EventLoop& loop() { return thread_.loop(); }
  void Hold(uint64_t ino) {
    std::lock_guard lock(mutex_);
    held_.insert(ino);
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    held_.clear();
    changed_.notify_all();
  }
  void AwaitAsked(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ >= count; });
  }
  size_t asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  std::future<void> Drop(uint64_t ino) {
    auto promise = std::make_shared<std::promise<void>>();
    OnLoop(loop(), [&] { notifier_->DropPages(Ino(ino), [promise] { promise->set_value(); }); });
    return promise->get_future();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint64_t> held_;
  size_t asked_ = 0;
  LoopThread thread_{"test"};
  std::unique_ptr<KernelNotifier> notifier_;
};

TEST_F(KernelNotifierTest, OneThatIsNotAnsweredHoldsUpNoOther) {
  Hold(1);
  std::future<void> held = Drop(1);
  AwaitAsked(1);
  for (uint64_t ino = 2; ino < 50; ++ino) Drop(ino).wait();
  EXPECT_EQ(held.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  LetGo();
  held.wait();
}

TEST_F(KernelNotifierTest, SoManyAreAskedAtOnceAndNoMore) {
  std::vector<std::future<void>> held;
  for (uint64_t ino = 1; ino <= KernelNotifier::kAtOnce + 3; ++ino) {
    Hold(ino);
    held.push_back(Drop(ino));
  }
  AwaitAsked(KernelNotifier::kAtOnce);
  EXPECT_EQ(asked(), KernelNotifier::kAtOnce);
  LetGo();
  for (std::future<void>& f : held) f.wait();
}

}  // namespace
}  // namespace kfs::fuse
