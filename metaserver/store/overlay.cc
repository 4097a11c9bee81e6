#include "metaserver/store/overlay.h"

#include <cassert>
#include <cstring>
#include <utility>

namespace kfs::meta {
namespace {

constexpr size_t kOverhead = 64;  // of a record, beside its texts

}  // namespace

std::string_view Overlay::Layer::Keep(std::string_view text) {
  if (text.empty()) return {};
  auto* copy = static_cast<char*>(memory.allocate(text.size(), 1));
  std::memcpy(copy, text.data(), text.size());
  bytes += text.size();
  return {copy, text.size()};
}

void Overlay::Layer::Clear() {
  values.clear();
  memory.release();
  bytes = 0;
}

Overlay::Overlay() : open_(std::make_unique<Layer>()) {}

void Overlay::Put(std::string_view key, Value value) {
  auto it = open_->values.lower_bound(key);
  if (it == open_->values.end() || it->first != key) {
    it = open_->values.emplace_hint(it, open_->Keep(key), Value());
    open_->bytes += kOverhead;
  }
  it->second = value ? Value(open_->Keep(*value)) : value;
}

const Overlay::Value* Overlay::Find(std::string_view key) const {
  if (auto it = open_->values.find(key); it != open_->values.end()) return &it->second;
  for (auto layer = sealed_.rbegin(); layer != sealed_.rend(); ++layer) {
    if (auto it = (*layer)->values.find(key); it != (*layer)->values.end()) return &it->second;
  }
  return nullptr;
}

void Overlay::ForEachOpen(const std::function<void(std::string_view, Value)>& fn) const {
  for (const auto& [key, value] : open_->values) fn(key, value);
}

void Overlay::Seal() {
  sealed_bytes_ += open_->bytes;
  sealed_.push_back(std::move(open_));
  open_ = spare_ != nullptr ? std::move(spare_) : std::make_unique<Layer>();
}

void Overlay::DropOldest() {
  assert(!sealed_.empty());
  spare_ = std::move(sealed_.front());
  sealed_.pop_front();
  sealed_bytes_ -= spare_->bytes;
  spare_->Clear();
}

void Overlay::Clear() {
  open_->Clear();
  sealed_.clear();
  sealed_bytes_ = 0;
}

Overlay::Cursor::Cursor(const Overlay& overlay, std::string_view from, std::string_view end) : end_(end) {
  const auto add = [&](const Layer& layer) {
    if (!layer.values.empty()) layers_.push_back({layer.values.lower_bound(from), layer.values.end()});
  };
  add(*overlay.open_);
  for (auto layer = overlay.sealed_.rbegin(); layer != overlay.sealed_.rend(); ++layer) add(**layer);
  Settle();
}

void Overlay::Cursor::Settle() {
  at_ = nullptr;
  for (const Of& of : layers_) {
    if (of.pos == of.end || (!end_.empty() && of.pos->first >= end_)) continue;
    if (at_ == nullptr || of.pos->first < at_->pos->first) at_ = &of;
  }
}

void Overlay::Cursor::Next() {
  const std::string_view passed = key();
  for (Of& of : layers_) {
    if (of.pos != of.end && of.pos->first == passed) ++of.pos;
  }
  Settle();
}

}  // namespace kfs::meta
