#include "rpc/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace kfs {
namespace {

TEST(EventLoop, PostedFunctionsRunInOrder) {
  std::vector<int> seen;
  {
    LoopThread thread("test");
    for (int i = 0; i < 100; ++i) thread.loop().Post([&seen, i] { seen.push_back(i); });
  }
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

// The thread sanitizer's: who posts the function that ends the loop may be within Post still.
TEST(EventLoop, MayEndByWhatIsPosted) {
  for (int i = 0; i < 300; ++i) {
    auto* const thread = new LoopThread("test");
    std::promise<void> ended;
    thread->loop().Post([&ended, thread] {
      std::thread([&ended, thread] {
        delete thread;
        ended.set_value();
      }).detach();
    });
    ended.get_future().wait();
  }
}

TEST(EventLoop, TickEndRunsOnceAfterAllThatIsReady) {
  LoopThread thread("test");
  std::promise<std::vector<std::string>> result;
  auto log = std::make_shared<std::vector<std::string>>();
  auto& loop = thread.loop();
  loop.Post([&loop, log, &result] {
    loop.AtTickEnd([log, &result] {
      log->push_back("end");
      result.set_value(*log);
    });
    loop.Post([log] { log->push_back("b"); });
    log->push_back("a");
  });
  EXPECT_EQ(result.get_future().get(), (std::vector<std::string>{"a", "b", "end"}));
}

TEST(EventLoop, PeriodicTimerCanCancelItself) {
  LoopThread thread("test");
  auto& loop = thread.loop();
  std::promise<int> done;
  EventLoop::Timer timer;
  int runs = 0;
  loop.Post([&] {
    timer = loop.RunEvery(std::chrono::milliseconds(1), [&] {
      if (++runs == 3) {
        timer.Cancel();
        loop.Post([&] { done.set_value(runs); });
      }
    });
  });
  EXPECT_EQ(done.get_future().get(), 3);
  EXPECT_FALSE(timer.active());
}

TEST(EventLoop, CancelledTimerDoesNotRun) {
  LoopThread thread("test");
  auto& loop = thread.loop();
  std::promise<void> later;
  bool ran = false;
  EventLoop::Timer a, b;
  loop.Post([&] {
    a = loop.RunAfter(std::chrono::milliseconds(5), [&] { ran = true; });
    b = loop.RunAfter(std::chrono::milliseconds(20), [&] { later.set_value(); });
    a.Cancel();
  });
  later.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(EventLoop, WatchTellsAgainWhileTheDescriptorIsReadable) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::promise<int> done;
  {
    LoopThread thread("test");
    std::unique_ptr<EventLoop::Watch> watch;
    int told = 0;
    thread.loop().Post([&] {
      watch = thread.loop().WatchReadable(fd, [&] {
        if (++told < 3) return;  // not read: still readable
        watch.reset();
        done.set_value(told);
      });
    });
    eventfd_write(fd, 1);
    EXPECT_EQ(done.get_future().get(), 3);
  }
  close(fd);
}

}  // namespace
}  // namespace kfs
