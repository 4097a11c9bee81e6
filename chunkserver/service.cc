#include "chunkserver/service.h"

#include <fmt/format.h>

#include <vector>

#include "chunkserver/disk_status.h"
#include "common/chunk_token.h"
#include "common/log.h"
#include "proto/op_types.h"

namespace kfs {
namespace {

// As metaservers have it unless they are told otherwise.
constexpr Duration kSlowOp = std::chrono::seconds(1);

ChunkKey KeyOf(const pb::ChunkRef& ref) { return {VolumeId(ref.volume()), ChunkId(ref.chunk())}; }

}  // namespace

struct ChunkService::Outcome {
  Status status;
  uint64_t detail = 0;
  std::unique_ptr<google::protobuf::MessageLite> reply;
  Buffer payload;
  uint64_t bytes = 0;  // moved, for the metrics
  // The chunk that was asked for; none: nobody says that it should be there.
  ChunkKey asked{};
  ChunkVersion version{};
  bool made = false;  // it is there now, if it was not before
  bool lost = false;  // it should be there, and is not
};

void ChunkService::Register(Dispatcher* d) {
  d->Handle<rpc::ChunkRead>([this](IncomingCallPtr c, const auto& r) { Read(std::move(c), r); });
  d->Handle<rpc::ChunkWrite>([this](IncomingCallPtr c, const auto& r) { Write(std::move(c), r); });
  d->Handle<rpc::ChunkSync>([this](IncomingCallPtr c, const auto& r) { Sync(std::move(c), r); });
  d->Handle<rpc::ChunkSeek>([this](IncomingCallPtr c, const auto& r) { Seek(std::move(c), r); });
  d->Handle<rpc::MutateChunk>([this](IncomingCallPtr c, const auto& r) { Mutate(std::move(c), r); });
  d->Handle<rpc::DeleteChunks>([this](IncomingCallPtr c, const auto& r) { Delete(std::move(c), r); });
  d->Handle<rpc::QueryDisks>([this](IncomingCallPtr c, const auto&) { QueryDisks(std::move(c)); });
  d->Handle<rpc::PrepareConf>([this](const IncomingCallPtr& c, const auto& r) {
    if (Status st = terms_->Prepare(r); !st.ok()) return c->Fail(st);
    c->Reply(pb::Empty());
  });
  d->Handle<rpc::LearnConf>([this](const IncomingCallPtr& c, const auto& r) {
    terms_->Learn(r.generation(), r.terms());
    c->Reply(pb::Empty());
  });
  d->Handle<rpc::FenceSessions>([this](const IncomingCallPtr& c, const auto& r) {
    if (Status st = gate_->Fence(r); !st.ok()) return c->Fail(st);
    c->Reply(pb::Empty());
  });
}

void ChunkService::Execute(IncomingCallPtr call, ChunkKey key, bool may_inline, Attempt attempt) {
  if (!key.volume || !key.chunk)
    return call->Fail(Status(EINVAL, Code::kMalformed, "ids of volumes and chunks begin at 1"));
  if (may_inline && !pool_->Busy(key)) {
    Outcome outcome = attempt(Wait::kNever);
    if (!WouldWait(outcome.status)) return Answer(call, std::move(outcome));
  }
  OnPool(std::move(call), key, std::move(attempt));
}

void ChunkService::OnPool(IncomingCallPtr call, std::optional<ChunkKey> key, Attempt attempt) {
  auto outcome = std::make_shared<Outcome>();
  bool taken = pool_->Submit(
      key, [outcome, attempt = std::move(attempt)] { *outcome = attempt(Wait::kAllowed); },
      [this, call, outcome] { Answer(call, std::move(*outcome)); });
  if (!taken) call->Fail(Status(EAGAIN, Code::kTryAgain, "the chunkserver's disks cannot keep up"));
}

void ChunkService::Answer(const IncomingCallPtr& call, Outcome outcome) {
  if (call->op() == Op::kChunkRead) metrics_->read_bytes.Add(outcome.bytes);
  if (call->op() == Op::kChunkWrite) metrics_->written_bytes.Add(outcome.bytes);
  if (const Duration took = loop_.Now() - call->arrived(); took > kSlowOp) {
    KFS_LOG(warn, "op.slow op={} peer={} trace={:08x} ms={} status=\"{}\"", OpName(call->op()),
            call->connection()->peer_address(), call->trace().id,
            std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), outcome.status.ToString());
  }
  if (outcome.made && outcome.status.ok()) missing_.Here(outcome.asked);
  if (outcome.lost) missing_.Note(outcome.asked, outcome.version, loop_.Now());
  if (!outcome.status.ok()) {
    const Code code = outcome.status.code();
    if (code == Code::kStaleChunk && outcome.detail == 0 && outcome.asked.chunk)
      missing_.Note(outcome.asked, outcome.version, loop_.Now());
    if (code != Code::kStaleChunk && code != Code::kCorrupt && code != Code::kTokenRefused) {
      KFS_LOG(warn, "chunk.op_failed op={} peer={} trace={:08x} reason=\"{}\"", OpName(call->op()),
              call->connection()->peer_address(), call->trace().id, outcome.status.ToString());
    } else {
      // Ordinary after faults; the client does it again.
      KFS_LOG(debug, "chunk.op_refused op={} peer={} trace={:08x} reason=\"{}\"", OpName(call->op()),
              call->connection()->peer_address(), call->trace().id, outcome.status.ToString());
    }
    return call->Fail(outcome.status, outcome.detail);
  }
  call->Reply(*outcome.reply, std::move(outcome.payload));
}

std::optional<ChunkStore::MayFn> ChunkService::Admit(const IncomingCallPtr& call, const pb::ChunkRef& ref,
                                                     const pb::ChunkAccess& access, uint32_t right) {
  auto grant = gate_->Verify(ref, access, right);
  if (grant.ok()) return [gate = gate_, grant = *grant] { return gate->Check(grant); };
  Outcome refused;
  refused.status = grant.status();
  Answer(call, std::move(refused));
  return {};
}

void ChunkService::Read(IncomingCallPtr call, const pb::ChunkReadRequest& request) {
  const ChunkKey key = KeyOf(request.ref());
  auto may = Admit(call, request.ref(), request.access(), kReadChunk);
  if (!may) return;
  Execute(std::move(call), key, request.length() <= options_.inline_read_max,
          [store = store_, key, version = ChunkVersion(request.ref().version()), offset = request.offset(),
           length = request.length(), may = std::move(*may)](Wait wait) {
            Outcome out;
            auto data = store->Read(key, version, offset, length, wait, &out.detail, may);
            out.status = data.status();
            out.asked = key;
            out.version = version;
            if (!data.ok()) return out;
            out.payload = std::move(*data);
            out.bytes = length;
            out.reply = std::make_unique<pb::ChunkReadReply>();
            return out;
          });
}

void ChunkService::Write(IncomingCallPtr call, const pb::ChunkWriteRequest& request) {
  const ChunkKey key = KeyOf(request.ref());
  const bool may_inline = call->payload().size() <= options_.inline_write_max;
  auto may = Admit(call, request.ref(), request.access(), kWriteChunk);
  if (!may) return;
  auto crcs =
      std::make_shared<const std::vector<uint32_t>>(request.block_crc().begin(), request.block_crc().end());
  Execute(call, key, may_inline,
          [store = store_, key, version = ChunkVersion(request.ref().version()), offset = request.offset(),
           existing = request.existing(), crcs, call, may = std::move(*may)](Wait wait) {
            Outcome out;
            auto allocated = store->Write(key, version, offset, call->payload().view(), *crcs, wait,
                                          &out.detail, existing, may);
            out.status = allocated.status();
            if (existing || allocated.ok()) out.asked = key;
            out.version = version;
            out.made = true;
            if (!allocated.ok()) return out;
            auto reply = std::make_unique<pb::ChunkWriteReply>();
            reply->set_allocated(*allocated);
            reply->set_boot(store->boot());
            out.bytes = call->payload().size();
            out.reply = std::move(reply);
            return out;
          });
}

void ChunkService::Seek(IncomingCallPtr call, const pb::ChunkSeekRequest& request) {
  const ChunkKey key = KeyOf(request.ref());
  auto may = Admit(call, request.ref(), request.access(), 0);  // a file open for writing has holes, too
  if (!may) return;
  Execute(std::move(call), key, true,
          [store = store_, key, version = ChunkVersion(request.ref().version()), offset = request.offset(),
           may = std::move(*may)](Wait wait) {
            Outcome out;
            auto found = store->Seek(key, version, offset, wait, &out.detail, may);
            out.status = found.status();
            out.asked = key;
            out.version = version;
            if (!found.ok()) return out;
            auto reply = std::make_unique<pb::ChunkSeekReply>();
            reply->set_data(found->data);
            reply->set_hole(found->hole);
            out.reply = std::move(reply);
            return out;
          });
}

void ChunkService::Sync(IncomingCallPtr call, const pb::ChunkSyncRequest& request) {
  // No lane: acknowledged writes are done, and those under way are not this sync's business.
  OnPool(std::move(call), {}, [store = store_, request](Wait) {
    Outcome out;
    out.status = store->Sync(VolumeId(request.volume()),
                             {request.chunk().data(), static_cast<size_t>(request.chunk_size())});
    auto reply = std::make_unique<pb::ChunkSyncReply>();
    reply->set_boot(store->boot());
    out.reply = std::move(reply);
    return out;
  });
}

void ChunkService::Mutate(IncomingCallPtr call, const pb::MutateChunkRequest& request) {
  const ChunkKey key{VolumeId(request.volume()), ChunkId(request.chunk())};
  OnPool(std::move(call), key, [store = store_, key, request](Wait) {
    Outcome out;
    auto done = store->Mutate(key, ChunkVersion(request.from()), ChunkVersion(request.to()), request.step(),
                              request.existing());
    out.status = done.status();
    out.asked = key;
    if (!done.ok()) return out;
    out.made = !done->lost;
    out.lost = done->lost;
    out.version = ChunkVersion(request.to());
    auto reply = std::make_unique<pb::MutateChunkReply>();
    reply->set_allocated(done->allocated);
    reply->set_no_space(done->no_space);
    out.reply = std::move(reply);
    return out;
  });
}

void ChunkService::Delete(IncomingCallPtr call, const pb::DeleteChunksRequest& request) {
  if (request.chunk_size() > static_cast<int>(kInventoryBatch)) {
    return call->Fail(
        Status(EINVAL, Code::kMalformed, fmt::format("more than {} chunks in one request", kInventoryBatch)));
  }
  OnPool(std::move(call), {}, [store = store_, request](Wait) {
    Outcome out;
    out.status = store->Delete(VolumeId(request.volume()),
                               {request.chunk().data(), static_cast<size_t>(request.chunk_size())});
    out.reply = std::make_unique<pb::DeleteChunksReply>();
    return out;
  });
}

void ChunkService::QueryDisks(IncomingCallPtr call) {
  OnPool(std::move(call), {}, [loop = &loop_, store = store_, generation = terms_->generation()](Wait) {
    Outcome out;
    auto reply = std::make_unique<pb::QueryDisksReply>();
    reply->set_generation(generation);
    FillDiskStatus(*store, true, reply->mutable_disk());
    reply->set_rss_bytes(loop->ResidentBytes());
    out.reply = std::move(reply);
    return out;
  });
}

}  // namespace kfs
