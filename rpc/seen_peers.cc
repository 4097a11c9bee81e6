#include "rpc/seen_peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/durable_file.h"
#include "common/log.h"

namespace kfs {
namespace {

constexpr size_t kFileMax = 1 << 20;  // kKeptMax lines are at most half of it

std::string NameOfPeer(pb::HelloRequest::Role role, const std::string& id) {
  return fmt::format("{}|{}", static_cast<int>(role), id);
}

bool StaysInFile(pb::HelloRequest::Role role) {
  return role == pb::HelloRequest::METASERVER || role == pb::HelloRequest::CHUNKSERVER;
}

// An id is the peer's own word: one that could be taken for something else in the file is kept in memory
// only.
bool IsPlain(const std::string& id) {
  return !id.empty() && id.size() <= 64 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '|'; });
}

}  // namespace

SeenPeers::SeenPeers(std::string path, FileOps& files) : path_(std::move(path)), files_(&files) {
  if (!path_.empty()) Load();
}

void SeenPeers::Load() {
  std::string text;
  if (const int err = files_->ReadFile(path_, kFileMax, &text); err < 0) {
    if (err != -ENOENT) KFS_LOG(warn, "link.seen_unreadable path={} reason=\"{}\"", path_, ErrnoText(-err));
    return;
  }
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line) && seen_.size() < kKeptMax) {
    const size_t last = line.rfind('|');
    const size_t before = last == std::string::npos || last == 0 ? last : line.rfind('|', last - 1);
    if (before == std::string::npos || before == 0) continue;
    Seen seen{.tls = line[before + 1] == '1', .generation = 0};
    for (const char c : line.substr(last + 1, 6)) {
      if (c >= '0' && c <= '9') seen.generation = seen.generation * 10 + static_cast<uint32_t>(c - '0');
    }
    seen_[line.substr(0, before)] = seen;
  }
}

void SeenPeers::Save() const {
  std::string text;
  size_t lines = 0;
  for (const auto& [name, seen] : seen_) {
    const auto role = static_cast<pb::HelloRequest::Role>(name.front() - '0');
    if (!StaysInFile(role) || !IsPlain(name.substr(2)) || ++lines > kKeptMax) continue;
    text += fmt::format("{}|{}|{}\n", name, seen.tls ? 1 : 0, seen.generation);
  }
  if (const Status s = ReplaceDurably(*files_, path_, text); !s.ok())
    KFS_LOG(warn, "link.seen_not_kept path={} reason=\"{}\"", path_, s.ToString());
}

SeenPeers::Seen SeenPeers::Of(pb::HelloRequest::Role role, const std::string& id) const {
  const auto it = seen_.find(NameOfPeer(role, id));
  return it == seen_.end() ? Seen{} : it->second;
}

void SeenPeers::Remember(pb::HelloRequest::Role role, const std::string& id, const Seen& seen) {
  if (id.empty()) return;
  const std::string name = NameOfPeer(role, id);
  const auto it = seen_.find(name);
  if (it == seen_.end() && seen_.size() >= kMax) return;
  const Seen before = it == seen_.end() ? Seen{} : it->second;
  const Seen now{.tls = before.tls || seen.tls, .generation = std::max(before.generation, seen.generation)};
  if (now == before) return;
  seen_[name] = now;
  if (!path_.empty() && StaysInFile(role) && IsPlain(id)) Save();
}

}  // namespace kfs
