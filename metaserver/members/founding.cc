#include "metaserver/members/founding.h"

#include <fmt/format.h>

#include <vector>

#include "common/uuid.h"
#include "rpc/address.h"

namespace kfs::meta {

std::string AdvertisedAddress(EventLoop& loop, const std::string& configured, const std::string& listening) {
  if (!configured.empty()) return configured;
  std::string host;
  uint16_t port = 0;
  if (!SplitAddress(listening, 0, &host, &port).ok()) return listening;
  if (host != "0.0.0.0" && host != "::") return listening;
  return fmt::format("{}:{}", loop.HostName(), port);
}

pb::MemberRecord Founding(const std::string& cluster_id, const std::string& address, Entropy& entropy) {
  pb::MemberRecord record;
  record.set_uuid(NewUuid(entropy));
  record.set_incarnation(1);
  pb::ClusterConf* conf = record.mutable_conf();
  conf->set_cluster_id(cluster_id);
  conf->set_generation(1);
  conf->set_command("(founded)");
  conf->set_originator(record.uuid());
  pb::MemberConf* member = conf->add_member();
  member->set_uuid(record.uuid());
  member->set_incarnation(1);
  member->set_address(address);
  return record;
}

Status FoundIfNew(FileOps& files, const std::string& data_dir, const std::string& address,
                  const ClusterStore& cluster, MemberDb* db, Entropy& entropy) {
  Result<bool> empty = db->Empty();
  if (!empty.ok()) return empty.status();
  if (!*empty) return {};
  if (!cluster.volumes().empty()) {
    // A new configuration would not have them, and what is not in it is deleted.
    return Status(EPROTONOSUPPORT,
                  fmt::format("{} has volumes, but no member's record: an earlier version made it, which "
                              "this one cannot take over; nothing was changed",
                              data_dir));
  }
  // So would volumes whose metaserver's own database is gone, or was not copied along.
  const std::string volumes = data_dir + "/volumes";
  std::vector<std::string> there;
  (void)files.List(volumes, &there);
  if (!there.empty()) {
    return Status(
        EEXIST,
        fmt::format("{} is there, but {}/cluster, which says whose it is, is new: no cluster is founded "
                    "where volumes lie. Put the right cluster directory back; or move the volumes away, "
                    "start, let another member mend this one (kfs peer repair), and put them back; "
                    "or restore them from backups; nothing was changed",
                    volumes + "/" + there.front(), data_dir));
  }
  db->Save(Founding(cluster.cluster_id(), address, entropy), [] {});
  return {};
}

}  // namespace kfs::meta
