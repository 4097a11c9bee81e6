#include "metaserver/executor/tickets.h"

#include <algorithm>

#include "common/chunk_token.h"
#include "common/link_key.h"

namespace kfs::meta {
namespace {

uint64_t Ms(Duration d) {
  return static_cast<uint64_t>(
      std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
}

}  // namespace

uint64_t Tickets::ExpiresMs(const Session& session) const {
  const uint64_t now = clock_.BootMs(), ago = Ms(clock_.MonoNow() - session.last_heard);
  return now - std::min(now, ago) + Ms(ttl_ - ttl_ / 10);
}

const pb::SessionTicket& Tickets::Ticket(Session& session, ServerId server) {
  pb::SessionTicket& ticket = session.tickets[server];
  const uint64_t expires_ms = ExpiresMs(session);
  // Not for every layout: one that has lost a sixteenth of its time is as good.
  if (ticket.expires_ms() != 0 && expires_ms < ticket.expires_ms() + Ms(ttl_ / 16)) return ticket;
  ticket.set_clock(servers_.clock_id());
  ticket.set_serial(session.ticket_serial);
  ticket.set_expires_ms(expires_ms);
  Sign(session, server, &ticket);
  return ticket;
}

void Tickets::Sign(const Session& session, ServerId server, pb::SessionTicket* ticket) const {
  ticket->set_mac(TicketMac(servers_.TokenKey(server), {.volume = volume_.v,
                                                        .session = session.id.v,
                                                        .clock = ticket->clock(),
                                                        .expires_ms = ticket->expires_ms(),
                                                        .serial = ticket->serial()}));
}

void Tickets::KeyChanged(Session& session, ServerId server) {
  session.link_keys.erase(server);
  if (auto it = session.tickets.find(server); it != session.tickets.end()) Sign(session, server, &it->second);
}

void Tickets::Grant(Session& session, uint32_t rights, pb::ChunkLayout* chunk, pb::LayoutReply* reply) {
  chunk->set_rights(rights);
  for (pb::Server& s : *chunk->mutable_server()) {
    const ServerId server(s.id());
    s.set_mac(TokenMac(servers_.TokenKey(server), {.volume = volume_.v,
                                                   .chunk = chunk->chunk(),
                                                   .version = chunk->version(),
                                                   .session = session.id.v,
                                                   .rights = rights}));
    const bool there =
        std::ranges::any_of(reply->ticket(), [&](const auto& t) { return t.server() == s.id(); });
    if (there) continue;
    pb::ServerTicket* given = reply->add_ticket();
    given->set_server(s.id());
    *given->mutable_ticket() = Ticket(session, server);
  }
  Link(session, chunk);
}

void Tickets::Link(Session& session, pb::ChunkLayout* chunk) {
  for (pb::Server& s : *chunk->mutable_server()) {
    const ServerId server(s.id());
    // A root secret opens the link by itself, but not to who has no root secret.
    if (session.rights.key().empty() && !servers_.HasOwnKey(server)) continue;
    auto& [id, key] = session.link_keys[server];
    if (std::string today = LinkKeyId(session.id, clock_.WallNow()); id != today) {
      key = LinkKey(servers_.TokenKey(server), today);
      id = std::move(today);
    }
    s.set_link_key_id(id);
    s.set_link_key(key);
  }
}

void Tickets::Renew(Session& session, pb::KeepAliveReply* reply) {
  for (const auto& [server, ticket] : session.tickets) {
    pb::ServerTicket* given = reply->add_ticket();
    given->set_server(server.v);
    *given->mutable_ticket() = Ticket(session, server);
  }
}

void Tickets::End(Session& session) {
  if (session.tickets.empty()) return;
  // Of one with very many files open nobody makes a list: any may have been written.
  constexpr size_t kListed = 4096;
  std::shared_ptr<std::unordered_set<Ino>> files;
  if (session.opens.size() <= kListed) {
    files = std::make_shared<std::unordered_set<Ino>>();
    for (const auto& [ino, open] : session.opens) {
      if ((open.rights & kWriteChunk) != 0) files->insert(ino);
    }
  }
  ++session.ticket_serial;
  for (const auto& [server, ticket] : session.tickets) {
    fences_.Add(server, {.session = session.id,
                         .serial = session.ticket_serial,
                         .expires_ms = ticket.expires_ms(),
                         .others = false,
                         .files = files});
  }
  session.tickets.clear();
}

// What an expired one had has run out, so that nobody has to wait: its fence only takes the place of an
// earlier owner's, which would refuse what it is given now.
void Tickets::EndEarlier(Session& session, bool may_write) {
  // Higher than any that this process gave out when it owned the volume before: it ended fewer than these a
  // millisecond.
  constexpr int kEndsPerMsBits = 16;
  session.ticket_serial = std::max(session.ticket_serial, clock_.BootMs() << kEndsPerMsBits);
  for (const auto& [id, server] : servers_.all()) {
    fences_.Add(id, {.session = session.id,
                     .serial = session.ticket_serial,
                     .expires_ms = clock_.BootMs() + Ms(ttl_),
                     .others = true,
                     .files = may_write ? nullptr : std::make_shared<std::unordered_set<Ino>>()});
  }
}

}  // namespace kfs::meta
