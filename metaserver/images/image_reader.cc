#include "metaserver/images/image_reader.h"

#include "common/uuid.h"

namespace kfs::meta {
namespace {

constexpr size_t kCopiesMax = 2;

}  // namespace

// Below the directory that Mover empties at the start.
ImageReader::ImageReader(std::string data_dir, FileOps& files, JobThread& jobs, Clock& clock,
                         Entropy& entropy)
    : root_(data_dir + "/moving"), files_(files), jobs_(jobs), clock_(clock), entropy_(entropy) {}

void ImageReader::Open(Db* db, pb::ImageManifest about, OpenDone done) {
  if (copies_.size() >= kCopiesMax)
    return done(Status(EBUSY, "other backups are being made: try again later"), {});
  about.set_transfer(NewUuid(entropy_));
  about.set_taken(clock_.WallNow());
  Copy& copy = copies_[about.transfer()];
  copy.dir = root_ + "/backup-" + about.transfer();
  copy.last_read = clock_.MonoNow();
  auto manifest = std::make_shared<pb::ImageManifest>(std::move(about));
  jobs_.Do(
      db,
      [db, ops = &files_, root = root_, dir = copy.dir, manifest] {
        (void)ops->MakeDirs(root);  // without it the copy fails
        KFS_RETURN_IF_ERROR(db->Checkpoint(dir));
        Result<std::vector<pb::ImageFile>> files = ListImage(*ops, dir);
        if (!files.ok()) return files.status();
        for (pb::ImageFile& f : *files) *manifest->add_file() = std::move(f);
        return Status();
      },
      lifetime_.While([this, manifest, done](const Status& s) {
        if (!s.ok()) Close(manifest->transfer());
        done(s, *manifest);
      }));
}

void ImageReader::Read(const pb::ImageGetRequest::Read& request, ReadDone done) {
  auto it = copies_.find(request.transfer());
  if (it == copies_.end())
    return done(Status(ENOENT, "the metaserver does not have the copy any more: begin the backup anew"), {});
  if (!GoodImageName(request.name())) return done(Status(EINVAL, Code::kMalformed, "not a file's name"), {});
  it->second.last_read = clock_.MonoNow();
  auto piece = std::make_shared<Buffer>();
  jobs_.Do(
      nullptr,
      [ops = &files_, path = it->second.dir + "/" + request.name(), offset = request.offset(), piece] {
        Result<Buffer> read = ReadPiece(*ops, path, offset);
        if (read.ok()) *piece = std::move(*read);
        return read.status();
      },
      [piece, done](const Status& s) { done(s, std::move(*piece)); });
}

void ImageReader::Close(const std::string& transfer) {
  auto it = copies_.find(transfer);
  if (it == copies_.end()) return;
  jobs_.Do(
      nullptr,
      [ops = &files_, dir = it->second.dir] {
        (void)ops->RemoveAll(dir);  // what is left goes at the next start
        return Status();
      },
      [](const Status&) {});
  copies_.erase(it);
}

void ImageReader::Sweep() {
  std::vector<std::string> idle;
  for (const auto& [transfer, copy] : copies_) {
    if (clock_.MonoNow() - copy.last_read > kImageIdle) idle.push_back(transfer);
  }
  for (const std::string& transfer : idle) Close(transfer);
}

}  // namespace kfs::meta
