// Tells one metaserver which chunks there are, folder by folder, and deletes those that nothing references:
// once after each registration, then at an interval. Loop's thread.
//
//   Begin -> [waits for its turn] -> folder: read on the pool -> ReportChunks -> garbage deleted -> pause ->
//         next folder ... -> gives the turn back -> interval -> again
//
// All metaservers are told the same, so the scans take turns: many members do not mean many scans at once.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunkserver/chunk_store.h"
#include "chunkserver/io_pool.h"
#include "chunkserver/tunables.h"
#include "common/lifetime.h"
#include "rpc/net_client.h"

namespace kfs {

class InventoryTurns {
 public:
  // `go` runs when it is this one's turn, perhaps at once; asking again changes nothing.
  void Ask(const void* who, std::function<void()> go);
  void Leave(const void* who);

 private:
  struct Waiting {
    const void* who;
    std::function<void()> go;
  };
  std::deque<Waiting> waiting_;  // the first one has the turn
};

class Inventory {
 public:
  struct Options {
    std::string metaserver;              // for logs
    const Tunables* tunables = nullptr;  // interval and rate; may change
    // What the metaserver calls garbage may be deleted. One that is behind the others must not be believed:
    // it may not know of chunks that were made since.
    std::function<bool()> trusted;
  };
  // All but `options` outlive it.
  Inventory(EventLoop& loop, ChunkStore* store, IoPool* pool, NetClient* client, InventoryTurns* turns,
            Options options);
  ~Inventory();

  void Begin();   // from the first folder
  void Stop();    // the metaserver is gone; the turn is given back
  void Retime();  // the interval has changed

 private:
  struct Batch {
    ChunkStore::Held held;
    ChunkStore::Cursor cursor;
  };
  void ScanNext();
  void Report(std::shared_ptr<Batch> batch, size_t from);
  void Reported(const std::shared_ptr<Batch>& batch, size_t to, const Answer& answer);
  void DeleteGarbage(const std::shared_ptr<Batch>& batch, std::vector<uint64_t> garbage,
                     std::function<void()> then);
  void Done();

  EventLoop& loop_;
  ChunkStore* const store_;
  IoPool* const pool_;
  NetClient* const client_;
  InventoryTurns* const turns_;
  const Options options_;
  ChunkStore::Cursor cursor_;
  EventLoop::Timer timer_;
  MonoTime rests_since_{};  // none: a scan is under way, or none has been asked for
  std::optional<Lifetime>
      scan_;  // the present one; what it has under way comes to nothing once it is stopped
};

}  // namespace kfs
