#include "metaserver/images/image_store.h"

#include <fmt/format.h>

#include <vector>

#include "common/durable_file.h"
#include "common/log.h"

namespace kfs::meta {
namespace {

constexpr size_t kRunningMax = 4;
constexpr size_t kFilesMax = 200000;
constexpr size_t kManifestMax = 64u << 20;  // of so many files
constexpr uint64_t kRoomLeft = 64u << 20;

Status Gone() {
  return Status(ENOENT,
                "the receiver does not know the transfer: it has been restarted, or nobody went on with it");
}

}  // namespace

struct ImageStore::Transfer {
  explicit Transfer(FileOps& f) : ops(f) {}
  struct File {
    uint64_t size = 0;
    std::unique_ptr<Sha256> sum = std::make_unique<Sha256>();
    std::string sha256;  // known once finished
  };
  FileOps& ops;
  std::string name, dir;
  uint32_t volume = 0;
  MonoTime last_heard;
  bool finishing = false;
  std::map<std::string, File> files;  // the JobThread's

  // The JobThread's.
  Status Write(const std::string& file, uint64_t offset, std::string_view bytes) {
    if (offset == 0) {
      if (files.size() >= kFilesMax) return Status(EINVAL, "too many files");
      files[file] = File();
    }
    auto it = files.find(file);
    if (it == files.end() || it->second.size != offset || !it->second.sha256.empty())
      return Status(EINVAL, Code::kMalformed, fmt::format("{} is not sent in order", file));
    KFS_RETURN_IF_ERROR(WritePiece(ops, dir + "/db/" + file, offset, bytes));
    it->second.size += bytes.size();
    it->second.sum->Add(bytes);
    // A full piece is followed by another, or by an empty one.
    if (bytes.size() == kImagePiece) return {};
    it->second.sha256 = it->second.sum->Finish();
    return SyncPath(ops, dir + "/db/" + file);
  }
  Status Complete(const pb::ImageManifest& manifest) {
    std::map<std::string, const pb::ImageFile*> named;
    for (const pb::ImageFile& f : manifest.file()) named[f.name()] = &f;
    for (const auto& [file, wanted] : named) {
      auto it = files.find(file);
      if (it == files.end() || it->second.size != wanted->size() || it->second.sha256 != wanted->sha256())
        return Status(EIO, Code::kCorrupt, fmt::format("{} has not arrived as it was sent", file));
    }
    for (const auto& [file, f] : files) {
      if (!named.contains(file)) (void)ops.Unlink(dir + "/db/" + file);
    }
    KFS_RETURN_IF_ERROR(SyncPath(ops, dir + "/db"));
    KFS_RETURN_IF_ERROR(ReplaceDurably(ops, dir + "/manifest", manifest.SerializeAsString()));
    return SyncPath(ops, ParentOf(dir));  // and the directory has its name
  }
};

ImageStore::ImageStore(std::string data_dir, FileOps& files, JobThread& jobs, Clock& clock)
    : root_(data_dir + "/incoming"), files_(files), jobs_(jobs), clock_(clock) {}
ImageStore::~ImageStore() { lifetime_.End(); }

Status ImageStore::Open() {
  if (const int err = files_.MakeDirs(root_); err < 0) return ErrnoStatus(-err, "cannot make " + root_);
  std::vector<std::string> names;
  if (const int err = files_.List(root_, &names); err < 0) return ErrnoStatus(-err, "cannot list " + root_);
  for (const std::string& name : names) {
    std::string bytes;
    pb::ImageManifest manifest;
    if (files_.ReadFile(Dir(name) + "/manifest", kManifestMax, &bytes) == 0 &&
        manifest.ParseFromString(bytes) && manifest.transfer() == name && files_.Exists(Path(name))) {
      // The process may have been killed before its last syncs: from here on it is said to be here.
      KFS_RETURN_IF_ERROR(SyncPath(files_, Dir(name)));
      KFS_RETURN_IF_ERROR(SyncPath(files_, root_));
      whole_[name] = {manifest, clock_.MonoNow()};
    } else {
      Remove(name);
    }
  }
  return {};
}

void ImageStore::Put(const pb::ImagePutRequest& request, Buffer payload, Done done) {
  const std::string& name = request.transfer();
  if (!GoodImageName(name)) return done(Status(EINVAL, Code::kMalformed, "not a transfer's name"));
  if (request.has_begin()) return Begin(name, request.begin(), done);
  if (request.has_drop()) {
    if (auto it = running_.find(name); it != running_.end() && it->second->finishing)
      return done(Status(EBUSY, "it is being finished"));
    running_.erase(name);
    whole_.erase(name);
    Remove(name);
    return done({});
  }
  if (request.has_finish() && whole_.contains(name)) return done({});  // sent again
  auto it = running_.find(name);
  if (it == running_.end() || it->second->finishing) return done(Gone());
  it->second->last_heard = clock_.MonoNow();
  if (request.has_piece()) return Piece(it->second, request.piece(), std::move(payload), done);
  if (request.has_finish()) return Finish(it->second, request.finish().manifest(), done);
  done(Status(EINVAL, Code::kMalformed, "nothing is asked for"));
}

void ImageStore::Begin(const std::string& name, const pb::ImagePutRequest::Begin& begin, const Done& done) {
  if (running_.contains(name) || whole_.contains(name))
    return done(Status(EEXIST, "there is a transfer of this name"));
  // The same volume's earlier attempts: its owner begins anew only once they are called off.
  std::erase_if(running_, [&](const auto& t) {
    if (t.second->volume != begin.volume() || t.second->finishing) return false;
    Remove(t.first);
    return true;
  });
  if (running_.size() >= kRunningMax)
    return done(Status(EBUSY, "it receives several volumes at this moment: try again later"));
  struct statvfs st {};
  if (const int err = files_.Statvfs(root_, &st); err < 0) return done(ErrnoStatus(-err, root_));
  const uint64_t available = st.f_bavail * st.f_frsize;
  if (full_ || available < begin.bytes() + kRoomLeft) {
    return done(Status(ENOSPC, fmt::format("its disk has no room: {} bytes are free, the volume has {}",
                                           available, begin.bytes())));
  }
  auto t = std::make_shared<Transfer>(files_);
  t->name = name;
  t->dir = Dir(name);
  t->volume = begin.volume();
  t->last_heard = clock_.MonoNow();
  // Their names are made durable in the end, with what is in them.
  for (const std::string& dir : {t->dir, Path(name)}) {
    if (const int err = files_.Mkdir(dir); err < 0 && err != -EEXIST)
      return done(ErrnoStatus(-err, "cannot make " + dir));
  }
  running_[name] = std::move(t);
  KFS_LOG(info, "image.receiving transfer={} volume={} bytes={}", name, begin.volume(), begin.bytes());
  done({});
}

void ImageStore::Piece(const std::shared_ptr<Transfer>& t, const pb::ImagePutRequest::Piece& piece,
                       Buffer payload, const Done& done) {
  if (!GoodImageName(piece.name()) || payload.size() > kImagePiece || piece.offset() % kImagePiece != 0)
    return done(Status(EINVAL, Code::kMalformed, "not a piece of a file"));
  if (full_) return done(Status(ENOSPC, "its disk is full"));
  auto bytes = std::make_shared<Buffer>(std::move(payload));
  jobs_.Do(
      t.get(),
      [t, bytes, name = piece.name(), offset = piece.offset()] {
        return t->Write(name, offset, bytes->view());
      },
      done);
}

void ImageStore::Finish(const std::shared_ptr<Transfer>& t, const pb::ImageManifest& manifest,
                        const Done& done) {
  if (manifest.transfer() != t->name || manifest.volume() != t->volume)
    return done(Status(EINVAL, Code::kMalformed, "the manifest is of another transfer"));
  t->finishing = true;
  jobs_.Do(
      t.get(), [t, manifest] { return t->Complete(manifest); },
      lifetime_.While([this, t, manifest, done](const Status& s) {
        running_.erase(t->name);
        if (s.ok()) {
          whole_[t->name] = {manifest, clock_.MonoNow()};
          KFS_LOG(info, "image.received transfer={} volume={} files={}", t->name, t->volume,
                  manifest.file_size());
        } else {
          Remove(t->name);
        }
        done(s);
      }));
}

const pb::ImageManifest* ImageStore::Find(const std::string& transfer) const {
  auto it = whole_.find(transfer);
  return it == whole_.end() ? nullptr : &it->second.manifest;
}

Status ImageStore::Place(const std::string& transfer, const std::string& path) const {
  const std::string from = Path(transfer);
  if (const int err = files_.Rename(from, path); err < 0)
    return ErrnoStatus(-err, fmt::format("cannot move {} to {}", from, path));
  KFS_RETURN_IF_ERROR(SyncPath(files_, ParentOf(path)));
  return SyncPath(files_, Dir(transfer));
}

void ImageStore::Taken(const std::string& transfer) {
  whole_.erase(transfer);
  Remove(transfer);
}

void ImageStore::Sweep(const pb::ClusterConf& conf, const std::string& self) {
  const MonoTime now = clock_.MonoNow();
  std::erase_if(running_, [&](const auto& t) {
    if (t.second->finishing || now - t.second->last_heard < kImageIdle) return false;
    KFS_LOG(warn, "image.given_up transfer={} volume={} reason=\"nothing more has come\"", t.first,
            t.second->volume);
    Remove(t.first);
    return true;
  });
  if (conf.generation() == 0) return;
  std::erase_if(whole_, [&](const auto& w) {
    const pb::ImageManifest& m = w.second.manifest;
    if (now - w.second.since < kNamedWithin) return false;  // perhaps a backup that is about to be restored
    if (m.cluster_id() != conf.cluster_id()) return false;  // nothing is known of it
    for (const pb::VolumeConf& v : conf.volume()) {
      if (v.id() != m.volume()) continue;
      const bool ours = v.owner() == self && v.transfer() == w.first;
      if (ours || v.epoch() <= m.epoch()) return false;
    }
    // Deleted, or the change that would have named it cannot be decided any more. A volume that is newer
    // than what we know of is not in the configuration, either.
    if (m.volume() > conf.next_volume()) return false;
    KFS_LOG(info, "image.removed transfer={} volume={} reason=\"it is not needed any more\"", w.first,
            m.volume());
    Remove(w.first);
    return true;
  });
}

void ImageStore::Remove(const std::string& transfer) {
  jobs_.Do(
      nullptr,
      [files = &files_, dir = Dir(transfer)] {
        (void)files->RemoveAll(dir);  // what is left is looked at again at the next start
        return Status();
      },
      [](const Status&) {});
}

}  // namespace kfs::meta
