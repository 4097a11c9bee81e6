// A log in memory, of which a test says when an append is acknowledged, and whether; it outlives whoever
// appends, as one on other machines does.
#pragma once

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metaserver/store/journal.h"

namespace kfs::meta {

struct MemoryLog {
  std::vector<std::pair<LogPosition, std::string>> batches;
  LogPosition last, acknowledged, trimmed;
  LogEpoch fence;
  bool holds = false;  // acknowledgements
  Status failure;
  std::function<void()> changed;

  void Acknowledge(LogPosition up_to) {
    acknowledged = std::max(acknowledged, std::min(up_to, last));
    if (changed) changed();
  }
  void Fail(const Status& why) {
    failure = why;
    if (changed) changed();
  }
  // Its owner has died: what was not acknowledged may be gone.
  void Die() {
    std::erase_if(batches, [this](const auto& b) { return b.first > acknowledged; });
    changed = nullptr;
    failure = {};
  }
};

class MemoryJournal : public Journal {
 public:
  explicit MemoryJournal(std::shared_ptr<MemoryLog> log) : log_(std::move(log)) {}

  Result<LogPosition> Append(rocksdb::WriteBatch& batch, LogEpoch epoch) override {
    if (!log_->failure.ok()) return log_->failure;
    if (epoch < log_->fence) return log_->failure = Status(ESTALE, "another owner has taken over");
    log_->last = LogPosition(log_->last.v + 3);
    log_->batches.emplace_back(log_->last, batch.Data());
    if (!log_->holds) log_->acknowledged = log_->last;
    return log_->last;
  }
  LogPosition acknowledged() const override { return log_->acknowledged; }
  const Status& failure() const override { return log_->failure; }
  void OnChange(std::function<void()> fn) override { log_->changed = std::move(fn); }
  bool applies() const override { return false; }
  Status Read(LogPosition after, const std::function<bool(LogPosition, std::string_view)>& fn) override {
    if (after < log_->trimmed) return Status(ESTALE, "it has been trimmed");
    for (const auto& [at, batch] : log_->batches) {
      if (at > after && at <= log_->acknowledged && !fn(at, batch)) break;
    }
    return {};
  }
  Status Fence(LogEpoch epoch) override {
    if (epoch < log_->fence) return Status(ESTALE, "another owner has taken over");
    log_->fence = epoch;
    return {};
  }
  Status Trim(LogPosition up_to) override {
    log_->trimmed = std::max(log_->trimmed, up_to);
    std::erase_if(log_->batches, [&](const auto& b) { return b.first <= up_to; });
    return {};
  }

 private:
  const std::shared_ptr<MemoryLog> log_;
};

}  // namespace kfs::meta
