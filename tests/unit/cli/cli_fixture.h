// The whole command line in one process with servers that answer as metaservers would: what was asked of them
// is kept, what they say is up to the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "cli/command.h"
#include "proto/op_types.h"
#include "rpc/server.h"
#include "tests/unit/common/temp_dir.h"
#include "tests/unit/rpc/on_loop.h"

namespace kfs::cli {

constexpr char kTestSecret[] = "0000000000000000000000000000000000000000000000000000000000000007";

// One metaserver. Answers are set before it is asked.
class FakeMember {
 public:
  // `uuid`: what it says to a Ping. Only chunkservers say something.
  explicit FakeMember(const std::string& uuid = "",
                      pb::HelloRequest::Role role = pb::HelloRequest::METASERVER) {
    Start("127.0.0.1:0", uuid, role);
  }
  ~FakeMember() { Stop(); }
  void Stop() {
    On([this] {
      held_.clear();
      server_.reset();
    });
  }

  // The answer to Rpc, and what was asked last. An error with `status`.
  template <typename Rpc>
  void Answer(typename Rpc::Reply reply, Status status = {}) {
    On([this, reply, status] {
      server_->Handle<Rpc>([this, reply, status](IncomingCallPtr call, const typename Rpc::Request& request) {
        Keep(Rpc::kOp, request.SerializeAsString());
        if (status.ok()) return call->Reply(reply);
        call->Fail(status);
      });
    });
  }
  // Closes the connection instead of answering, the first `times`; then answers.
  template <typename Rpc>
  void Drop(int times, typename Rpc::Reply reply) {
    On([this, times, reply] {
      auto left = std::make_shared<int>(times);
      server_->Handle<Rpc>([this, left, reply](IncomingCallPtr call, const typename Rpc::Request& request) {
        Keep(Rpc::kOp, request.SerializeAsString());
        if ((*left)-- > 0) return call->connection()->Close(Status(ECONNRESET, "test"));
        call->Reply(reply);
      });
    });
  }
  template <typename Rpc>
  void NeverAnswer() {
    On([this] {
      server_->Handle<Rpc>([this](IncomingCallPtr call, const typename Rpc::Request& request) {
        Keep(Rpc::kOp, request.SerializeAsString());
        held_.push_back(std::move(call));
      });
    });
  }
  template <typename Rpc>
  std::vector<typename Rpc::Request> Asked() {
    std::lock_guard lock(mutex_);
    std::vector<typename Rpc::Request> out;
    for (const auto& [op, bytes] : asked_) {
      if (op == Rpc::kOp) out.emplace_back().ParseFromString(bytes);
    }
    return out;
  }
  const std::string& address() const { return address_; }

 private:
  void On(const std::function<void()>& fn) { OnLoop(thread_.loop(), fn); }
  void Start(const std::string& address, const std::string& uuid, pb::HelloRequest::Role role) {
    On([&, this] {
      server_ = std::make_unique<Server>(
          thread_.loop(),
          ServerIdentity{.role = role, .cluster_id = "c", .keyring = RootKeyring(kTestSecret), .uuid = uuid});
      Status s = server_->Listen(address);
      ASSERT_TRUE(s.ok()) << s.ToString();
      address_ = server_->address();
    });
  }
  void Keep(Op op, std::string bytes) {
    std::lock_guard lock(mutex_);
    asked_.emplace_back(op, std::move(bytes));
  }

  LoopThread thread_{"fake-member"};
  std::unique_ptr<Server> server_;     // loop's thread
  std::vector<IncomingCallPtr> held_;  // loop's thread
  std::string address_;
  std::mutex mutex_;
  std::vector<std::pair<Op, std::string>> asked_;  // guarded by mutex_
};

class CliFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(dir_ + "/secret") << kTestSecret << "\n";
    ASSERT_EQ(chmod((dir_ + "/secret").c_str(), 0600), 0);
    unsetenv("KFS_METASERVER");
    unsetenv("KFS_SECRET_FILE");
  }

  std::vector<std::string> GlobalArgs() {
    std::string members = member_.address();
    for (const std::string& m : more_members_) members += "," + m;
    return {"--metaserver", members, "--secret-file", dir_ + "/secret"};
  }
  // kfs ARGS...: the exit code; out_ and err_ are what it printed.
  int Run(std::vector<std::string> args) {
    for (std::string& arg : GlobalArgs()) args.push_back(std::move(arg));
    GlobalOptions global;
    CLI::App app;
    BuildApp(app, global);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = RunCommandLine(app, global, args);
    std::fflush(stdout);
    std::fflush(stderr);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  // The one change that was asked for.
  pb::ConfChangeRequest Change() {
    auto all = member_.Asked<rpc::ConfChange>();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? pb::ConfChangeRequest() : all.front();
  }

  FakeMember member_;
  std::vector<std::string> more_members_;  // addresses that come after it
  const TempDir temp_;
  const std::string dir_ = temp_.path();
  std::string out_, err_;
};

}  // namespace kfs::cli
