#include "metaserver/admin/link_view.h"

#include <map>
#include <tuple>

#include "rpc/hello.h"

namespace kfs::meta {
namespace {

constexpr MetricFamily kLinks{MetricType::kGauge, "kfs_meta_links",
                              "Links that others have to this metaserver"};
constexpr MetricFamily kOldSecretLinks{
    MetricType::kGauge, "kfs_meta_old_secret_links",
    "Links by the root secret before this one; there is none without old-secret-file"};

const char* RoleWord(pb::HelloRequest::Role role) {
  switch (role) {
    case pb::HelloRequest::CLIENT:
      return "mount";
    case pb::HelloRequest::CHUNKSERVER:
      return "chunkserver";
    case pb::HelloRequest::METASERVER:
      return "metaserver";
    default:
      return "admin";
  }
}

std::string ShownKey(const Connection& c) { return c.hello.key_id().empty() ? kRootKeyId : c.hello.key_id(); }

}  // namespace

void LinkView::Fill(pb::ClusterStatusReply* reply) const {
  const Credentials& own = member_.credentials();
  reply->set_tls(std::string(TlsModeName(own.policy().tls)));
  reply->set_secret(own.key_id());
  if (own.older() != nullptr) reply->set_old_secret(own.older()->key_id());
  for (const ConnectionPtr& c : server_.connections()) {
    if (!c->greeted || c->hello.role() != pb::HelloRequest::METASERVER) continue;
    auto* peer = reply->add_peer();
    peer->set_uuid(c->hello.id());
    peer->set_link(c->stream().kind());
    peer->set_key(ShownKey(*c));
    peer->set_tls(std::string(TlsWord(c->hello)));
  }
}

void LinkView::Show(MetricsPage& page) const {
  std::map<std::tuple<std::string, std::string>, uint64_t> links;
  std::map<std::string, uint64_t> older;
  for (const char* role : {"mount", "chunkserver", "metaserver", "admin"}) {
    links[{role, "plain"}] = 0;
    older[role] = 0;
  }
  for (const ConnectionPtr& c : server_.connections()) {
    if (!c->greeted) continue;
    ++links[{RoleWord(c->hello.role()), std::string(c->stream().kind())}];
    if (keyring_.IsOlder(c->hello.key_id())) ++older[RoleWord(c->hello.role())];
  }
  for (const auto& [of, count] : links)
    page.Add(kLinks, count, {{"role", std::get<0>(of)}, {"link", std::get<1>(of)}});
  if (member_.credentials().older() == nullptr) return;
  for (const auto& [role, count] : older) page.Add(kOldSecretLinks, count, {{"role", role}});
}

}  // namespace kfs::meta
