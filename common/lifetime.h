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

  // `fn`, which returns nothing, as long as this lasts; afterwards nothing.
  template <typename Fn>
  auto While(Fn fn) const {
    return [ alive = alive_, fn = std::move(fn) ]<typename... Args>(
        Args && ... args) mutable requires std::is_invocable_r_v<void, Fn&, Args...> {
      if (*alive) fn(std::forward<Args>(args)...);
    };
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
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kfs
