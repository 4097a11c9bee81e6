#include "rpc/job_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <vector>

namespace kfs {
namespace {

class JobThreadTest : public testing::Test {
 protected:
  std::function<void(std::function<void()>)> Post() {
    return [this](std::function<void()> fn) {
      std::lock_guard lock(mutex_);
      posted_.push_back(std::move(fn));
      came_.notify_all();
    };
  }
  // What came back from the thread, on this one.
  void RunPosted(size_t n) {
    for (; n > 0; --n) {
      std::unique_lock lock(mutex_);
      came_.wait(lock, [this] { return !posted_.empty(); });
      auto fn = std::move(posted_.front());
      posted_.pop_front();
      lock.unlock();
      fn();
    }
  }
  std::function<void(const Status&)> Note(int job) {
    return [this, job](const Status& s) { ended_.emplace_back(job, s.err()); };
  }

  EventLoop loop_;  // where threads come from; it does not run
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> posted_;
  std::vector<std::pair<int, int>> ended_;  // job, errno
};

TEST_F(JobThreadTest, OneJobRunsAfterAnotherAndTheirOutcomesComeInOrder) {
  JobThread jobs(Post(), loop_.StartWorkers("test", 1));
  std::vector<int> ran;  // the thread's
  for (int i = 0; i < 3; ++i) {
    jobs.Do(
        nullptr,
        [&ran, i] {
          ran.push_back(i);
          return i == 1 ? Status(EIO, "no") : Status();
        },
        Note(i));
  }
  RunPosted(3);
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(ended_, (std::vector<std::pair<int, int>>{{0, 0}, {1, EIO}, {2, 0}}));
}

TEST_F(JobThreadTest, WhatIsForgottenIsNotUsedAnyMore) {
  JobThread jobs(Post(), loop_.StartWorkers("test", 1));
  int database = 0, other = 0;
  std::promise<void> begun, go_on;
  jobs.Do(
      &database,
      [&] {
        begun.set_value();
        go_on.get_future().wait();
        ++database;
        return Status();
      },
      Note(0));
  jobs.Do(
      &other, [] { return Status(); }, Note(1));
  jobs.Do(
      &database,
      [&] {
        ++database;
        return Status();
      },
      Note(2));
  begun.get_future().wait();
  auto forgotten = std::async(std::launch::async, [&] {
    jobs.Forget(&database);
    return database;
  });
  RunPosted(1);  // the one that waited
  EXPECT_EQ(ended_, (std::vector<std::pair<int, int>>{{2, ECANCELED}}));
  go_on.set_value();
  EXPECT_EQ(forgotten.get(), 1);
  RunPosted(2);
  EXPECT_EQ(ended_, (std::vector<std::pair<int, int>>{{2, ECANCELED}, {0, 0}, {1, 0}}));
}

TEST_F(JobThreadTest, SeveralRunAtOnceWhereThatIsWanted) {
  JobThread jobs(Post(), loop_.StartWorkers("test", 2));
  std::promise<void> first, second;
  jobs.Do(
      nullptr,
      [&] {
        first.set_value();
        second.get_future().wait();
        return Status();
      },
      Note(0));
  jobs.Do(
      nullptr,
      [&] {
        first.get_future().wait();
        second.set_value();
        return Status();
      },
      Note(1));
  RunPosted(2);
  EXPECT_EQ(ended_.size(), 2u);
}

}  // namespace
}  // namespace kfs
