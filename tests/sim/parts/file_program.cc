#include "tests/sim/parts/file_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "common/chunk_token.h"
#include "common/log.h"

namespace kfs::sim {
namespace {

constexpr int kFileSteps = 14, kWriteTries = 4;
constexpr uint64_t kFileChunk = 65536, kFileChunks = 3, kFileNames = 3, kOpenMax = 3;
constexpr Nanos kDataLate = 8 * kSecond;

}  // namespace

FileProgram::FileProgram(World& world, MetaHost& meta, ModelChunks& chunks, int number, int programs,
                         PartFigures* figures)
    : world_(world), meta_(meta), chunks_(chunks), number_(number), programs_(programs), figures_(figures) {}

std::string FileProgram::UnderWay() const {
  return fmt::format("program {}, step {}: {}", number_, steps_,
                     pending_.number == 0 ? "attaches" : OpName(pending_.op));
}

void FileProgram::Die() {
  KFS_LOG(debug, "part.program_dies at={:.3f} program={}", static_cast<double>(world_.now()) / 1e9, number_);
  ended_ = true;
  Forget();
}

void FileProgram::Forget() {
  session_.reset();
  id_ = 0;
  ++attaching_;
  pending_ = {};
  writing_ = false;
  files_.clear();
}

void FileProgram::MetaserverEnded(bool power) {
  session_.reset();
  ++attaching_;
  if (!power || ended_) return;
  // What it knew of may be there or not.
  if (world_.Chance(0.5)) return Forget();
  for (auto& [ino, file] : files_) file.doubtful = true;
  // An answer that is on its way is of what is lost.
  if (pending_.number != 0) pending_.number = ++calls_;
}

void FileProgram::MetaserverBegan() {
  if (!ended_) AttachLater();
}

void FileProgram::KeepAlive() {
  if (!ended_ && session_ != nullptr) session_->last_heard = meta_.process()->loop().clock().MonoNow();
}

void FileProgram::ForgetNameless() {
  if (session_ == nullptr || session_->volume == nullptr) return;
  for (const auto& [ino, file] : files_) {
    const meta::InodePtr inode = session_->volume->store.GetInode(Ino(ino));
    if (inode != nullptr && inode->nlink() == 0)
      session_->volume->open_files.Drop(*session_, Ino(ino), file.opens);
  }
}

// ---- the session

void FileProgram::InMetaserver(std::function<void()> fn) {
  const std::shared_ptr<Process> process = meta_.process();
  if (process == nullptr) return;
  world_.At(world_.now() + chunks_.Way(), process, [this, self = shared_from_this(), fn = std::move(fn)] {
    if (meta_.executor() != nullptr) fn();
  });
}

FileProgram::DoneFn FileProgram::AsMessage(DoneFn fn) {
  return [this, self = shared_from_this(), fn = std::move(fn)](const Status& s, std::string_view body) {
    if (!meta_.up()) return;
    world_.Note(static_cast<uint64_t>(s.err()));
    world_.At(meta_.process()->Time() + chunks_.Way(), nullptr,
              [self, fn, s, body = std::string(body)] { fn(s, body); });
  };
}

void FileProgram::AttachLater() {
  world_.At(world_.now() + world_.Between(0, kSecond), nullptr,
            [self = shared_from_this(), this, attempt = attaching_] {
              if (attempt == attaching_ && !ended_) Attach();
            });
}

void FileProgram::Attach() {
  const uint64_t attempt = ++attaching_;
  InMetaserver([this, attempt] {
    if (attempt != attaching_) return;
    pb::OpenSessionRequest request;
    request.set_volume(MetaHost::kVolume);
    request.set_counts_logged(true);
    request.set_session(id_);
    if (id_ != 0) request.set_key(key_);
    // Set before the answer can come.
    auto opened = std::make_shared<meta::SessionPtr>();
    auto call = std::make_shared<DirectCall>(
        Op::kOpenSession, "", AsMessage([this, attempt, opened](const Status& s, std::string_view body) {
          if (attempt != attaching_) return;
          if (s.code() == Code::kUnknownSession) Forget();
          if (!s.ok()) return AttachLater();
          pb::OpenSessionReply reply;
          (void)reply.ParseFromArray(body.data(), static_cast<int>(body.size()));
          session_ = *opened;
          id_ = reply.session();
          key_ = reply.key();
          Reclaim();
        }));
    *opened = meta_.executor()->OpenSession(call, request, "host", "client");
  });
}

void FileProgram::Reclaim() {
  InMetaserver([this, attempt = attaching_] {
    if (attempt != attaching_) return;
    pb::ReclaimRequest request;
    for (const auto& [ino, file] : files_) {
      auto* open = request.add_open();
      open->set_ino(ino);
      open->set_count(file.opens);
      open->set_rights(kReadChunk | kWriteChunk);
    }
    request.set_last(true);
    request.set_op_ids(op_id_);
    auto call = std::make_shared<DirectCall>(Op::kReclaim, "",
                                             AsMessage([this, attempt](const Status& s, std::string_view) {
                                               if (attempt != attaching_) return;
                                               if (s.code() == Code::kUnknownSession) Forget();
                                               s.ok() ? Attached() : AttachLater();
                                             }));
    call->session = session_;
    meta::Executor& executor = *meta_.executor();
    executor.InTurn(call, [&executor, call, request] { executor.Reclaim(call, request); });
  });
}

void FileProgram::Attached() {
  if (pending_.number != 0) return Send();
  if (!writing_) Next();
}

// ---- calls

template <typename Rpc, typename Fn>
void FileProgram::Ask(typename Rpc::Request request, Fn fn) {
  ++figures_->calls;
  writing_ = false;
  if (Rpc::kMutates) {
    request.mutable_ctx()->set_op_id(++op_id_);
    request.mutable_ctx()->set_acked(op_id_ - 1);
  }
  pending_ = {++calls_, Rpc::kOp, request.SerializeAsString(), [fn](const Status& s, std::string_view body) {
                typename Rpc::Reply reply;
                (void)reply.ParseFromArray(body.data(), static_cast<int>(body.size()));
                fn(s, reply);
              }};
  Send();
}

void FileProgram::Send() {
  if (session_ == nullptr) return;  // sent when it is attached
  InMetaserver([this, number = pending_.number, attempt = attaching_] {
    if (number != pending_.number || attempt != attaching_ || session_ == nullptr) return;
    auto call = std::make_shared<DirectCall>(pending_.op, pending_.body,
                                             AsMessage([=, this](const Status& s, std::string_view body) {
                                               // Its connection is no more: it is sent again over the next.
                                               if (attempt == attaching_) Answered(number, s, body);
                                             }));
    call->session = session_;
    meta_.executor()->Execute(call);
  });
}

void FileProgram::Answered(uint64_t number, const Status& s, std::string_view body) {
  if (number != pending_.number) return;
  KFS_LOG(debug, "part.answer at={:.3f} program={} op={} status=\"{}\"",
          static_cast<double>(world_.now()) / 1e9, number_, OpName(pending_.op), s.ToString());
  if (s.code() == Code::kUnknownSession) {
    Forget();
    return AttachLater();
  }
  if (s.code() == Code::kTryAgain && session_ != nullptr && session_->expired != 0) {
    session_.reset();
    for (auto& [ino, file] : files_) file.doubtful = true;
    return AttachLater();
  }
  if (s.code() == Code::kTryAgain) {
    world_.At(world_.now() + world_.Between(kMilli, 300 * kMilli), nullptr,
              [self = shared_from_this(), this, number] {
                if (number == pending_.number) Send();
              });
    return;
  }
  const DoneFn done = std::move(pending_.done);
  pending_ = {};
  done(s, body);
}

// ---- what it does

std::string FileProgram::DrawName() {
  const int whose =
      world_.Chance(0.7) ? number_ : static_cast<int>(world_.Draw() % static_cast<uint64_t>(programs_));
  return fmt::format("p{}-{}", whose, world_.Draw() % kFileNames);
}

void FileProgram::Next() {
  if (ended_ || pending_.number != 0 || writing_) return;
  const Nanos pause = world_.Chance(0.15) ? world_.Between(0, 2 * kSecond) : world_.Between(0, 10 * kMilli);
  world_.At(world_.now() + pause, nullptr, [self = shared_from_this(), this, attempt = attaching_] {
    if (attempt == attaching_ && !ended_ && pending_.number == 0 && !writing_) Step();
  });
}

void FileProgram::Step() {
  if (steps_ == kFileSteps) return End();
  ++steps_;
  const uint64_t lot = world_.Draw() % 20;
  uint32_t opens = 0;
  for (const auto& [ino, file] : files_) opens += file.opens;
  if (opens == 0 || (lot < 3 && opens < kOpenMax)) return OpenName(DrawName());
  const auto next = [this](const Status&, const auto&) { Next(); };
  if (lot < 6) {
    pb::UnlinkRequest request;
    request.set_parent(1);
    request.set_name(DrawName());
    return Ask<rpc::Unlink>(request, next);
  }
  if (lot < 8) {
    pb::RenameRequest request;
    request.set_parent(1);
    request.set_name(DrawName());
    request.set_new_parent(1);
    request.set_new_name(DrawName());
    return Ask<rpc::Rename>(request, next);
  }
  auto it = files_.begin();
  std::advance(it, world_.Draw() % files_.size());
  const uint64_t ino = it->first;
  if (lot < 15 && !made_.contains(ino)) return Read(ino);
  if (lot < 13) {
    return Prepare({.ino = ino, .index = static_cast<uint32_t>(world_.Draw() % kFileChunks)});
  }
  if (lot < 15) return Cut(ino);
  if (lot < 16) return Close(ino);
  if (lot < 17) {
    pb::FsyncRequest request;
    request.set_ino(ino);
    return Ask<rpc::Fsync>(request, next);
  }
  Read(ino);
}

void FileProgram::OpenName(const std::string& name) {
  pb::CreateRequest request;
  request.set_parent(1);
  request.set_name(name);
  request.set_mode(0644);
  request.set_flags(O_RDWR | O_CREAT);
  Ask<rpc::Create>(request, [this](const Status& s, const pb::CreateReply& reply) {
    if (s.ok()) ++files_[reply.attr().ino()].opens;
    if (s.ok() && reply.created()) made_.insert(reply.attr().ino());
    Next();
  });
}

void FileProgram::Prepare(const Write& write) {
  pb::PrepareWriteRequest request;
  request.set_ino(write.ino);
  request.set_offset(write.index * kFileChunk);
  request.set_length(1000);
  request.set_ahead_chunk(write.ahead_chunk);
  request.set_ahead_version(write.ahead_version);
  Ask<rpc::PrepareWrite>(request, [this, write](const Status& s, const pb::LayoutReply& layout) {
    if (!s.ok() || layout.chunk_size() != 1) return Next();
    SendData(write, layout.chunk(0));
  });
}

void FileProgram::SendData(const Write& write, const pb::ChunkLayout& chunk) {
  const ModelChunks::Data data{chunk.server(0).id(), chunk.chunk(), chunk.version(), chunk.written()};
  const Nanos sent = world_.now();
  // What a connection that is given up still delivers.
  if (world_.Chance(0.05)) {
    world_.At(sent + world_.Between(0, kDataLate), nullptr, [self = shared_from_this(), this, data] {
      uint64_t held = 0;
      (void)chunks_.Write(data, &held);
    });
  }
  if (world_.Chance(0.1)) return Next();  // interrupted
  writing_ = true;
  world_.At(sent + chunks_.Way(), nullptr, [self = shared_from_this(), this, write, chunk, data, id = id_] {
    Write again = write;
    const int err = chunks_.Write(data, &again.ahead_version);
    if (ended_ || id != id_ || !writing_) return;
    if (err == 0) return Commit(write, chunk);
    const auto file = files_.find(write.ino);
    if (err == EIO && file != files_.end() && !file->second.doubtful)
      return figures_->Wrong(fmt::format("chunk {} of an open file is gone", data.chunk));
    if (again.ahead_version > data.version) again.ahead_chunk = data.chunk;
    PrepareAgain(again);
  });
}

void FileProgram::PrepareAgain(Write write) {
  writing_ = ++write.tries != kWriteTries;
  if (!writing_) return Next();
  world_.At(world_.now() + world_.Between(0, 500 * kMilli), nullptr,
            [self = shared_from_this(), this, write, id = id_] {
              if (!ended_ && id == id_ && writing_) Prepare(write);
            });
}

void FileProgram::Commit(const Write& write, const pb::ChunkLayout& chunk) {
  pb::CommitWriteRequest request;
  request.set_ino(write.ino);
  request.set_offset(write.index * kFileChunk);
  request.set_length(1000);
  auto* w = request.add_written();
  w->set_index(write.index);
  w->set_chunk(chunk.chunk());
  w->set_version(chunk.version());
  w->set_allocated(4096);
  Ask<rpc::CommitWrite>(request, [this, write](const Status& s, const auto&) {
    if (s.code() == Code::kStaleChunk) return PrepareAgain(write);
    if (const auto file = files_.find(write.ino); s.ok() && file != files_.end())
      file->second.committed.insert(write.index);
    Next();
  });
}

void FileProgram::Cut(uint64_t ino) {
  constexpr uint64_t kSizes[] = {
      0, 0, kFileChunk, kFileChunk + 500, 100, 2 * kFileChunk + 100, 5 * kFileChunk};
  const uint64_t size = kSizes[world_.Draw() % std::size(kSizes)];
  pb::SetattrRequest request;
  request.set_ino(ino);
  request.set_valid(pb::SetattrRequest::SIZE | pb::SetattrRequest::OPEN_FILE);
  request.set_size(size);
  auto& committed = files_.at(ino).committed;
  committed.erase(committed.lower_bound(static_cast<uint32_t>((size + kFileChunk - 1) / kFileChunk)),
                  committed.end());
  Ask<rpc::Setattr>(request, [this](const Status&, const auto&) { Next(); });
}

void FileProgram::Close(uint64_t ino) {
  if (--files_.at(ino).opens == 0) files_.erase(ino);
  pb::ReleaseRequest request;
  request.set_ino(ino);
  Ask<rpc::Release>(request, [this](const Status&, const auto&) { Next(); });
}

void FileProgram::Read(uint64_t ino) {
  pb::ReadLayoutRequest request;
  request.set_ino(ino);
  request.set_length(UINT64_MAX);
  Ask<rpc::ReadLayout>(request, [this, ino](const Status& s, const pb::LayoutReply& layout) {
    const auto file = files_.find(ino);
    if (file != files_.end() && !file->second.doubtful) {
      // Where it is may just be found out.
      if (s.err() == EIO && chunks_.renumbered()) return Next();
      if (!s.ok())
        return figures_->Wrong(fmt::format("a file that is open cannot be read: {}", s.ToString()));
      CheckRead(ino, layout);
    }
    Next();
  });
}

void FileProgram::CheckRead(uint64_t ino, const pb::LayoutReply& layout) {
  std::set<uint32_t> missing = files_.at(ino).committed;
  for (const pb::ChunkLayout& chunk : layout.chunk()) {
    if (!chunk.written() || chunks_.Held(chunk.server(0).id(), chunk.chunk()) < chunk.version()) continue;
    missing.erase(chunk.index());
  }
  if (missing.empty()) return;
  figures_->Wrong(fmt::format("a file that program {} has open lacks the chunk at {}, which it has written",
                              number_, *missing.begin()));
}

void FileProgram::End() {
  if (!files_.empty() && world_.Chance(0.7)) return Close(files_.begin()->first);
  if (std::exchange(closing_, true)) return;
  InMetaserver([this, attempt = attaching_] {
    if (attempt != attaching_ || session_ == nullptr) return;
    auto call = std::make_shared<DirectCall>(Op::kCloseSession, "",
                                             AsMessage([](const Status&, std::string_view) {}));
    call->session = session_;
    call->session->closing = true;
    meta::Executor& executor = *meta_.executor();
    executor.InTurn(call, [&executor, call] { executor.CloseSession(call); });
  });
  // Whether it is heard or not.
  ended_ = true;
  files_.clear();
}

}  // namespace kfs::sim
