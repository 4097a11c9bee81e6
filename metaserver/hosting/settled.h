// Answers to changes of the configuration, given when what they have brought about here is done.
#pragma once

#include <functional>

#include "metaserver/hosting/volume_host.h"

namespace kfs::meta {

// Whoever has been told that a volume was made or started finds it open, and its files at rest when it was
// stopped; but for what takes longer than two seconds, as a long log does.
void AnswerWhenSettled(EventLoop& loop, VolumeHost& volumes, std::function<void()> answer);

}  // namespace kfs::meta
