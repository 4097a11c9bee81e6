// Work that ends later, perhaps after whoever has asked for it: what it calls then asks first whether that
// one is still there. For the thread that owns both.
//
//   jobs_.Do(work, lifetime_.While([this](const Status& s) { ... }));   // not run when `this` has gone
//
// A member of the class whose methods are guarded, and its last one: it ends before what they use.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace kfs {

class Lifetime {
 public:
  Lifetime() = default;
  ~Lifetime() { End(); }
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  // `fn`, as long as this lasts; afterwards nothing is done. What it returns is dropped.
  template <typename Fn>
  auto While(Fn fn) const {
    return Guarded<Fn>{alive_, std::move(fn)};
  }

  // Whoever is asked to stop does not wait for its destructor. May be called again.
  void End() { *alive_ = false; }
  bool ended() const { return !*alive_; }

  // For what has something to do in either case, such as an answer that somebody waits for.
  class Watch {
   public:
    bool ended() const { return !*alive_; }

   private:
    friend class Lifetime;
    explicit Watch(std::shared_ptr<const bool> alive) : alive_(std::move(alive)) {}
    std::shared_ptr<const bool> alive_;
  };
  Watch watch() const { return Watch(alive_); }

 private:
  template <typename Fn>
  struct Guarded {
    std::shared_ptr<const bool> alive;
    Fn fn;
    template <typename... Args>
    requires std::is_invocable_v<const Fn&, Args...>
    void operator()(Args&&... args) const {
      if (*alive) fn(std::forward<Args>(args)...);
    }
    template <typename... Args>
    requires(std::is_invocable_v<Fn&, Args...> && !std::is_invocable_v<const Fn&, Args...>) void operator()(
        Args&&... args) {
      if (*alive) fn(std::forward<Args>(args)...);
    }
  };

  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs
