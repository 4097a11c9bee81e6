// Chunkservers that are a function: all that are known are up.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "metaserver/chunks/chunkservers.h"

namespace kfs::meta {

class TestLinks final : public ChunkserverLinks {
 public:
  using AnswerFn =
      std::function<void(ServerId server, Op op, const google::protobuf::MessageLite& request, Done done)>;
  explicit TestLinks(AnswerFn answer) : answer_(std::move(answer)) {}
  bool IsUp(const Chunkserver&) const override { return true; }
  void Request(const Chunkserver& server, Op op, const google::protobuf::MessageLite& request,
               Done done) override {
    answer_(server.id, op, request, std::move(done));
  }

 private:
  const AnswerFn answer_;
};

}  // namespace kfs::meta
