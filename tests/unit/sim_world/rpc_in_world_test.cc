// Server and NetClient, as they are, in a simulated world: what they promise holds whatever happens to hosts
// and connections, and what has happened once happens again.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "proto/op_types.h"
#include "rpc/net_client.h"
#include "rpc/server.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/world/process.h"
#include "tests/sim/world/world.h"

namespace kfs::sim {
namespace {

constexpr char kSecret[] = "0123456789abcdef-test";
constexpr char kServer[] = "10.0.0.1:7400";

Mishaps Bad() {
  Mishaps m;
  m.stop_chance = 0.0005;
  m.stop_max = 3 * kSecond;
  m.slow_chance = 0.02;
  m.cut_chance = 0.01;
  m.drift_max = 0.01;
  return m;
}

Credentials Plain() { return Credentials::Root(kSecret).With({.tls = TlsMode::kOff, .socket_dir = {}}); }

// A server that counts how often it has been asked for each number, and how often it was started.
class Serving : public Machine {
 public:
  Serving(World& w, std::map<uint64_t, int>& asked) : Machine(w, kServer, {}), asked_(asked) {}

 private:
  Status Make() override {
    server_ = std::make_unique<Server>(process->loop(),
                                       ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                      .cluster_id = "a",
                                                      .keyring = RootKeyring(kSecret),
                                                      .policy = {.tls = TlsMode::kOff, .socket_dir = {}}});
    server_->Handle<rpc::Readlink>([this](IncomingCallPtr call, const pb::ReadlinkRequest& request) {
      ++asked_[request.ino()];
      pb::ReadlinkReply reply;
      reply.set_target(fmt::format("target of {}", request.ino()));
      // Now and then it waits, as for a lock.
      if (world.Chance(0.2)) {
        call->Parked();
        world.At(world.now() + world.Between(0, kSecond), process, [call, reply] { call->Reply(reply); });
      } else {
        call->Reply(reply);
      }
    });
    return server_->Listen(kServer);
  }
  void Drop() override { server_.reset(); }

  std::map<uint64_t, int>& asked_;
  std::unique_ptr<Server> server_;
};

struct Outcome {
  uint64_t hash = 0, events = 0;
  int answered = 0, wrong = 0, twice = 0;
  uint64_t served = 0;
};

Outcome RunWorld(uint64_t seed, Mishaps mishaps, int calls, int restarts) {
  Outcome out;
  World world(seed, mishaps);
  std::map<uint64_t, int> asked;
  Serving serving(world, asked);
  serving.Start();
  struct Client {
    std::shared_ptr<Process> process;
    std::shared_ptr<NetClient> net;
    std::set<uint64_t> answered;
  };
  std::vector<std::unique_ptr<Client>> clients;
  for (int c = 0; c < 3; ++c) {
    auto client = std::make_unique<Client>();
    const std::string name = fmt::format("10.0.1.{}", c + 1);
    client->process = world.AddHost(name)->Start("client");
    NetClient::Options o;
    o.name = "server";
    o.addresses = {kServer};
    o.role = pb::HelloRequest::CLIENT;
    o.id = name;
    o.credentials = Plain();
    o.may_give_up = false;
    client->net = std::make_shared<NetClient>(client->process->loop(), o);
    for (int i = 0; i < calls; ++i) {
      const uint64_t ino = static_cast<uint64_t>(c * 1000 + i + 1);
      world.At(world.Between(0, 20 * kSecond), client->process, [&out, ino, c = client.get()] {
        pb::ReadlinkRequest request;
        request.set_ino(ino);
        c->net->Enqueue<rpc::Readlink>(request, [&out, ino, c](Answer answer) {
          if (!c->answered.insert(ino).second) ++out.twice;
          pb::ReadlinkReply reply;
          if (!ParseAnswer(answer, &reply).ok() || reply.target() != fmt::format("target of {}", ino))
            ++out.wrong;
          ++out.answered;
        });
      });
    }
    clients.push_back(std::move(client));
  }
  for (int r = 0; r < restarts; ++r) {
    world.At(world.Between(0, 20 * kSecond), nullptr, [&] {
      serving.Crash(false);
      world.At(world.now() + world.Between(0, 2 * kSecond), nullptr, [&] {
        if (!serving.up()) serving.Start();
      });
    });
    world.At(world.Between(0, 20 * kSecond), nullptr, [&] {
      world.Cut("10.0.0.1", "10.0.1.1", true);
      world.At(world.now() + world.Between(0, 8 * kSecond), nullptr,
               [&] { world.Cut("10.0.0.1", "10.0.1.1", false); });
    });
  }
  world.RunUntil([&] { return out.answered == 3 * calls; }, 3600 * kSecond);
  out.hash = world.Hash();
  out.events = world.events();
  for (const auto& [ino, n] : asked) out.served += static_cast<uint64_t>(n);
  for (auto& c : clients) {
    c->process->Kill();
    c->net.reset();
  }
  serving.Crash(false);
  world.RunUntil(world.now());
  return out;
}

TEST(RpcInWorldTest, InAQuietWorldEachCallIsServedOnce) {
  const Outcome out = RunWorld(1, {}, 40, 0);
  EXPECT_EQ(out.answered, 120);
  EXPECT_EQ(out.wrong + out.twice, 0);
  EXPECT_EQ(out.served, 120u);
}

TEST(RpcInWorldTest, EachCallIsAnsweredOnceWhateverHappens) {
  uint64_t again = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const Outcome out = RunWorld(seed, Bad(), 40, 3);
    ASSERT_EQ(out.answered, 120) << "seed " << seed;
    ASSERT_EQ(out.wrong + out.twice, 0) << "seed " << seed;
    again += out.served - 120;
  }
  EXPECT_GT(again, 100u);  // or nothing has happened to them
}

// What is told of a machine takes its bytes on the network: of the one that simulates it would be another
// history with each host, and with each world that was before.
TEST(RpcInWorldTest, WhatTheMachineIsFollowsFromTheWorld) {
  World world(1);
  const auto process = world.AddHost("10.0.0.1")->Start("server");
  EXPECT_EQ(process->loop().HostName(), "10.0.0.1");
  const uint64_t before = process->loop().ResidentBytes();
  const std::vector<char> more(64u << 20, 'x');
  EXPECT_EQ(process->loop().ResidentBytes(), before);
  EXPECT_EQ(more.back(), 'x');
  process->Kill();
}

TEST(RpcInWorldTest, TheSameSeedIsTheSameWorld) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Outcome first = RunWorld(seed, Bad(), 20, 3), second = RunWorld(seed, Bad(), 20, 3);
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events);
    EXPECT_NE(first.hash, RunWorld(seed + 100, Bad(), 20, 3).hash);
  }
}

}  // namespace
}  // namespace kfs::sim
