#include "tests/unit/client/fake_cluster.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

namespace kfs::test {

FakeCluster::FakeCluster(size_t count, size_t metaservers)
    : thread_(std::make_unique<LoopThread>("fake-cluster")) {
  inodes[1].attr.set_ino(1);
  inodes[1].attr.set_mode(S_IFDIR | 0755);
  On([&] {
    metas_.resize(metaservers);
    addresses_.assign(metaservers, "127.0.0.1:0");
    for (size_t i = 0; i < metaservers; ++i) StartMeta(i);
    ServerIdentity identity{
        .role = pb::HelloRequest::CHUNKSERVER, .cluster_id = "fake", .keyring = RootKeyring(kSecret)};
    chunkservers.resize(count);
    for (FakeChunkserver& s : chunkservers) {
      s.server = std::make_unique<Server>(thread_->loop(), identity);
      ServeChunks(s);
      ASSERT_TRUE(s.server->Listen("127.0.0.1:0").ok());
    }
  });
}

FakeCluster::~FakeCluster() {
  On([&] {
    intercept = nullptr;
    swallow_answer = nullptr;
    for (auto& s : chunkservers) s.intercept = nullptr;
    for (size_t i = 0; i < metas_.size(); ++i) StopMeta(i);
    for (auto& s : chunkservers) {
      if (s.server == nullptr) continue;
      s.server->Stop();
      s.server.reset();
    }
  });
}

KfsClient::Options FakeCluster::ClientOptions() {
  KfsClient::Options o;
  o.metaservers = {addresses_[0]};
  o.volume = "data";
  o.credentials = Credentials::Root(kSecret);
  return o;
}

std::unique_ptr<KfsClient> FakeCluster::Client(KfsClient::Options options) {
  auto client = KfsClient::Connect(options);
  EXPECT_TRUE(client.ok()) << client.status().ToString();
  return client.ok() ? std::move(*client) : nullptr;
}

void FakeCluster::Until(const std::function<bool()>& fn) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!On(fn)) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "the condition did not come true";
    std::this_thread::yield();
  }
}

void FakeCluster::StartMeta(size_t i) {
  metas_[i] = std::make_unique<Server>(thread_->loop(), ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                                       .cluster_id = "fake",
                                                                       .keyring = RootKeyring(kSecret)});
  meta_ = metas_[i].get();
  at_ = i;
  ServeSessions();
  ServeNames();
  ServeFiles();
  ServeLocks();
  ASSERT_TRUE(meta_->Listen(addresses_[i]).ok());
  addresses_[i] = meta_->address();
}

void FakeCluster::StopMeta(size_t i) {
  if (metas_[i] == nullptr) return;
  metas_[i]->Stop();
  metas_[i].reset();
}

void FakeCluster::DropConnections() {
  for (const auto& meta : metas_) {
    if (meta == nullptr) continue;
    const auto connections = meta->connections();
    for (const auto& c : connections) c->Close(Status(ECONNRESET, "dropped by the test"));
  }
}

bool FakeCluster::MayServe(const IncomingCallPtr& call, size_t at) {
  if (without_volume.contains(at)) {
    call->Fail(Status(ENOENT, "no volume \"data\""));
  } else if (stopped) {
    call->Fail(Status(ESHUTDOWN, Code::kStopped,
                      "volume \"data\" is stopped: start it with 'kfs volume start data'"));
  } else if (at != owner) {
    call->Fail(Status(EAGAIN, Code::kNotOwner, "another metaserver serves volume \"data\""));
  } else {
    return true;
  }
  return false;
}

void FakeCluster::Restart() {
  ++incarnation;
  DropConnections();
}

uint64_t FakeCluster::NewInode(uint32_t mode) {
  const uint64_t ino = next_ino_++;
  inodes[ino].attr.set_ino(ino);
  inodes[ino].attr.set_mode(mode);
  inodes[ino].attr.set_nlink(1);
  return ino;
}

uint64_t FakeCluster::AddFile(const std::string& name, uint64_t size) {
  const uint64_t ino = NewInode(S_IFREG | 0644);
  inodes[ino].attr.set_size(size);
  inodes[1].names[name] = ino;
  return ino;
}

void FakeCluster::PutChunk(uint64_t ino, uint32_t index, const std::string& data) {
  pb::LayoutReply layout;
  (void)FillLayout(ino, index * kChunkSize, 1, true, &layout);
  inodes[ino].chunks[index].set_written(true);
  ServerOf(ino, index).chunks[inodes[ino].chunks[index].chunk()].data = data;
}

FakeChunkserver& FakeCluster::ServerOf(uint64_t ino, uint32_t index) {
  return chunkservers[inodes[ino].chunks.at(index).server(0).id() - 1];
}

FakeChunk& FakeCluster::ChunkOf(uint64_t ino, uint32_t index) {
  return ServerOf(ino, index).chunks[inodes[ino].chunks.at(index).chunk()];
}

std::string FakeCluster::Content(uint64_t ino) {
  std::string out(inodes[ino].attr.size(), '\0');
  for (const auto& [index, layout] : inodes[ino].chunks) {
    const std::string& data = ChunkOf(ino, index).data;
    const uint64_t base = index * kChunkSize;
    for (size_t i = 0; i < data.size() && base + i < out.size(); ++i) out[base + i] = data[i];
  }
  return out;
}

size_t FakeCluster::Seen(Op op) const {
  return static_cast<size_t>(
      std::count_if(seen.begin(), seen.end(), [&](const SeenOp& s) { return s.op == op; }));
}

// fn(request, reply) -> Status. Executed once an op id: a resend gets the stored reply.
template <typename Rpc, typename Fn>
void FakeCluster::Mutation(Fn fn) {
  meta_->Handle(Rpc::kOp, [this, fn, at = at_](IncomingCallPtr call) {
    typename Rpc::Request request;
    if (!call->Parse(&request)) return;
    seen.push_back({Rpc::kOp, request.ctx().op_id(), request.ctx().acked(), at});
    if (intercept && intercept(call)) return;
    if (!MayServe(call, at)) return;
    if (call->connection()->context == nullptr)
      return call->Fail(Status(EACCES, Code::kUnknownSession, "no session"));
    EXPECT_NE(request.ctx().op_id(), 0u);
    EXPECT_GT(request.ctx().op_id(), request.ctx().acked());
    if (auto it = replies.find(request.ctx().op_id()); it != replies.end())
      return call->ReplySerialized(it->second);
    typename Rpc::Reply reply;
    if (Status s = fn(request, reply); !s.ok()) return call->Fail(s);
    ++executed;
    replies[request.ctx().op_id()] = reply.SerializeAsString();
    if (swallow_answer && swallow_answer(call)) return;
    call->Reply(reply);
  });
}

template <typename Rpc, typename Fn>
void FakeCluster::Query(Fn fn) {
  meta_->Handle(Rpc::kOp, [this, fn, at = at_](IncomingCallPtr call) {
    typename Rpc::Request request;
    if (!call->Parse(&request)) return;
    seen.push_back({Rpc::kOp, 0, 0, at});
    if (intercept && intercept(call)) return;
    if (!MayServe(call, at)) return;
    if (call->connection()->context == nullptr)
      return call->Fail(Status(EACCES, Code::kUnknownSession, "no session"));
    typename Rpc::Reply reply;
    if (Status s = fn(request, reply); !s.ok()) return call->Fail(s);
    call->Reply(reply);
  });
}

void FakeCluster::ServeSessions() {
  meta_->Handle<rpc::OpenSession>(
      [this, at = at_](IncomingCallPtr call, const pb::OpenSessionRequest& request) {
        seen.push_back({Op::kOpenSession, 0, 0, at});
        if (intercept && intercept(call)) return;
        if (!MayServe(call, at)) return;
        if (request.volume() != "data")
          return call->Fail(Status(ENOENT, "no volume \"" + request.volume() + "\""));
        uint64_t id = request.session();
        if (id != 0 && !sessions.contains(id))
          return call->Fail(Status(EACCES, Code::kUnknownSession, "no such session"));
        if (id == 0) id = next_session_++;
        sessions.insert(id);
        call->connection()->context = std::make_shared<uint64_t>(id);
        pb::OpenSessionReply reply;
        reply.set_session(id);
        reply.set_key("key");
        reply.set_volume(7);
        reply.set_chunk_size(kChunkSize);
        reply.set_ttl_ms(ttl_ms);
        reply.set_incarnation(incarnation);
        reply.set_expiries(expiries);
        reply.set_generation(generation);
        call->Reply(reply);
      });
  meta_->Handle<rpc::LocateVolume>(
      [this, at = at_](IncomingCallPtr call, const pb::LocateVolumeRequest& request) {
        seen.push_back({Op::kLocateVolume, 0, 0, at});
        if (intercept && intercept(call)) return;
        if (generation == 0) return call->Fail(Status(EOPNOTSUPP, "LocateVolume is not served"));
        EXPECT_EQ(request.name(), "data");
        pb::LocateVolumeReply reply;
        const size_t says = locates_to.empty() ? owner : locates_to[at];
        reply.set_owner(addresses_[says]);
        reply.add_metaserver(addresses_[says]);
        for (size_t i = 0; i < addresses_.size(); ++i) {
          const bool member = members.empty() || std::count(members.begin(), members.end(), i) != 0;
          if (i != says && member) reply.add_metaserver(addresses_[i]);
        }
        reply.set_started(!stopped);
        reply.set_generation(generation);
        call->Reply(reply);
      });
  meta_->Handle<rpc::Reclaim>([this](IncomingCallPtr call, const pb::ReclaimRequest& request) {
    seen.push_back({Op::kReclaim, 0, 0});
    reclaims.push_back(request);
    pb::ReclaimReply reply;
    if (known) reply.set_known(*known);
    call->Reply(reply);
  });
  Query<rpc::KeepAlive>([this](const auto&, auto& reply) {
    reply.set_generation(generation);
    return Status();
  });
  Query<rpc::CloseSession>([](const auto&, auto&) { return Status(); });
}

void FakeCluster::ServeNames() {
  auto make = [this](uint64_t parent, const std::string& name, uint32_t mode, pb::Attr* attr) {
    if (inodes[parent].names.contains(name)) return Status(EEXIST, name);
    const uint64_t ino = NewInode(mode);
    inodes[parent].names[name] = ino;
    *attr = inodes[ino].attr;
    return Status();
  };
  auto remove = [this](const auto& request, pb::UnlinkReply& reply) {
    auto& names = inodes[request.parent()].names;
    auto it = names.find(request.name());
    if (it == names.end()) return Status(ENOENT, request.name());
    reply.set_ino(it->second);
    names.erase(it);
    return Status();
  };
  Mutation<rpc::Mkdir>([make](const auto& r, auto& reply) {
    return make(r.parent(), r.name(), S_IFDIR | r.mode(), reply.mutable_attr());
  });
  Mutation<rpc::Mknod>([make](const auto& r, auto& reply) {
    return make(r.parent(), r.name(), r.mode(), reply.mutable_attr());
  });
  Mutation<rpc::Symlink>([this, make](const auto& r, auto& reply) {
    Status s = make(r.parent(), r.name(), S_IFLNK | 0777, reply.mutable_attr());
    if (s.ok()) inodes[reply.attr().ino()].target = r.target();
    return s;
  });
  Mutation<rpc::Create>([this, make](const auto& r, auto& reply) {
    auto it = inodes[r.parent()].names.find(r.name());
    if (it != inodes[r.parent()].names.end()) {
      if ((r.flags() & O_TRUNC) != 0) {
        inodes[it->second].chunks.clear();
        inodes[it->second].attr.set_size(0);
      }
      *reply.mutable_attr() = inodes[it->second].attr;
      return Status();
    }
    return make(r.parent(), r.name(), S_IFREG | r.mode(), reply.mutable_attr());
  });
  Mutation<rpc::Unlink>(remove);
  Mutation<rpc::Rmdir>(remove);
  Mutation<rpc::Rename>([this](const auto& r, auto&) {
    auto& names = inodes[r.parent()].names;
    auto it = names.find(r.name());
    if (it == names.end()) return Status(ENOENT, r.name());
    const uint64_t ino = it->second;
    names.erase(it);
    inodes[r.new_parent()].names[r.new_name()] = ino;
    return Status();
  });
  Query<rpc::Lookup>([this](const auto& r, auto& reply) {
    if (r.name() == "." || r.name() == "..") {
      *reply.mutable_attr() = inodes[r.name() == "." ? r.parent() : 1].attr;
      return Status();
    }
    auto it = inodes[r.parent()].names.find(r.name());
    if (it == inodes[r.parent()].names.end()) return Status(ENOENT, r.name());
    *reply.mutable_attr() = inodes[it->second].attr;
    return Status();
  });
  Query<rpc::Access>([](const auto&, auto&) { return Status(); });
  Query<rpc::Getattr>([this](const auto& r, auto& reply) {
    if (!inodes.contains(r.ino())) return Status(ESTALE, "no such inode");
    *reply.mutable_attr() = inodes[r.ino()].attr;
    return Status();
  });
  Query<rpc::Readlink>([this](const auto& r, auto& reply) {
    reply.set_target(inodes[r.ino()].target);
    return Status();
  });
  // Two entries a page, so that paging is tested.
  Query<rpc::Readdir>([this](const auto& r, auto& reply) {
    uint64_t cookie = 0;
    reply.set_eof(true);
    for (const auto& [name, ino] : inodes[r.ino()].names) {
      if (++cookie <= r.cookie()) continue;
      if (reply.entry_size() == 2) {
        reply.set_eof(false);
        break;
      }
      auto* e = reply.add_entry();
      e->set_name(name);
      e->set_ino(ino);
      e->set_cookie(cookie);
      *e->mutable_attr() = inodes[ino].attr;
    }
    return Status();
  });
}

Status FakeCluster::FillLayout(uint64_t ino, uint64_t offset, uint64_t length, bool allocate,
                               pb::LayoutReply* reply) {
  if (!inodes.contains(ino)) return Status(ESTALE, "no such inode");
  FakeInode& inode = inodes[ino];
  reply->set_size(inode.attr.size());
  if (length == 0) return {};
  const uint64_t first = offset / kChunkSize, last = (offset + length - 1) / kChunkSize;
  for (uint64_t i = first; allocate && i <= last; ++i) {
    pb::ChunkLayout& c = inode.chunks[static_cast<uint32_t>(i)];
    if (c.chunk() != 0) continue;
    c.set_index(static_cast<uint32_t>(i));
    c.set_chunk(next_chunk_++);
    c.set_version(1);
    auto* server = c.add_server();
    server->set_id(i % chunkservers.size() + 1);
    server->set_address(chunkservers[i % chunkservers.size()].server->address());
  }
  for (const auto& [index, layout] : inode.chunks) {
    if (index >= first && index <= last) *reply->add_chunk() = layout;
  }
  return {};
}

// As the real one's: the version rises here and there.
void FakeCluster::GiveUp(uint64_t ino, const google::protobuf::RepeatedPtrField<pb::GivenUpChunk>& chunks) {
  for (const pb::GivenUpChunk& g : chunks) {
    given_up.push_back(g);
    for (auto& [index, c] : inodes[ino].chunks) {
      if (c.chunk() != g.chunk() || c.version() != g.version()) continue;
      c.set_version(g.version() + 1);
      for (FakeChunkserver& s : chunkservers) {
        if (s.server->address() == c.server(0).address()) s.chunks[g.chunk()].version = g.version() + 1;
      }
    }
  }
}

void FakeCluster::ServeFiles() {
  Mutation<rpc::Open>([this](const auto& r, auto& reply) {
    *reply.mutable_attr() = inodes[r.ino()].attr;
    return Status();
  });
  Mutation<rpc::Release>([this](const auto& r, auto&) {
    released.push_back(r.ino());
    return Status();
  });
  Mutation<rpc::Setattr>([this](const auto& r, auto& reply) {
    if ((r.valid() & pb::SetattrRequest::SIZE) != 0) {
      inodes[r.ino()].attr.set_size(r.size());
      inodes[r.ino()].chunks.clear();
    }
    *reply.mutable_attr() = inodes[r.ino()].attr;
    return Status();
  });
  Query<rpc::ReadLayout>([this](const auto& r, auto& reply) {
    const Status s = FillLayout(r.ino(), r.offset(), r.length(), false, &reply);
    while (reply.chunk_size() > layout_chunks_max) reply.mutable_chunk()->RemoveLast();
    return s;
  });
  Query<rpc::GiveUpWrite>([this](const auto& r, auto&) {
    GiveUp(r.ino(), r.given_up());
    return Status();
  });
  Query<rpc::PrepareWrite>([this](const auto& r, auto& reply) {
    GiveUp(r.ino(), r.given_up());
    const uint64_t offset = r.append() ? inodes[r.ino()].attr.size() : r.offset();
    reply.set_offset(offset);
    if (r.append()) reply.set_append_token(next_token++);
    if (r.ahead_chunk() != 0) {
      for (auto& [i, c] : inodes[r.ino()].chunks) {
        if (c.chunk() == r.ahead_chunk()) c.set_version(r.ahead_version());
      }
    }
    return FillLayout(r.ino(), offset, r.length(), true, &reply);
  });
  Mutation<rpc::CommitWrite>([this](const auto& r, auto& reply) {
    FakeInode& inode = inodes[r.ino()];
    for (const auto& w : r.written()) {
      auto it = inode.chunks.find(w.index());
      if (it == inode.chunks.end() || it->second.chunk() != w.chunk() ||
          it->second.version() != w.version()) {
        return Status(ESTALE, Code::kStaleChunk, "stale");
      }
    }
    for (const auto& w : r.written()) inode.chunks[w.index()].set_written(true);
    commits.push_back(r);
    inode.attr.set_size(std::max<uint64_t>(inode.attr.size(), r.offset() + r.length()));
    reply.set_size(inode.attr.size());
    return Status();
  });
  Query<rpc::AbortAppend>([this](const auto& r, auto&) {
    aborted_tokens.push_back(r.append_token());
    return Status();
  });
  Query<rpc::Fsync>([](const auto&, auto&) { return Status(); });
}

void FakeCluster::ServeLocks() {
  Mutation<rpc::SetLock>([](const auto&, auto&) { return Status(); });
  Mutation<rpc::Flush>([](const auto&, auto&) { return Status(); });
  Query<rpc::CancelOp>([](const auto&, auto&) { return Status(); });
}

}  // namespace kfs::test
