// Whatever takes longer than a second says what it waits for: one line on stderr, the same for all commands.
// One thread.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <string>

#include "common/clock.h"

namespace kfs::cli {

// From the first wait on a second passes before anything is said; the same words are said once, others as
// they come, so that long work can tell how far it is.
class Waiting {
 public:
  static constexpr auto kSayAfter = std::chrono::seconds(1);

  // `words` follow "kfs: waiting for ".
  template <typename T>
  T For(std::future<T> future, const std::function<std::string()>& words) {
    if (future.wait_until(began_ + kSayAfter) == std::future_status::timeout) Say(words());
    return future.get();
  }
  // Between two looks of whoever asks again and again.
  void Look(const std::string& words) {
    if (std::chrono::steady_clock::now() - began_ >= kSayAfter) Say(words);
  }

 private:
  void Say(const std::string& words);

  const MonoTime began_ = std::chrono::steady_clock::now();
  std::string said_;
};

// How far long work is, on stderr: a line that is written over where that is a terminal, and elsewhere a line
// every ten seconds. Nothing for work that takes less than a second.
class Progress {
 public:
  explicit Progress(std::string what) : what_(std::move(what)) {}
  ~Progress();
  void Tell(const std::string& how_far);

 private:
  const std::string what_;
  const MonoTime began_ = std::chrono::steady_clock::now();
  MonoTime told_{};
  bool open_line_ = false;
};

}  // namespace kfs::cli
