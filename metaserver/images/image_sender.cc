#include "metaserver/images/image_sender.h"

#include <algorithm>

#include "proto/op_types.h"

namespace kfs::meta {
namespace {

constexpr auto kAnswerTimeout = std::chrono::seconds(30);  // of a piece, which is synced at a file's end

}  // namespace

ImageSender::ImageSender(FileOps& files, EventLoop& loop, JobThread& jobs, std::shared_ptr<NetClient> to,
                         std::string transfer, uint64_t bytes_per_s)
    : files_(files),
      loop_(loop),
      jobs_(jobs),
      to_(std::move(to)),
      transfer_(std::move(transfer)),
      bytes_per_s_(bytes_per_s) {}

void ImageSender::Begin(uint32_t volume, uint64_t bytes, Done done) {
  pb::ImagePutRequest request;
  request.mutable_begin()->set_volume(volume);
  request.mutable_begin()->set_bytes(bytes);
  Ask(request, {}, std::move(done));
}

void ImageSender::SendTables(const std::string& dir, Done done) { Send(dir, false, std::move(done)); }
void ImageSender::SendAll(const std::string& dir, Done done) { Send(dir, true, std::move(done)); }

void ImageSender::Send(const std::string& dir, bool all, Done done) {
  reading_ = Reading();
  reading_.dir = dir;
  reading_.paced = !all;
  reading_.done = std::move(done);
  auto found = std::make_shared<std::vector<pb::ImageFile>>();
  jobs_.Do(
      nullptr,
      [ops = &files_, dir, found] {
        Result<std::vector<pb::ImageFile>> files = ListImage(*ops, dir);
        if (files.ok()) *found = std::move(*files);
        return files.status();
      },
      lifetime_.While([this, all, found](const Status& s) {
        if (!s.ok()) return End(s);
        last_.clear();
        last_pass_ = 0;
        for (pb::ImageFile& file : *found) {
          const bool lasting = NeverChanges(file.name());
          if (!lasting && !all) continue;
          last_[file.name()] = file;
          auto it = there_.find(file.name());
          if (lasting && it != there_.end() && it->second.size() == file.size()) continue;
          last_pass_ += file.size();
          reading_.files.push_back(std::move(file));
        }
        Next();
      }));
}

void ImageSender::Next() {
  if (reading_.files.empty()) return End({});
  if (reading_.offset == 0) reading_.sum = std::make_shared<Sha256>();
  auto bytes = std::make_shared<Buffer>();
  jobs_.Do(
      nullptr,
      [ops = &files_, path = reading_.dir + "/" + reading_.files.front().name(), offset = reading_.offset,
       sum = reading_.sum, bytes] {
        Result<Buffer> read = ReadPiece(*ops, path, offset);
        if (!read.ok()) return read.status();
        sum->Add(read->view());
        *bytes = std::move(*read);
        return Status();
      },
      lifetime_.While([this, bytes](const Status& s) {
        if (!s.ok()) return End(s);
        SendPiece(std::move(*bytes));
      }));
}

void ImageSender::SendPiece(Buffer bytes) {
  const size_t size = bytes.size();
  pb::ImagePutRequest request;
  request.mutable_piece()->set_name(reading_.files.front().name());
  request.mutable_piece()->set_offset(reading_.offset);
  Ask(request, std::move(bytes), [this, size](const Status& s) {
    if (!s.ok()) return End(s);
    sent_ += size;
    reading_.offset += size;
    if (size < kImagePiece) {
      pb::ImageFile file = std::move(reading_.files.front());
      reading_.files.pop_front();
      file.set_size(reading_.offset);
      file.set_sha256(reading_.sum->Finish());
      there_[file.name()] = std::move(file);
      reading_.offset = 0;
    }
    const MonoTime now = loop_.Now();
    next_at_ = std::max(next_at_, now) + std::chrono::microseconds(size * 1000000 / bytes_per_s_);
    if (!reading_.paced || next_at_ <= now) return Next();
    timer_ = loop_.RunAfter(next_at_ - now, [this] { Next(); });
  });
}

void ImageSender::Finish(pb::ImageManifest about, Done done) {
  about.set_transfer(transfer_);
  about.clear_file();
  for (const auto& [name, file] : last_) *about.add_file() = there_[name];
  pb::ImagePutRequest request;
  *request.mutable_finish()->mutable_manifest() = std::move(about);
  Ask(request, {}, std::move(done));
}

std::shared_ptr<NetClient> ImageSender::Drop(std::function<void()> done) {
  pb::ImagePutRequest request;
  request.set_transfer(transfer_);
  request.mutable_drop();
  to_->Enqueue<rpc::ImagePut>(
      request, [done = std::move(done)](Answer) { done(); }, kAnswerTimeout);
  return to_;
}

void ImageSender::Ask(const pb::ImagePutRequest& request, Slices payload, Done done) {
  pb::ImagePutRequest whole = request;
  whole.set_transfer(transfer_);
  to_->Enqueue({.op = Op::kImagePut,
                .request = &whole,
                .payload = std::move(payload),
                .timeout = kAnswerTimeout,
                // Pieces come in order, once; what a lost connection has done to it is not known.
                .resend = whole.has_finish(),
                .done = lifetime_.While([done = std::move(done)](Answer answer) { done(answer.status); })});
}

void ImageSender::End(const Status& s) {
  if (!reading_.done) return;
  Done done = std::move(reading_.done);
  reading_ = Reading();
  done(s);
}

}  // namespace kfs::meta
