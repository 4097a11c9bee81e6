#include "client/settling.h"

#include <utility>

#include "client/protocol_worker.h"
#include "client/remote_call.h"
#include "common/limits.h"
#include "common/log.h"
#include "proto/op_types.h"

namespace kfs {

void Settling::Begin(Ino ino, const std::vector<pb::GivenUpChunk>& chunks) {
  if (chunks.empty() || stopped_) return;
  auto& inode = inodes_[ino];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  inode->todo.insert(inode->todo.end(), chunks.begin(), chunks.end());
  worker_.layouts().Drop(ino);
  if (!inode->asking) Ask(ino);
}

bool Settling::HoldBack(Ino ino, std::function<void()> fn) {
  auto it = inodes_.find(ino);
  if (it == inodes_.end()) return false;
  it->second->held.push_back(std::move(fn));
  return true;
}

void Settling::Ask(Ino ino) {
  Inode& inode = *inodes_.at(ino);
  inode.asking = true;
  pb::GiveUpWriteRequest request;
  request.set_ino(ino.v);
  std::vector<pb::GivenUpChunk> asked;
  while (!inode.todo.empty() && asked.size() < kGivenUpMax) {
    *request.add_given_up() = inode.todo.back();
    asked.push_back(inode.todo.back());
    inode.todo.pop_back();
  }
  RemoteCall::Meta<rpc::GiveUpWrite>(
      worker_, nullptr, std::move(request),
      [this, ino, asked = std::move(asked), worker = worker_.shared_from_this()](
          const Status& status, pb::Empty&) { Answered(ino, status, asked); });
}

void Settling::Answered(Ino ino, const Status& status, std::vector<pb::GivenUpChunk> asked) {
  auto it = inodes_.find(ino);
  if (stopped_ || it == inodes_.end()) return;
  const std::shared_ptr<Inode> inode = it->second;
  inode->asking = false;
  // Not open (any more), or gone: then it went with the session, whose tickets count no more, or with the
  // file.
  const int err = status.err();
  const bool settled = status.ok() || err == EBADF || err == EACCES || err == ESTALE;
  if (!settled) {
    KFS_LOG(warn, "client.write_not_given_up ino={} error=\"{}\" next=retry", ino.v, status.ToString());
    inode->todo.insert(inode->todo.end(), asked.begin(), asked.end());
    inode->asking = true;
    inode->retry = worker_.loop().RunAfter(kRetryPause, [this, ino] { Ask(ino); });
    return;
  }
  if (!inode->todo.empty()) return Ask(ino);
  inodes_.erase(it);
  // What one of them begins holds back the rest.
  while (!inode->held.empty()) {
    auto fn = std::move(inode->held.front());
    inode->held.pop_front();
    if (!HoldBack(ino, fn)) fn();
  }
  if (idle() && on_idle_) std::exchange(on_idle_, nullptr)();
}

void Settling::Stop() {
  stopped_ = true;
  inodes_.clear();
  on_idle_ = nullptr;
}

}  // namespace kfs
