// A call that a part makes of an executor itself, without a connection.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "metaserver/base/call.h"

namespace kfs::sim {

class DirectCall : public meta::OpCall {
 public:
  using DoneFn = std::function<void(const Status&, std::string_view)>;
  DirectCall(Op op, std::string body, DoneFn done)
      : op_(op), body_(std::move(body)), done_(std::move(done)) {}
  Op op() const override { return op_; }
  std::string_view body() const override { return body_; }
  void Reply(std::string_view body) override { done_({}, body); }
  void Fail(const Status& status, uint64_t) override { done_(status, {}); }

 private:
  const Op op_;
  const std::string body_;
  const DoneFn done_;
};

}  // namespace kfs::sim
