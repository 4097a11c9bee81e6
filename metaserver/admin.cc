// The metaserver's ops for the command-line tool: volumes and status.
#include <fmt/format.h>

#include <filesystem>

#include "common/limits.h"
#include "common/log.h"
#include "metaserver/metaserver.h"

namespace kfs::meta {
namespace {

Status CheckVolumeName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kVolumeNameMax && name.front() != '-' && name.back() != '-';
  for (char c : name)
    good = good && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.');
  if (good && name != "." && name != "..") return {};
  return Status(EINVAL,
                fmt::format("a volume's name is 1 to {} letters, digits, '-', '_' or '.'", kVolumeNameMax));
}

}  // namespace

Result<rec::Volume> MetaServer::CreateVolume(const pb::VolumeCreateRequest& request) {
  KFS_RETURN_IF_ERROR(CheckVolumeName(request.name()));
  if (request.request_id().size() > 64) return Status(EINVAL, Code::kMalformed, "request id too long");
  if (const rec::Volume* there = cluster_->FindVolume(request.name())) {
    // The same command, sent again after its answer was lost.
    if (!request.request_id().empty() && there->request_id() == request.request_id()) {
      if (executor_->FindVolume(VolumeId(there->id())) == nullptr) {
        if (Status s = OpenVolume(*there); !s.ok()) return s;
      }
      return *there;
    }
    return Status(EEXIST, fmt::format("there is a volume \"{}\" already", request.name()));
  }
  rec::Volume info;
  info.set_name(request.name());
  info.set_chunk_size(request.chunk_size() != 0 ? request.chunk_size()
                                                : static_cast<uint64_t>(options_.default_chunk_size()));
  info.set_replicas(request.replicas() != 0 ? request.replicas()
                                            : static_cast<uint32_t>(options_.default_replicas()));
  const uint64_t cs = info.chunk_size();
  if (cs < kChunkSizeMin || cs > kChunkSizeMax || (cs & (cs - 1)) != 0) {
    return Status(EINVAL, "the chunk size is a power of two from 64 KiB to 1 GiB");
  }
  if (info.replicas() != 1)
    return Status(EINVAL, "this version keeps one copy of each chunk: replicas must be 1");
  info.set_created(clock_.WallNow());
  info.set_request_id(request.request_id());
  Result<rec::Volume> added = cluster_->AddVolume(info);
  if (!added.ok()) return added;
  if (Status s = OpenVolume(*added); !s.ok()) return s;
  KFS_LOG(info, "volume.created name={} id={} chunk_size={} replicas={}", info.name(), added->id(), cs,
          info.replicas());
  return added;
}

Status MetaServer::DeleteVolume(const pb::VolumeDeleteRequest& request) {
  const rec::Volume* info = cluster_->FindVolume(request.name());
  if (info == nullptr) return Status(ENOENT, fmt::format("there is no volume \"{}\"", request.name()));
  VolumeId id(info->id());
  Volume* volume = executor_->FindVolume(id);
  if (volume != nullptr && volume->mounts() > 0 && !request.force()) {
    return Status(EBUSY, fmt::format("volume \"{}\" is mounted {} times: unmount it first, or force",
                                     request.name(), volume->mounts()));
  }
  rec::Volume deleting = *info;
  deleting.set_deleting(true);
  KFS_RETURN_IF_ERROR(cluster_->UpdateVolume(deleting));  // from here on it is finished after any crash
  executor_->RemoveVolume(id);
  return FinishDelete(id);
}

Status MetaServer::FinishDelete(VolumeId id) {
  KFS_RETURN_IF_ERROR(Db::Destroy(VolumePath(id)));
  std::error_code ec;
  std::filesystem::remove_all(VolumePath(id), ec);
  KFS_LOG(info, "volume.deleted id={}", id.v);
  return cluster_->RemoveVolume(id);  // its chunks are garbage at the next inventory
}

void MetaServer::FillVolume(const rec::Volume& info, pb::VolumeInfo* out) {
  out->set_id(info.id());
  out->set_name(info.name());
  out->set_chunk_size(info.chunk_size());
  out->set_replicas(info.replicas());
  out->set_created(info.created());
  if (Volume* v = executor_->FindVolume(VolumeId(info.id()))) {
    out->set_files(v->store.counters().inodes());
    out->set_bytes(v->store.counters().bytes());
    out->set_sessions(static_cast<uint32_t>(v->mounts()));
  }
}

void MetaServer::FillStatus(pb::ClusterStatusReply* reply) {
  reply->set_cluster_id(cluster_id());
  reply->set_software("kfs 0.1.0");
  reply->set_started(started_wall_);
  reply->set_rss_bytes(ResidentBytes());
  reply->set_connections(static_cast<uint32_t>(server_->connections().size()));
  for (const auto& [id, s] : chunkservers_->all()) {
    auto* c = reply->add_chunkserver();
    c->set_id(id.v);
    c->set_uuid(s.uuid);
    c->set_address(s.address);
    c->set_up(s.up);
    c->set_last_seen(s.last_seen_wall);
    c->set_capacity(s.capacity());
    c->set_available(s.available());
    c->set_chunks(s.chunks());
    c->set_error(s.error());
    c->set_rss_bytes(s.rss_bytes);
    for (const auto& [vid, v] : executor_->volumes()) {
      c->set_pending_mutations(c->pending_mutations() + v->mutations.CountOf(id));
      c->set_pending_deletes(c->pending_deletes() + v->garbage.CountOf(id));
    }
  }
  constexpr int kSessionsShown = 4096;  // one answer has its limit
  for (const auto& [vid, v] : executor_->volumes()) {
    for (const auto& [sid, s] : v->sessions) {
      if (reply->session_size() >= kSessionsShown) break;
      if (s->expired != 0) continue;
      auto* out = reply->add_session();
      out->set_id(sid.v);
      out->set_volume(v->info.name());
      out->set_host(s->host);
      out->set_mountpoint(s->mountpoint.substr(0, 100));
      out->set_attached(s->connection != nullptr);
      out->set_opens(static_cast<uint32_t>(s->opens.size()));
      out->set_locks(static_cast<uint32_t>(v->locks.CountOf(sid)));
      out->set_replies_kept(static_cast<uint32_t>(s->replies.size()));
    }
  }
  for (const auto& [id, info] : cluster_->volumes()) {
    if (!info.deleting()) FillVolume(info, reply->add_volume());
  }
  for (const auto& [number, stats] : server_->stats()) {
    auto* op = reply->add_op();
    op->set_name(std::string(OpName(static_cast<Op>(number))));
    op->set_count(stats->count);
    op->set_errors(stats->errors);
    op->set_micros(stats->micros);
  }
}

void MetaServer::RegisterAdmin() {
  server_->Handle<rpc::VolumeCreate>([this](IncomingCallPtr call, const pb::VolumeCreateRequest& request) {
    Result<rec::Volume> made = CreateVolume(request);
    if (!made.ok()) return call->Fail(made.status());
    pb::VolumeReply reply;
    FillVolume(*made, reply.mutable_volume());
    call->Reply(reply);
  });
  server_->Handle<rpc::VolumeDelete>([this](IncomingCallPtr call, const pb::VolumeDeleteRequest& request) {
    Status s = DeleteVolume(request);
    if (!s.ok()) return call->Fail(s);
    call->Reply(pb::Empty());
  });
  server_->Handle<rpc::VolumeList>([this](IncomingCallPtr call, const pb::VolumeListRequest&) {
    pb::VolumeListReply reply;
    for (const auto& [id, info] : cluster_->volumes()) {
      if (!info.deleting()) FillVolume(info, reply.add_volume());
    }
    call->Reply(reply);
  });
  server_->Handle<rpc::VolumeInfo>([this](IncomingCallPtr call, const pb::VolumeInfoRequest& request) {
    const rec::Volume* info = cluster_->FindVolume(request.name());
    if (info == nullptr) return call->Fail(Status(ENOENT, "there is no volume \"" + request.name() + "\""));
    pb::VolumeReply reply;
    FillVolume(*info, reply.mutable_volume());
    call->Reply(reply);
  });
  server_->Handle<rpc::ClusterStatus>([this](IncomingCallPtr call, const pb::ClusterStatusRequest&) {
    pb::ClusterStatusReply reply;
    FillStatus(&reply);
    call->Reply(reply);
  });
}

}  // namespace kfs::meta
