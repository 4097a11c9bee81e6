// The process ends when the threads of all tests have. A client that goes on its own thread leaves it to end
// by itself; what such a thread still holds while the process exits (OpenSSL's random state) a leak checker
// takes for lost.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

namespace kfs {
namespace {

class ThreadsEnd : public testing::Environment {
  void SetUp() override {
    std::thread([] {}).join();  // with the first one ThreadSanitizer begins one of its own
    before_ = Threads();
  }
  void TearDown() override {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (Threads() > before_ && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_LE(Threads(), before_) << "threads outlive the clients that they belonged to";
  }
  static long Threads() {
    const std::filesystem::directory_iterator all("/proc/self/task");
    return std::distance(begin(all), end(all));
  }
  long before_ = 0;
};

const auto* const kThreadsEnd = testing::AddGlobalTestEnvironment(new ThreadsEnd);

}  // namespace
}  // namespace kfs
