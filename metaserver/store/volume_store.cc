#include "metaserver/store/volume_store.h"

#include <sys/stat.h>

#include "common/log.h"
#include "common/reached.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/skipped_numbers.h"

namespace kfs::meta {
namespace {

// More than can be handed out within the second that an unsynced log may lose.
constexpr uint64_t kUncleanSkip = 1u << 20;

size_t InodeBytes(const rec::Inode* inode) {
  if (inode == nullptr) return 0;
  return sizeof(rec::Inode) + 32 + inode->target().size() + inode->acl_access().size() +
         inode->acl_default().size() + inode->inline_data().size();
}

}  // namespace

VolumeStore::VolumeStore(std::unique_ptr<Db> db, size_t cache_bytes)
    : db_(std::move(db)), cache_budget_(cache_bytes) {}

Status VolumeStore::Init(int64_t now) {
  std::optional<std::string> stored = db_->Get(CountersKey());
  KFS_RETURN_IF_ERROR(db_->TakeReadError());
  if (stored) {
    if (!counters_.ParseFromString(*stored))
      return Status(EIO, Code::kCorrupt, db_->path() + ": damaged counters");
    if (!counters_.clean()) {
      KFS_REACHED("store.not_stopped_cleanly");
      NoteSkipped(*db_, counters_.next_chunk(), counters_.next_chunk() + kUncleanSkip);
      counters_.set_next_ino(counters_.next_ino() + kUncleanSkip);
      counters_.set_next_chunk(counters_.next_chunk() + kUncleanSkip);
      counters_.set_next_session(counters_.next_session() + kUncleanSkip);
      counters_.set_doubtful_before(counters_.next_chunk());
    }
    counters_.set_clean(false);
    counters_dirty_ = true;
  } else {
    counters_.set_next_ino(kRootIno.v + 1);
    counters_.set_next_chunk(1);
    counters_.set_next_session(1);
    counters_.set_inodes(1);
    auto root = std::make_shared<rec::Inode>();
    root->set_ino(kRootIno.v);
    root->set_mode(S_IFDIR | 0755);
    root->set_nlink(2);
    root->set_atime(now);
    root->set_mtime(now);
    root->set_ctime(now);
    root->set_btime(now);
    root->set_change(1);
    root->set_parent(kRootIno.v);
    root->set_next_cookie(3);
    PutInode(kRootIno, std::move(root), true);
    counters_dirty_ = true;
  }
  Commit();
  return db_->Sync();  // also tells that the commit was refused
}

InodePtr VolumeStore::GetInode(Ino ino) {
  if (CachedInode* cached = inodes_.Find(ino.v)) return cached->inode;
  std::optional<std::string> value = db_->Get(InodeKey(ino));
  // Absent numbers are not cached: nobody asks for them twice, but a hostile peer could ask for many.
  if (!value) return nullptr;
  auto inode = std::make_shared<rec::Inode>();
  if (!inode->ParseFromString(*value)) {
    KFS_LOG(error, "store.bad_inode db={} ino={}", db_->path(), ino.v);
    return nullptr;
  }
  InodePtr result = std::move(inode);
  inodes_.Set(ino.v, {.inode = result}, InodeBytes(result.get()));
  return result;
}

void VolumeStore::PutInode(Ino ino, InodePtr inode, bool is_new) {
  CachedInode* cached = inodes_.Find(ino.v);
  if (cached == nullptr || !cached->dirty) dirty_inodes_.push_back(ino);
  const bool all_names = is_new || (cached != nullptr && cached->all_names);
  size_t bytes = InodeBytes(inode.get());
  inodes_.Set(ino.v, {.inode = std::move(inode), .dirty = true, .all_names = all_names}, bytes);
}

void VolumeStore::CacheName(Ino parent, std::string_view name, const Dentry& dentry) {
  dentries_.Set({parent.v, std::string(name)}, dentry, name.size() > 15 ? name.size() + 1 : 0);
}

Dentry VolumeStore::GetDentry(Ino parent, std::string_view name) {
  if (Dentry* cached = dentries_.Find(NameView{parent.v, name})) return *cached;
  Dentry dentry;
  if (const CachedInode* dir = inodes_.Peek(parent.v); dir != nullptr && dir->all_names) return dentry;
  if (std::optional<std::string> value = db_->Get(DentryKey(parent, name))) {
    rec::Dentry record;
    if (record.ParseFromString(*value)) dentry = {Ino(record.ino()), record.type(), record.cookie()};
  } else if (db_->unsure()) {
    return dentry;  // not known to be absent
  }
  CacheName(parent, name, dentry);
  return dentry;
}

void VolumeStore::PutDentry(Ino parent, std::string_view name, const Dentry& dentry) {
  CacheName(parent, name, dentry);
  rec::Dentry record;
  record.set_ino(dentry.ino.v);
  record.set_type(dentry.type);
  record.set_cookie(dentry.cookie);
  record.SerializeToString(&scratch_);
  db_->Put(DentryKey(parent, name), scratch_);
  record.set_name(name.data(), name.size());
  record.SerializeToString(&scratch_);
  db_->Put(CookieKey(parent, dentry.cookie), scratch_);
}

void VolumeStore::DeleteDentry(Ino parent, std::string_view name, uint64_t cookie) {
  CacheName(parent, name, {});
  db_->Delete(DentryKey(parent, name));
  db_->Delete(CookieKey(parent, cookie));
}

void VolumeStore::GiveOut(uint64_t inos, uint64_t chunks) {
  counters_.set_next_ino(counters_.next_ino() + inos);
  counters_.set_next_chunk(counters_.next_chunk() + chunks);
  counters_dirty_ = true;
}

SessionId VolumeStore::NewSession(VolumeId volume) {
  uint64_t n = counters_.next_session();
  counters_.set_next_session(n + 1);
  counters_dirty_ = true;
  // The volume is part of the number, so that no two volumes have the same session.
  return SessionId(uint64_t{volume.v} << 40 | n);
}

void VolumeStore::CountInodes(int64_t delta) {
  counters_.set_inodes(counters_.inodes() + static_cast<uint64_t>(delta));
  counters_dirty_ = true;
}

void VolumeStore::CountBytes(int64_t delta) {
  counters_.set_bytes(counters_.bytes() + static_cast<uint64_t>(delta));
  counters_dirty_ = true;
}

void VolumeStore::Encode() {
  for (Ino ino : dirty_inodes_) {
    CachedInode* cached = inodes_.Find(ino.v);
    cached->dirty = false;
    if (cached->inode == nullptr) {
      db_->Delete(InodeKey(ino));
    } else {
      cached->inode->SerializeToString(&scratch_);
      db_->Put(InodeKey(ino), scratch_);
    }
  }
  dirty_inodes_.clear();
  if (!counters_dirty_) return;
  counters_.SerializeToString(&scratch_);
  db_->Put(CountersKey(), scratch_);
  counters_dirty_ = false;
}

void VolumeStore::Commit() {
  Encode();
  db_->Commit();
  // Names cost about as much as their inodes; nothing is dirty now, so anything may go.
  inodes_.Shrink(cache_budget_ / 2);
  dentries_.Shrink(cache_budget_ / 2, [this](const NameKey& name, const Dentry& dentry) {
    if (!dentry.ino) return;
    if (CachedInode* dir = inodes_.Peek(name.parent)) dir->all_names = false;
  });
}

void VolumeStore::Scan(std::string_view prefix, std::string_view from,
                       const std::function<bool(std::string_view, std::string_view)>& fn) {
  Encode();
  db_->Scan(prefix, from, fn);
}

void VolumeStore::MarkClean() {
  counters_.set_clean(true);
  counters_dirty_ = true;
  Commit();
}

}  // namespace kfs::meta
