// Chunkservers as a map from chunk to version, with the messages between them and the metaserver: late, lost,
// and on their way still when the metaserver dies. And what may be said of their chunks: what is told to be
// deleted is named by no file, then and ever after, and was given out by the database as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metaserver/chunks/chunkservers.h"
#include "metaserver/service/inventory.h"
#include "tests/sim/parts/meta_host.h"
#include "tests/sim/parts/part.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {

class ModelChunks {
 public:
  using Chunks = std::map<uint64_t, uint64_t>;  // and the version of each
  static constexpr uint64_t kServersMax = 100;
  // Which chunkserver has, or had, that number in the configuration: those of one differ by kServersMax.
  static uint64_t WhoIs(uint64_t id) { return id % kServersMax; }

  ModelChunks(World& world, MetaHost& meta, int servers, PartFigures* figures);

  // How long a message takes. It may be very late unless all is calm.
  Nanos Way();
  void Calm(bool on) { calm_ = on; }
  // Each tells what it holds, now and then: after at most so long.
  void Start(Nanos report_max);
  void ReportWithin(Nanos report_max) { report_max_ = report_max; }

  // ---- the metaserver: in its process
  std::unique_ptr<meta::ChunkserverLinks> Links();
  // It has started: what belongs to it for inventories; chunkservers register.
  std::shared_ptr<void> Serve();
  // They are to be deleted. `by`: what says so, in words.
  void TellGarbage(uint64_t server, const std::vector<uint64_t>& chunks, const char* by);
  // Something has just been told to be deleted; a chunk was made for data.
  std::function<void()> on_told, on_made;
  // Planted: syncs do nothing while an inventory is compared.
  bool inventories_unsynced = false;

  // ---- the metaserver has ended: numbers from `next` on may have been lost with the power; it has started.
  void Ended(bool power, uint64_t next);
  void Began(meta::Volume& volume);

  // ---- a mount's data arrives. OK; ESTALE: there is another version (`*held`); EIO: something was committed,
  // and it is not there; EAGAIN: the chunkserver is down.
  struct Data {
    uint64_t server = 0, chunk = 0, version = 0;
    bool committed = false;  // as the layout says
  };
  int Write(const Data& data, uint64_t* held);

  // ---- mishaps
  // One, for some seconds. What it has deleted a moment ago may be there again.
  void GoDown();
  // One is removed from the configuration, and is there again some seconds later under another number.
  void Renumber();
  bool renumbered() const { return renumbered_; }
  // Whether it is a number that a chunkserver has.
  bool Current(uint64_t id) const { return servers_.at(WhoIs(id)).id == id; }

  // 0: it is not there.
  uint64_t Held(uint64_t server, uint64_t chunk) const;
  // What is there and not among these (WhoIs, chunk); but what a loss of power has made unknown may stay.
  using Named = std::set<std::pair<uint64_t, uint64_t>>;
  std::string Left(const Named& named) const;

 private:
  struct Server {
    bool up = true;
    uint64_t id = 0;  // 0: none now
    Chunks chunks;
    Chunks deleted;  // lately; some may be there again after a crash
  };
  // [from, to) were passed over by a start; with the power those numbers may have been in use.
  struct PassedOver {
    uint64_t from = 0, to = 0;
    bool power = false;
  };
  class ModelLinks;
  struct Inventories;

  void Request(uint64_t server, Op op, const google::protobuf::MessageLite& request,
               meta::ChunkserverLinks::Done done);
  void Arrives(uint64_t server, Op op, const std::string& request, const meta::ChunkserverLinks::Done& done);
  Status Mutate(Server& server, const pb::MutateChunkRequest& order);
  void Delete(uint64_t server, const std::vector<uint64_t>& chunks);
  void Told(uint64_t server, const std::vector<uint64_t>& chunks, const char* by);
  bool IsPassedOver(uint64_t chunk, bool with_power = false) const;
  void Register(uint64_t server);
  void NextReport(uint64_t server);
  void Report(uint64_t server);
  void Compare(uint64_t server, uint64_t id, const pb::ReportChunksRequest& request);
  void Up(uint64_t server);
  void Configure();

  World& world_;
  MetaHost& meta_;
  PartFigures* const figures_;
  std::map<uint64_t, Server> servers_;
  pb::ClusterConf conf_;
  std::weak_ptr<Inventories> inventories_;
  Named told_;
  uint64_t highest_ = 0;  // number that any of them has heard of
  std::vector<PassedOver> passed_over_;
  // Since the last start.
  bool began_ = false, power_ = false;
  uint64_t next_ = 0;
  Nanos report_max_ = 0;
  bool calm_ = true, renumbered_ = false;
};

}  // namespace kfs::sim
