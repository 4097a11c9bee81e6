// Metaservers as members only: real sockets, databases and threads, no volumes.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <thread>

#include "common/uuid.h"
#include "metaserver/admin/configuration_service.h"
#include "metaserver/cluster/configuration.h"
#include "metaserver/members/founding.h"
#include "metaserver/members/peer_service.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::meta {

constexpr char kSecret[] = "0123456789abcdef-test";

struct Made {
  Status status;
  pb::ConfChangeReply reply;
};

// Methods are for the test's thread; what they do is done on the member's.
class TestMember : public MemberEnv {
 public:
  TestMember(std::string dir, std::string address) : dir_(std::move(dir)), address_(std::move(address)) {
    Start();
  }
  ~TestMember() override { Stop(); }

  void Start() {
    std::filesystem::create_directories(dir_);
    On([this] {
      auto db = Db::Open(dir_ + "/cluster", "cluster", memory_);
      ASSERT_TRUE(db.ok()) << db.status().ToString();
      db_ = std::move(*db);
      store_ = std::make_unique<MemberDb>(*db_);
      chunkservers_ = std::make_unique<Chunkservers>(*db_, clock_);
      server_ = std::make_unique<Server>(thread_.loop(), ServerIdentity{.role = pb::HelloRequest::METASERVER,
                                                                        .cluster_id = "",
                                                                        .keyring = RootKeyring(kSecret)});
      const Status listening = server_->Listen(address_);
      ASSERT_TRUE(listening.ok()) << listening.ToString();
      address_ = server_->address();
      if (*store_->Empty()) store_->Save(Founding(NewUuid(SystemRandom()), address_), [] {});
      sync_ = std::make_unique<WalSync>(thread_.loop());
      store_->SyncOn(sync_.get());
      member_ = std::make_unique<Member>(thread_.loop(), clock_, *store_, Credentials::Root(kSecret),
                                         TestStop(SystemFiles(), ""), server_->dispatcher());
      member_->Serve(*this);
      server_->SetClusterId(member_->conf().cluster_id());
      peers_ = std::make_unique<PeerOps>(thread_.loop(), clock_, *member_, *this);
      RegisterPeerOps(*server_, *member_, *peers_);
      RegisterConfigurationOps(*server_, *member_, *peers_, *chunkservers_);
      member_->Start();
    });
  }
  void Stop() {
    On([this] {
      if (server_ != nullptr) server_->Stop();
      if (member_ != nullptr) member_->Stop();
      if (store_ != nullptr) store_->SyncOn(nullptr);
      sync_.reset();
      peers_.reset();
      server_.reset();
      member_.reset();
      chunkservers_.reset();
      store_.reset();
      db_.reset();
    });
  }
  // To another port.
  void Move() {
    Stop();
    address_ = address_.substr(0, address_.rfind(':')) + ":0";
    Start();
  }
  void Wipe() {
    Stop();
    std::filesystem::remove_all(dir_);
    Start();
  }
  void Hold(std::string what) {
    On([&] { holds_ = std::move(what); });
  }

  const std::string& address() const { return address_; }
  template <typename Fn>
  auto Ask(Fn fn) {
    decltype(fn(*member_)) out{};
    On([&] { out = fn(*member_); });
    return out;
  }
  std::string uuid() {
    return Ask([](Member& m) { return m.uuid(); });
  }
  pb::ClusterConf conf() {
    return Ask([](Member& m) { return m.conf(); });
  }
  // All peers that it sees are its friends, and it hears them.
  bool Friends() {
    return Ask([](Member& m) {
      for (const PeerView& p : m.node().Peers()) {
        if (!p.connected || p.state != FriendState::kBefriended) return false;
      }
      return m.conf().member_size() == static_cast<int>(m.node().Peers().size()) + 1;
    });
  }

  static pb::CommandContext Context(const std::string& words,
                                    const std::string& id = NewUuid(SystemRandom())) {
    pb::CommandContext ctx;
    ctx.set_words(words);
    ctx.set_request_id(id);
    ctx.set_timeout_ms(10000);
    return ctx;
  }
  Made Change(const pb::Change& change, const std::string& words = "change", uint32_t timeout_ms = 10000) {
    pb::CommandContext ctx = Context(words);
    ctx.set_timeout_ms(timeout_ms);
    return Wait([&](Member::ChangeDone done) { member_->Change(ctx, change, std::move(done)); });
  }
  Made SetNote(const std::string& value, uint32_t timeout_ms = 10000) {
    pb::Change c;
    c.mutable_set_option()->set_name("user.note");
    c.mutable_set_option()->set_value(value);
    return Change(c, "cluster set user.note " + value, timeout_ms);
  }
  Made Detach(const std::string& peer) {
    pb::Change c;
    c.mutable_remove_member()->set_uuid(peer);
    return Change(c, "peer detach " + peer);
  }
  Made Probe(const std::string& address, bool dry_run = false,
             const std::string& id = NewUuid(SystemRandom())) {
    pb::PeerProbeRequest r;
    *r.mutable_ctx() = Context("peer probe " + address, id);
    r.mutable_ctx()->set_dry_run(dry_run);
    r.set_address(address);
    return Wait([&](Member::ChangeDone done) { peers_->Probe(r, std::move(done)); });
  }
  Made SetAddress(const std::string& peer, const std::string& address) {
    pb::ConfChangeRequest r;
    *r.mutable_ctx() = Context("peer address " + peer + " " + address);
    r.mutable_change()->mutable_set_address()->set_uuid(peer);
    r.mutable_change()->mutable_set_address()->set_address(address);
    return Wait([&](Member::ChangeDone done) { peers_->SetAddress(r, std::move(done)); });
  }
  // As a probe from that cluster does.
  void ReserveFor(const std::string& cluster_id) {
    pb::PeerAskRequest r;
    r.set_reserve_for(cluster_id);
    On([&] { peers_->Reply(r, "", [](const pb::PeerAskReply&) {}); });
  }
  Made Repair(const std::string& peer) {
    pb::PeerRepairRequest r;
    *r.mutable_ctx() = Context("peer repair " + peer);
    r.set_peer(peer);
    return Wait([&](Member::ChangeDone done) { peers_->Repair(r, std::move(done)); });
  }
  Status Adopt(const pb::PeerAdoptRequest& request) {
    std::promise<Status> promise;
    On([&] { peers_->Adopt(request, [&](const Status& s) { promise.set_value(s); }); });
    return promise.get_future().get();
  }
  // The first finding that is bad; empty: none.
  std::string Why(const std::string& peer) {
    std::promise<std::string> promise;
    On([&] {
      peers_->Why(peer, [&](const Status& s, const pb::PeerWhyReply& reply) {
        if (!s.ok()) return promise.set_value(s.message());
        for (const auto& f : reply.finding()) {
          if (!f.good()) return promise.set_value(f.what());
        }
        promise.set_value("");
      });
    });
    return promise.get_future().get();
  }

  // MemberEnv: no volumes, no chunkservers.
  void ConfigurationChanged(const pb::ClusterConf&) override {}
  Status Validate(const pb::Change&, const pb::ClusterConf&) override { return {}; }
  void Prepare(const pb::ClusterConf&, const pb::Ballot&, std::function<void(Status)> done) override {
    done({});
  }
  void Report(std::function<void(pb::MemberReport)> done) override { done({}); }
  VolumeDefaults DefaultsOfVolumes() override { return {.chunk_size = 1 << 26, .replicas = 1}; }
  ChunkserverAddresses AddressesOfChunkservers() override { return {}; }
  void HeardSyncPoints(const google::protobuf::RepeatedPtrField<pb::SyncPoint>&) override {}
  std::string WhyNotLeave() override { return holds_; }
  void JoinCluster(const std::string& id) override { server_->SetClusterId(id); }
  const Chunkserver* FindChunkserver(const std::string&) override { return nullptr; }

 private:
  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }
  Made Wait(const std::function<void(Member::ChangeDone)>& begin) {
    std::promise<Made> promise;
    On([&] {
      begin([&](const Status& s, const pb::ConfChangeReply& reply) { promise.set_value({s, reply}); });
    });
    return promise.get_future().get();
  }

  const std::string dir_;
  std::string address_;
  std::string holds_;  // why it cannot join
  SystemClock clock_;
  DbMemory memory_{16 << 20};
  LoopThread thread_{"test-member"};
  std::unique_ptr<Db> db_;
  std::unique_ptr<MemberDb> store_;
  std::unique_ptr<WalSync> sync_;
  std::unique_ptr<Chunkservers> chunkservers_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Member> member_;
  std::unique_ptr<PeerOps> peers_;
};

class MembersTest : public testing::Test {
 protected:
  void TearDown() override { members_.clear(); }
  // Alone, in a cluster of its own. The address is one that outgoing connections do not take ports of, so
  // that the member finds its port free when it starts again.
  TestMember& Found() {
    const int pid = getpid();
    const std::string n = std::to_string(members_.size());
    members_.push_back(std::make_unique<TestMember>(
        dir_ + "/" + n,
        "127.77." + std::to_string(pid / 250 % 250 + 1) + "." + std::to_string(pid % 250 + 1) + ":0"));
    return *members_.back();
  }
  // The first takes in the others.
  void Cluster(size_t n) {
    while (members_.size() < n) Found();
    for (size_t i = 1; i < n; ++i) {
      const Made made = members_[0]->Probe(members_[i]->address());
      ASSERT_TRUE(made.status.ok()) << made.status.ToString();
    }
    WaitUntil("all are friends", [&] {
      for (const auto& m : members_) {
        if (!m->Friends()) return false;
      }
      return true;
    });
  }
  TestMember& operator[](size_t i) { return *members_[i]; }

  static void WaitUntil(const std::string& what, const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << "waited for: " << what;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  static void WaitNote(TestMember& m, const std::string& value) {
    WaitUntil("note " + value, [&] {
      const pb::ClusterConf conf = m.conf();
      auto it = conf.option().find("user.note");
      return it != conf.option().end() && it->second == value;
    });
  }

  const TempDir temp_;
  const std::string dir_ = temp_.path();
  std::vector<std::unique_ptr<TestMember>> members_;
};

}  // namespace kfs::meta
