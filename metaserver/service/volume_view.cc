#include "metaserver/service/volume_view.h"

#include "metaserver/cluster/configuration.h"

namespace kfs::meta {

void VolumeView::Fill(const pb::VolumeConf& conf, pb::VolumeInfo* out) const {
  out->set_id(conf.id());
  out->set_name(conf.name());
  out->set_chunk_size(conf.chunk_size());
  out->set_replicas(conf.replicas());
  out->set_created(conf.created());
  out->set_owner(NameOf(member_.conf(), conf.owner()));
  out->set_started(conf.started());
  *out->mutable_option() = conf.option();
  *out->mutable_label() = conf.label();
  if (Status trouble = volumes_.Trouble(VolumeId(conf.id())); !trouble.ok())
    out->set_trouble(trouble.message());
  out->set_moving(mover_.Progress(VolumeId(conf.id())));
  lost_.Fill(VolumeId(conf.id()), out);
  if (Volume* v = executor_.FindVolume(VolumeId(conf.id()))) {
    out->set_counted(true);
    out->set_files(v->store.counters().inodes());
    out->set_bytes(v->store.counters().bytes());
    out->set_sessions(static_cast<uint32_t>(v->mounts()));
  }
}

}  // namespace kfs::meta
