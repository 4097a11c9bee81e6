// An administrator on a machine of its own, with a link to each metaserver: what `kfs peer probe`, `kfs
// volume create` and `kfs volume move` ask of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rpc/net_client.h"
#include "tests/sim/cluster/machine.h"

namespace kfs::sim {

struct AdminMachine : Machine {
  using DoneStatus = std::function<void(const Status&)>;

  AdminMachine(World& world, const std::string& address, Credentials credentials,
               std::vector<std::string> metaservers);
  Status Make() override;
  void Drop() override;

  // Of the first metaserver.
  void Probe(size_t metaserver, DoneStatus done);
  void CreateVolume(const std::string& name, uint64_t chunk_size, DoneStatus done);
  // Of all of them: the owner does it, and others say that they are not. Done when one of them says so.
  void Move(const std::string& volume, size_t to, DoneStatus done);

 private:
  template <typename Rpc>
  void Ask(size_t metaserver, typename Rpc::Request request, DoneStatus done);

  const Credentials credentials_;
  const std::vector<std::string> metaservers_;
  std::vector<std::unique_ptr<NetClient>> links_;
};

}  // namespace kfs::sim
