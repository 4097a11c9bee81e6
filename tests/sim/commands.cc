// Who asks for what, and what becomes of the callers.
#include <fmt/format.h>

#include "cluster_world.h"
#include "metaserver/cluster/configuration.h"

namespace kfs::sim {

void World::Submit(Machine& m, meta::Command command) {
  if (m.node == nullptr) return;
  const std::string words = command.words;
  const bool dry = command.dry_run || command.read;
  meta::Command copy = command;
  // The id is not known before Submit returns, and the answer may come inside.
  auto id = std::make_shared<std::string>();
  auto early = std::make_shared<std::optional<meta::Outcome>>();
  const std::string added = command.change.add_member().member().uuid();
  auto note = [this, words, dry, added, &m, who = m.uuid](const std::string& of, const meta::Outcome& o) {
    Tell(fmt::format("{} answers {} \"{}\": {} generation={} {}", who, of, words,
                     o.kind == meta::Outcome::kDone      ? "done"
                     : o.kind == meta::Outcome::kUnknown ? "unknown"
                                                         : "nothing changed",
                     o.generation, o.status.ToString()));
    if (dry) return;
    if (o.kind == meta::Outcome::kDone) {
      ++counts_.done;
      witness_.Acknowledged(of);
      for (auto& a : machines_) {
        if (a->uuid == added) Adopt(*a, m.disk.conf());
      }
    } else if (o.kind == meta::Outcome::kUnknown) {
      ++counts_.unknown;
    } else {
      ++counts_.refused;
      if (std::string broken = witness_.Refused(of); !broken.empty()) Break(broken);
    }
  };
  On(m, m.life, [&](meta::ClusterNode& node) {
    *id = node.Submit(std::move(command), [id, early, note](const meta::Outcome& o) {
      if (id->empty()) {
        *early = o;
      } else {
        note(*id, o);
      }
    });
    if (early->has_value() && !id->empty()) note(*id, **early);
  });
  if (!dry && !id->empty()) {
    copy.id = *id;
    last_ = std::move(copy);
  }
  if (m.node != nullptr) Tell(fmt::format("{} begins {} \"{}\"", m.uuid, *id, words));
}

// In a calm history often the one that has heard of the lowest ballot: somebody who has missed what the
// others have promised meanwhile.
Machine& World::Somebody() {
  Machine* m = machines_[random_() % machines_.size()].get();
  while (Alone(*m)) m = machines_[random_() % machines_.size()].get();
  if (plan_.busy || random_() % 2 == 0) return *m;
  for (auto& o : machines_) {
    if (o->node == nullptr || o->disk.conf().generation() == 0 || Alone(*o)) continue;
    if (m->node == nullptr || meta::Lower(o->node->acceptor().promised(), m->node->acceptor().promised()))
      m = o.get();
  }
  return *m;
}

void World::SubmitSomething() {
  Machine& m = Somebody();
  meta::Command command;
  command.timeout = std::chrono::milliseconds(Between(2000, plan_.timeout_ms_max));
  // Somebody without a vote has lost its state: most often that is mended first.
  for (auto& o : machines_) {
    if (m.node == nullptr || random_() % 4 == 0) break;
    const pb::MemberConf* known = meta::FindMember(m.node->acceptor().conf(), o->uuid);
    if (known == nullptr || known->incarnation() >= o->disk.incarnation()) continue;
    command.words = "readmit " + o->uuid;
    command.change.mutable_readmit()->set_uuid(o->uuid);
    command.change.mutable_readmit()->set_incarnation(o->disk.incarnation());
    return Submit(m, std::move(command));
  }
  if (random_() % 10 == 0 && !last_.id.empty()) {
    // Its client has heard nothing and asks again, maybe somewhere else. What one of the two says of its own
    // try says nothing about the other's.
    witness_.TriedAgain(last_.id);
    return Submit(m, last_);
  }
  if (random_() % plan_.regroup_of == 0 && m.node != nullptr && ChangeMembers(m)) return;
  const std::string name = "v" + std::to_string(random_() % 4);
  command.dry_run = random_() % 20 == 0;
  command.read = random_() % 10 == 0;
  switch (random_() % 6) {
    case 0: {
      auto* c = command.change.mutable_create_volume();
      c->set_chunk_size(64 << 20);
      c->set_name(name);
      const pb::ClusterConf& conf = m.disk.conf();
      const auto members = static_cast<uint64_t>(conf.member_size());
      // Every other one goes to whoever is there.
      if (members != 0 && random_() % 2 == 0)
        c->set_owner(conf.member(static_cast<int>(random_() % members)).uuid());
      c->set_replicas(1);
      command.words = "volume create " + name;
      break;
    }
    case 1:
      command.change.mutable_stop_volume()->set_name(name);
      command.words = "volume stop " + name;
      break;
    case 2:
      command.change.mutable_delete_volume()->set_name(name);
      command.words = "volume delete " + name;
      break;
    default: {
      auto* c = command.change.mutable_set_option();
      c->set_name("user.option" + std::to_string(random_() % 3));
      c->set_value(std::to_string(random_() % 1000));
      command.words = "set " + c->name() + " " + c->value();
    }
  }
  Submit(m, std::move(command));
}

bool World::Alone(const Machine& m) { return m.disk.conf().cluster_id() != kCluster; }

// Tells a machine that it is a member, as whoever has probed it does (metaserver/members/peer_ops.h).
void World::Adopt(Machine& m, const pb::ClusterConf& conf) {
  if (Chance(faults_.drop)) return;
  At(Between(0, Chance(faults_.late) ? 9000 : 20) * kMs, [this, &m, conf] {
    const pb::ClusterConf& own = m.disk.conf();
    const pb::MemberConf* self = meta::FindMember(conf, m.uuid);
    if (m.node == nullptr || self == nullptr || self->incarnation() != m.disk.incarnation()) return;
    // What it has learnt since is not taken back: it could vote twice on the same generation.
    if (!Alone(m) && own.generation() >= conf.generation()) return;
    if (!m.writes.empty()) return;  // it waits for them; whoever has probed it asks again
    const bool out = meta::FindMember(own, m.uuid) == nullptr;
    if (!out && (!Alone(m) || own.member_size() > 1)) return;  // knows it, or belongs to others
    pb::MemberRecord record;
    record.set_uuid(m.uuid);
    record.set_incarnation(m.disk.incarnation());
    *record.mutable_conf() = conf;
    Tell(fmt::format("{} joins in generation {}", m.uuid, conf.generation()));
    Start(m, &record);
  });
}

bool World::ChangeMembers(Machine& m) {
  const pb::ClusterConf& conf = m.node->acceptor().conf();
  Machine& o = *machines_[random_() % machines_.size()];
  meta::Command command;
  command.timeout = std::chrono::milliseconds(Between(2000, plan_.timeout_ms_max));
  const pb::MemberConf* known = meta::FindMember(conf, o.uuid);
  if (known == nullptr && conf.generation() > 0) {
    command.words = "peer probe " + o.uuid;
    pb::MemberConf* member = command.change.mutable_add_member()->mutable_member();
    member->set_uuid(o.uuid);
    member->set_address("host" + o.uuid.substr(1) + ":7400");
    member->set_incarnation(o.disk.incarnation());
  } else if (known != nullptr && Alone(o)) {
    // An earlier probe was interrupted before it was told.
    Adopt(o, conf);
    return true;
  } else if (known != nullptr && conf.member_size() > plan_.members_min) {
    command.words = "peer detach " + o.uuid;
    command.change.mutable_remove_member()->set_uuid(o.uuid);
  } else {
    return false;
  }
  Submit(m, std::move(command));
  return true;
}

}  // namespace kfs::sim
