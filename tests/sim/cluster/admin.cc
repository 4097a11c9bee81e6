#include "tests/sim/cluster/admin.h"

#include <utility>

#include "common/uuid.h"
#include "proto/op_types.h"

namespace kfs::sim {
namespace {

constexpr auto kTimeout = std::chrono::seconds(20);

}  // namespace

AdminMachine::AdminMachine(World& w, const std::string& a, Credentials credentials,
                           std::vector<std::string> metaservers)
    : Machine(w, a, {}), credentials_(std::move(credentials)), metaservers_(std::move(metaservers)) {}

Status AdminMachine::Make() {
  for (const std::string& address : metaservers_) {
    NetClient::Options options;
    options.name = "metaserver";
    options.addresses = {address};
    options.role = pb::HelloRequest::ADMIN;
    options.id = NewUuid(process->loop().entropy());
    options.credentials = credentials_;
    options.may_give_up = false;
    links_.push_back(std::make_unique<NetClient>(process->loop(), std::move(options)));
  }
  return {};
}

void AdminMachine::Drop() { links_.clear(); }

template <typename Rpc>
void AdminMachine::Ask(size_t metaserver, typename Rpc::Request request, DoneStatus done) {
  request.mutable_ctx()->set_request_id(NewUuid(process->loop().entropy()));
  world.At(world.now(), process, [this, metaserver, request = std::move(request), done = std::move(done)] {
    links_[metaserver]->Enqueue<Rpc>(
        request, [done](Answer answer) { done(answer.status); }, kTimeout);
  });
}

void AdminMachine::Probe(size_t metaserver, DoneStatus done) {
  pb::PeerProbeRequest request;
  request.set_address(metaservers_[metaserver]);
  Ask<rpc::PeerProbe>(0, std::move(request), std::move(done));
}

void AdminMachine::CreateVolume(const std::string& name, uint64_t chunk_size, DoneStatus done) {
  pb::ConfChangeRequest request;
  auto* volume = request.mutable_change()->mutable_create_volume();
  volume->set_name(name);
  volume->set_chunk_size(chunk_size);
  Ask<rpc::ConfChange>(0, std::move(request), std::move(done));
}

void AdminMachine::Move(const std::string& volume, size_t to, DoneStatus done) {
  pb::VolumeMoveRequest request;
  request.set_name(volume);
  request.set_peer(metaservers_[to]);
  auto outstanding = std::make_shared<size_t>(metaservers_.size());
  auto gather = [outstanding, done = std::move(done)](const Status& s) {
    if (*outstanding == 0) return;
    if (!s.ok() && --*outstanding != 0) return;
    *outstanding = 0;
    done(s);
  };
  for (size_t i = 0; i < metaservers_.size(); ++i) Ask<rpc::VolumeMove>(i, request, gather);
}

}  // namespace kfs::sim
