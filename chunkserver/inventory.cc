#include "chunkserver/inventory.h"

#include <algorithm>

#include "common/limits.h"
#include "common/log.h"

namespace kfs {
namespace {

// A metaserver that does not answer must not keep the others waiting for their turn.
constexpr auto kReportTimeout = std::chrono::seconds(60);

}  // namespace

// ---- turns

void InventoryTurns::Ask(const void* who, std::function<void()> go) {
  for (const Waiting& w : waiting_) {
    if (w.who == who) return;
  }
  waiting_.push_back({who, std::move(go)});
  if (waiting_.size() == 1) waiting_.front().go();
}

void InventoryTurns::Leave(const void* who) {
  const bool had_turn = !waiting_.empty() && waiting_.front().who == who;
  std::erase_if(waiting_, [who](const Waiting& w) { return w.who == who; });
  if (had_turn && !waiting_.empty()) waiting_.front().go();
}

// ---- one metaserver's inventory

Inventory::Inventory(EventLoop& loop, ChunkStore* store, IoPool* pool, NetClient* client,
                     InventoryTurns* turns, Options options)
    : loop_(loop), store_(store), pool_(pool), client_(client), turns_(turns), options_(std::move(options)) {}

Inventory::~Inventory() { Stop(); }

void Inventory::Begin() {
  Stop();
  scan_.emplace();
  cursor_ = {};
  turns_->Ask(this,
              [this] { timer_ = loop_.RunAfter(std::chrono::milliseconds(10), [this] { ScanNext(); }); });
}

void Inventory::Stop() {
  scan_.reset();
  rests_since_ = {};
  timer_.Cancel();
  turns_->Leave(this);
}

// One folder: read on the pool, reported, its garbage deleted; the next one after a pause that keeps to the
// rate.
void Inventory::ScanNext() {
  auto batch = std::make_shared<Batch>();
  batch->cursor = cursor_;
  bool taken = pool_->Submit(
      {}, [store = store_, batch] { batch->held = store->ScanStep(&batch->cursor); },
      scan_->While([this, batch] { Report(batch, 0); }));
  if (!taken) timer_ = loop_.RunAfter(std::chrono::seconds(1), [this] { ScanNext(); });
}

void Inventory::Report(std::shared_ptr<Batch> batch, size_t from) {
  const auto& chunks = batch->held.chunks;
  if (from < chunks.size()) {
    const size_t to = std::min(chunks.size(), from + kInventoryBatch);
    pb::ReportChunksRequest request;
    request.set_volume(batch->held.volume.v);
    for (size_t i = from; i < to; ++i) {
      auto* held = request.add_held();
      held->set_chunk(chunks[i].first);
      held->set_version(chunks[i].second);
    }
    client_->Enqueue(
        {.op = Op::kReportChunks,
         .request = &request,
         .payload = {},
         .timeout = kReportTimeout,
         .resend = false,
         .done = scan_->While([this, batch, to](kfs::Answer answer) { Reported(batch, to, answer); })});
    return;
  }
  cursor_ = batch->cursor;
  if (cursor_.done) return Done();
  const auto pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / options_.tunables->inventory_rate *
                     static_cast<int64_t>(chunks.size());
  timer_ = loop_.RunAfter(pause, [this] { ScanNext(); });
}

void Inventory::Reported(const std::shared_ptr<Batch>& batch, size_t to, const Answer& answer) {
  pb::ReportChunksReply reply;
  const Status st = ParseAnswer(answer, &reply);
  if (!st.ok() && st.code() != Code::kNotOwner) {
    KFS_LOG(warn, "inventory.report_failed metaserver={} reason=\"{}\"", options_.metaserver, st.ToString());
  }
  if (st.code() == Code::kConnectionLost || st.err() == ETIMEDOUT) return Done();
  if (!st.ok()) reply.Clear();
  if (reply.garbage_size() != 0 && !options_.trusted()) {
    KFS_LOG(info,
            "inventory.garbage_left metaserver={} volume={} chunks={} reason=\"the metaserver is behind\"",
            options_.metaserver, batch->held.volume.v, reply.garbage_size());
    reply.Clear();
  }
  DeleteGarbage(batch, {reply.garbage().begin(), reply.garbage().end()},
                scan_->While([this, batch, to] { Report(batch, to); }));
}

void Inventory::DeleteGarbage(const std::shared_ptr<Batch>& batch, std::vector<uint64_t> garbage,
                              std::function<void()> then) {
  if (garbage.empty()) return then();
  const VolumeId volume = batch->held.volume;
  const bool dropped = batch->held.garbage_of != nullptr;
  KFS_LOG(info, "inventory.garbage{} metaserver={} volume={} chunks={}", dropped ? "_dropped" : "",
          options_.metaserver, volume.v, garbage.size());
  auto ids = std::make_shared<std::vector<uint64_t>>(std::move(garbage));
  bool taken = pool_->Submit(
      {},
      [store = store_, batch, dropped, volume, ids] {
        if (dropped) return store->DropGarbage(batch->held, *ids);
        if (Status st = store->Delete(volume, *ids); !st.ok()) {
          KFS_LOG(warn, "inventory.delete_failed reason=\"{}\"", st.ToString());
        }
      },
      then);
  if (!taken) then();  // the next inventory finds them again
}

void Inventory::Done() {
  KFS_LOG(debug, "inventory.done metaserver={} whole={}", options_.metaserver, cursor_.done);
  rests_since_ = loop_.Now();
  Retime();
  turns_->Leave(this);
}

void Inventory::Retime() {
  if (rests_since_ == MonoTime()) return;
  const Duration rested = loop_.Now() - rests_since_;
  timer_ = loop_.RunAfter(std::max(Duration(0), options_.tunables->inventory_interval - rested),
                          [this] { Begin(); });
}

}  // namespace kfs
