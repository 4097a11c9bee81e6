#include "metaserver/chunks/mutations.h"

#include <algorithm>

#include "common/log.h"
#include "common/reached.h"
#include "metaserver/chunks/believed.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {

Mutations::Mutations(VolumeId volume, uint64_t chunk_size, VolumeStore& store, Chunkservers& servers,
                     ChunkJobsEnv& env)
    : volume_(volume), chunk_size_(chunk_size), store_(store), servers_(servers), env_(env) {}

Mutations::~Mutations() { lifetime_.End(); }

Status Mutations::Load() {
  // Keys are ordered by chunk and version: the order in which they must be applied.
  store_.Scan("M", "", [&](std::string_view, std::string_view value) {
    rec::Mutation m;
    if (m.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      ChunkId chunk(m.chunk());
      chunks_[chunk].todo.push_back(std::move(m));
      ++count_;
    }
    return true;
  });
  return store_.db().TakeReadError();
}

void Mutations::Add(rec::Mutation mutation) {
  ChunkId chunk(mutation.chunk());
  Queue& queue = chunks_[chunk];
  queue.todo.push_back(std::move(mutation));
  ++count_;
  fresh_.push_back(chunk);
}

void Mutations::Flush() {
  std::vector<ChunkId> fresh;
  fresh.swap(fresh_);
  for (ChunkId chunk : fresh) {
    auto it = chunks_.find(chunk);
    if (it != chunks_.end()) SendFirst(chunk, it->second);
  }
}

void Mutations::Forget(ChunkId chunk) {
  short_.erase(chunk);
  auto it = chunks_.find(chunk);
  if (it == chunks_.end()) return;
  for (const rec::Mutation& m : it->second.todo) store_.db().Delete(MutationKey(chunk, ChunkVersion(m.to())));
  count_ -= it->second.todo.size();
  std::vector<ParkedPtr> waiters = it->second.waiters.Take();
  chunks_.erase(it);
  for (ParkedPtr& w : waiters) env_.Rerun(std::move(w));
}

void Mutations::Kick() {
  fresh_.clear();
  std::vector<ParkedPtr> in_vain;
  for (auto& [chunk, queue] : chunks_) {
    if (!queue.sent) fresh_.push_back(chunk);
    if (queue.waiters.empty() || Gone(chunk) == 0) continue;
    const std::vector<ParkedPtr> waiters = queue.waiters.Take();
    in_vain.insert(in_vain.end(), waiters.begin(), waiters.end());
  }
  for (ParkedPtr& w : in_vain) env_.Rerun(std::move(w));
  // Sent at the tick's end, after the commit: an intent must be in the log before anyone acts on it.
  if (!fresh_.empty()) env_.Changed();
}

uint64_t Mutations::Gone(ChunkId chunk) const {
  const auto it = chunks_.find(chunk);
  if (it == chunks_.end() || it->second.todo.empty()) return 0;
  const uint64_t server = it->second.todo.front().server(0);
  return servers_.Find(ServerId(server)) == nullptr ? server : 0;
}

bool Mutations::MayMoveTo(ChunkId chunk, ChunkVersion held) const {
  const auto it = chunks_.find(chunk);
  return it != chunks_.end() && held.v >= it->second.todo.front().from();
}

void Mutations::MoveTo(ChunkId chunk, ServerId server) {
  Queue& queue = chunks_.at(chunk);
  for (rec::Mutation& m : queue.todo) {
    m.clear_server();
    m.add_server(server.v);
    store_.db().Put(MutationKey(chunk, ChunkVersion(m.to())), m.SerializeAsString());
  }
  queue.sent = false;  // an answer of the former one does not count
  fresh_.push_back(chunk);
  env_.Changed();
}

void Mutations::SendFirst(ChunkId chunk, Queue& queue) {
  if (queue.sent || queue.todo.empty()) return;
  const rec::Mutation& m = queue.todo.front();
  ServerId server(m.server(0));
  if (!servers_.IsUp(server)) return;
  pb::MutateChunkRequest request;
  request.set_volume(volume_.v);
  request.set_chunk(chunk.v);
  request.set_from(m.from());
  request.set_to(m.to());
  request.set_existing(Written(chunk));
  bool cuts = false;  // takes away something that was committed
  for (const rec::Step& s : m.step()) {
    cuts |= request.existing() && s.kind() != pb::ChunkStep::ALLOCATE && !s.behind_end();
    pb::ChunkStep* step = request.add_step();
    step->set_kind(static_cast<pb::ChunkStep::Kind>(s.kind()));
    step->set_offset(s.offset());
    step->set_length(s.length());
  }
  queue.sent = true;
  auto send = lifetime_.While([this, chunk, server, request] { Send(chunk, server, request); });
  // Were the power to fail before the log is synced, the file would come back as it was, without what was cut.
  if (cuts) return env_.AfterSync(std::move(send));
  env_.WhenLogged(std::move(send));
}

void Mutations::Send(ChunkId chunk, ServerId server, const pb::MutateChunkRequest& request) {
  // One replica after the other: a mutation is short, and replicas are few.
  servers_.Request(server, Op::kMutateChunk, request,
                   lifetime_.While([this, chunk, to = request.to(), server](const Status& status,
                                                                            const std::string& body) {
                     Answered(chunk, to, server, status, body);
                   }));
}

bool Mutations::Written(ChunkId chunk) const {
  const std::optional<std::string> owner_value = store_.db().Get(OwnerKey(chunk));
  rec::ChunkOwner owner;
  if (!owner_value || !owner.ParseFromString(*owner_value)) return false;
  const std::optional<std::string> value = store_.db().Get(ChunkKey(Ino(owner.ino()), owner.index()));
  rec::Chunk record;
  return value && record.ParseFromString(*value) && record.chunk() == chunk.v && record.written();
}

void Mutations::Answered(ChunkId chunk, uint64_t to, ServerId server, const Status& status,
                         const std::string& body) {
  auto it = chunks_.find(chunk);
  if (it == chunks_.end() || it->second.todo.empty() || it->second.todo.front().to() != to) return;
  Queue& queue = it->second;
  if (queue.todo.front().server(0) != server.v) return;
  queue.sent = false;
  if (!status.ok()) {
    KFS_REACHED("mutation.failed");
    KFS_LOG(warn, "mutation.failed volume={} chunk={} to={} server={} error=\"{}\" next=retry", volume_.v,
            chunk.v, to, server.v, status.ToString());
    return;  // Kick tries again
  }
  pb::MutateChunkReply reply;
  if (reply.ParseFromString(body)) NoteAllocated(chunk, to, reply.allocated());
  if (reply.no_space()) {
    short_.insert(chunk);
  } else {
    short_.erase(chunk);
  }
  rec::Mutation& m = queue.todo.front();
  m.mutable_server()->erase(m.server().begin());
  if (m.server_size() > 0) {
    store_.db().Put(MutationKey(chunk, ChunkVersion(to)), m.SerializeAsString());
    env_.Changed();
    return SendFirst(chunk, queue);
  }
  store_.db().Delete(MutationKey(chunk, ChunkVersion(to)));
  queue.todo.pop_front();
  --count_;
  env_.Changed();
  if (!queue.todo.empty()) {
    fresh_.push_back(chunk);  // it may have been queued in this very tick: after the commit
    return;
  }
  std::vector<ParkedPtr> waiters = queue.waiters.Take();
  chunks_.erase(it);
  for (ParkedPtr& w : waiters) env_.Rerun(std::move(w));
}

void Mutations::NoteAllocated(ChunkId chunk, uint64_t version, uint64_t allocated) {
  const auto note = [this, chunk, version, allocated = BelievedAllocated(allocated, chunk_size_)](Txn& txn) {
    std::optional<std::string> owner_value = txn.Get(OwnerKey(chunk));
    rec::ChunkOwner owner;
    if (!owner_value || !owner.ParseFromString(*owner_value)) return Status();
    const Ino ino(owner.ino());
    const Key key = ChunkKey(ino, owner.index());
    std::optional<std::string> value = txn.Get(key);
    rec::Chunk record;
    if (!value || !record.ParseFromString(*value) || record.chunk() != chunk.v ||
        record.version() != version || record.allocated() == allocated || txn.Find(ino) == nullptr)
      return Status();
    rec::Inode* inode = txn.Edit(ino);
    inode->set_allocated(inode->allocated() - record.allocated() + allocated);
    txn.CountBytes(static_cast<int64_t>(allocated) - static_cast<int64_t>(record.allocated()));
    record.set_allocated_version(version);
    record.set_allocated(allocated);
    txn.Put(key, record.SerializeAsString());
    return Status();
  };
  // What cannot be read now is counted with the next mutation or write.
  (void)env_.Change(note, [this, chunk, version, allocated] { NoteAllocated(chunk, version, allocated); });
}

size_t Mutations::CountOf(ServerId server) const {
  size_t n = 0;
  for (const auto& [chunk, queue] : chunks_) {
    for (const rec::Mutation& m : queue.todo) n += std::count(m.server().begin(), m.server().end(), server.v);
  }
  return n;
}

}  // namespace kfs::meta
