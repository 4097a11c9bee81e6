#include "metaserver/hosting/settled.h"

#include <memory>
#include <utility>

namespace kfs::meta {

void AnswerWhenSettled(EventLoop& loop, VolumeHost& volumes, std::function<void()> answer) {
  constexpr auto kPatience = std::chrono::seconds(2);
  auto once = std::make_shared<std::function<void()>>(std::move(answer));
  auto timer = std::make_shared<EventLoop::Timer>();
  const auto tell = [once, timer] {
    if (auto fn = std::exchange(*once, nullptr)) fn();
  };
  *timer = loop.RunAfter(kPatience, tell);
  volumes.WhenSettled([tell, timer] {
    timer->Cancel();
    tell();
  });
}

}  // namespace kfs::meta
