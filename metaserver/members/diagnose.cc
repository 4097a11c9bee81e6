#include "metaserver/members/diagnose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "metaserver/cluster/configuration.h"
#include "rpc/hello.h"

namespace kfs::meta {
namespace {

// Beyond it times in logs mislead, and certificates and tokens begin to fail.
constexpr int64_t kClockApartMax = 1000000000;  // ns

}  // namespace

void Diagnose(const pb::ClusterConf& conf, const std::string& checksum, const pb::MemberConf& member,
              const PeerAnswer& there, int64_t now, pb::PeerWhyReply* reply) {
  const auto find = [&](const char* what, bool good, std::string words, std::string remedy) {
    auto* f = reply->add_finding();
    f->set_what(what);
    f->set_good(good);
    f->set_words(std::move(words));
    if (!good) f->set_remedy(std::move(remedy));
  };
  const pb::PeerAskReply& peer = there.reply;
  if (!there.status.ok()) {
    find("port", false, there.status.message(),
         "check that the machine and its kfs-metaserver run, that the name resolves and the port is not "
         "blocked; if it has moved: kfs peer address " +
             member.address() + " HOST:PORT");
    return;
  }
  find("port", true,
       fmt::format("answers in {:.1f} ms", std::chrono::duration<double, std::milli>(there.took).count()),
       "");
  find("version", peer.software() == kSoftware, fmt::format("{} there, {} here", peer.software(), kSoftware),
       "upgrade the older one");
  const int64_t apart = std::abs(peer.wall() - now);
  find("clock", apart <= kClockApartMax, fmt::format("{:.1f} ms apart", static_cast<double>(apart) / 1e6),
       "run a time service (chrony) on both machines");
  const bool same_cluster = peer.cluster_id() == conf.cluster_id();
  const std::string repair = "kfs peer repair " + member.address();
  find("cluster", same_cluster,
       same_cluster ? "the same" : fmt::format("{} there, {} here", peer.cluster_id(), conf.cluster_id()),
       peer.alone() ? "its state was wiped, or it was set up anew: " + repair
                    : "another metaserver has this address: give the right one (kfs peer address)");
  if (!same_cluster) return;
  const auto other =
      std::ranges::find_if(conf.member(), [&](const auto& m) { return m.uuid() == peer.uuid(); });
  find("identity", peer.uuid() == member.uuid(),
       peer.uuid() == member.uuid() ? "the same"
                                    : fmt::format("{} there{}, {} here", peer.uuid(),
                                                  other == conf.member().end() || other->address().empty()
                                                      ? ""
                                                      : ", which is " + other->address(),
                                                  member.uuid()),
       "another member answers at this address: start each with its own data-dir; if it has moved: kfs peer "
       "address " +
           member.address() + " HOST:PORT");
  if (peer.uuid() != member.uuid()) return;
  // As long as it has none it neither votes nor catches up, whatever else is right.
  if (peer.no_room()) {
    find("room", false, "its disk is full: it takes part in no change, and does not learn of any",
         "make room where its data-dir is; it goes on by itself");
    if (peer.generation() != conf.generation()) return;
  }
  if (!peer.no_room())
    find("vote", HasVote(conf, peer.uuid(), peer.incarnation()),
         HasVote(conf, peer.uuid(), peer.incarnation())
             ? "it votes"
             : fmt::format("incarnation {} there, {} here: no vote yet", peer.incarnation(),
                           member.incarnation()),
         peer.incarnation() == member.incarnation() ? "it votes from the next change on" : repair);
  const bool level = peer.generation() == conf.generation();
  find("generation", level, fmt::format("{} there, {} here", peer.generation(), conf.generation()),
       "the one behind catches up within seconds; if it does not, look at its log");
  if (!level) return;
  find("checksum", peer.checksum() == checksum, peer.checksum() == checksum ? "the same" : "they differ",
       "stop it, move its data-dir/cluster away, start it, then " + repair);
  if (peer.checksum() == checksum) return;
  for (const std::string& line : Differences(conf, peer.conf())) reply->add_difference(line);
}

}  // namespace kfs::meta
