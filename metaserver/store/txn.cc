#include "metaserver/store/txn.h"

#include <cassert>

#include "metaserver/store/keys.h"

namespace kfs::meta {

Txn::InodeEdit* Txn::FindEdit(Ino ino) {
  for (InodeEdit& e : inodes_) {
    if (e.ino == ino) return &e;
  }
  return nullptr;
}

const rec::Inode* Txn::Find(Ino ino) {
  if (InodeEdit* e = FindEdit(ino)) {
    if (e->removed) return nullptr;
    return e->edited != nullptr ? e->edited.get() : e->seen.get();
  }
  InodePtr inode = store_.GetInode(ino);
  if (inode == nullptr) return nullptr;
  inodes_.push_back({ino, inode, nullptr, false});
  return inode.get();
}

rec::Inode* Txn::Edit(Ino ino) {
  [[maybe_unused]] const rec::Inode* found = Find(ino);
  assert(found != nullptr);
  InodeEdit* e = FindEdit(ino);
  if (e->edited == nullptr) e->edited = std::make_shared<rec::Inode>(*e->seen);
  changed_ = true;
  return e->edited.get();
}

rec::Inode* Txn::Create(Ino ino) {
  assert(FindEdit(ino) == nullptr);
  auto inode = std::make_shared<rec::Inode>();
  inode->set_ino(ino.v);
  inodes_.push_back({ino, nullptr, inode, false});
  changed_ = true;
  return inode.get();
}

void Txn::Remove(Ino ino) {
  InodeEdit* e = FindEdit(ino);
  if (e == nullptr) {
    inodes_.push_back({ino, nullptr, nullptr, true});
  } else {
    e->removed = true;  // pointers handed out stay good until the end
  }
  changed_ = true;
}

Dentry Txn::Lookup(Ino parent, std::string_view name) {
  for (auto it = names_.rbegin(); it != names_.rend(); ++it) {
    if (it->parent == parent && it->name == name) return it->dentry;
  }
  return store_.GetDentry(parent, name);
}

void Txn::PutDentry(Ino parent, std::string_view name, const Dentry& dentry) {
  names_.push_back({parent, std::string(name), dentry, 0});
  changed_ = true;
}

void Txn::DeleteDentry(Ino parent, std::string_view name, uint64_t cookie) {
  names_.push_back({parent, std::string(name), {}, cookie});
  changed_ = true;
}

std::optional<std::string> Txn::Get(std::string_view key) {
  auto it = records_.find(key);
  return it != records_.end() ? it->second : store_.db().Get(key);
}

void Txn::Put(std::string_view key, std::string value) {
  records_.insert_or_assign(std::string(key), std::move(value));
  changed_ = true;
}

void Txn::Delete(std::string_view key) {
  records_.insert_or_assign(std::string(key), std::nullopt);
  changed_ = true;
}

std::vector<std::pair<std::string, std::string>> Txn::List(std::string_view prefix, std::string_view from,
                                                           std::string_view to, size_t max) {
  std::vector<std::pair<std::string, std::string>> out;
  auto own = records_.lower_bound(from);
  auto take_own_before = [&](std::string_view key) {
    for (; own != records_.end() && own->first < key && own->first < to && out.size() < max; ++own) {
      if (own->second) out.emplace_back(own->first, *own->second);
    }
  };
  store_.Scan(prefix, from, [&](std::string_view key, std::string_view value) {
    if (key >= to || out.size() >= max) return false;
    take_own_before(key);
    if (own != records_.end() && own->first == key) {
      if (own->second && out.size() < max) out.emplace_back(own->first, *own->second);
      ++own;
    } else if (out.size() < max) {
      out.emplace_back(key, value);
    }
    return true;
  });
  take_own_before(to);
  return out;
}

void Txn::Apply() {
  for (InodeEdit& e : inodes_) {
    if (e.removed) {
      store_.PutInode(e.ino, nullptr);
    } else if (e.edited != nullptr) {
      store_.PutInode(e.ino, std::move(e.edited), e.seen == nullptr);
    }
  }
  for (const NameEdit& e : names_) {
    if (e.dentry.ino) {
      store_.PutDentry(e.parent, e.name, e.dentry);
    } else {
      store_.DeleteDentry(e.parent, e.name, e.cookie);
    }
  }
  for (auto& [key, value] : records_) {
    if (value) {
      store_.db().Put(key, *value);
    } else {
      store_.db().Delete(key);
    }
  }
  if (new_inos_ + new_chunks_ != 0) store_.GiveOut(new_inos_, new_chunks_);
  if (inodes_delta_ != 0) store_.CountInodes(inodes_delta_);
  if (bytes_delta_ != 0) store_.CountBytes(bytes_delta_);
  std::vector<std::function<void()>> effects;
  effects.swap(on_apply_);
  Clear();
  for (auto& fn : effects) fn();
}

bool Txn::changes_inodes() const {
  for (const InodeEdit& e : inodes_) {
    if (e.edited != nullptr || e.removed) return true;
  }
  return false;
}

void Txn::ForEachTouched(const std::function<void(Ino, bool changed)>& fn) const {
  for (const InodeEdit& e : inodes_) fn(e.ino, e.edited != nullptr || e.removed);
  for (const NameEdit& e : names_) fn(e.parent, true);
  for (const auto& [key, value] : records_) {
    if (key[0] == ChunkPrefix({}).view()[0] || key[0] == XattrPrefix({}).view()[0])
      fn(Ino(KeyU64(key, 1)), true);
  }
}

void Txn::Clear() {
  inodes_.clear();
  names_.clear();
  records_.clear();
  on_apply_.clear();
  inodes_delta_ = bytes_delta_ = 0;
  new_inos_ = new_chunks_ = 0;
  placed_.clear();
  changed_ = false;
}

}  // namespace kfs::meta
