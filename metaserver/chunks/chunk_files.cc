#include "metaserver/chunks/chunk_files.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "metaserver/store/keys.h"
#include "metaserver/store/records.pb.h"

namespace kfs::meta {
namespace {

using File = pb::ChunkserverFilesReply::File;

// Of places where names were found, told for the next page.
constexpr size_t kFoundTold = 64;

bool IsOn(std::string_view record, uint64_t server) {
  rec::Chunk chunk;
  if (!chunk.ParseFromArray(record.data(), static_cast<int>(record.size()))) return false;
  return std::find(chunk.server().begin(), chunk.server().end(), server) != chunk.server().end();
}

// Finds the names of inodes in their directories, and from them the paths.
class Names {
 public:
  Names(DbView& view, const ChunkFilesLimits& limits, const pb::ChunkserverFilesRequest::Place& from)
      : view_(view), limits_(limits), left_(limits.names) {
    for (const auto& f : from.found()) found_at_[f.dir()] = f.cookie();
  }

  // A file, and the directories above it.
  void Want(Ino ino, Ino dir) {
    files_[dir.v].insert(ino.v);
    while (dir != kRootIno && left_ > 0 && above_.find(dir.v) == above_.end()) {
      --left_;
      rec::Inode inode;
      const auto record = view_.Get(InodeKey(dir));
      if (!record || !inode.ParseFromString(*record)) return;
      above_[dir.v] = inode.parent();
      dirs_[inode.parent()].insert(dir.v);
      dir = Ino(inode.parent());
    }
  }
  void Search() {
    for (auto* wanted : {&dirs_, &files_}) {
      for (auto& [dir, inos] : *wanted) SearchIn(Ino(dir), inos);
    }
  }
  // Null: it was not found.
  const std::string* Name(Ino ino) const {
    const auto it = names_.find(ino.v);
    return it == names_.end() ? nullptr : &it->second;
  }
  // Of a directory, "" for the root.
  const std::string& Path(Ino dir) {
    std::vector<uint64_t> up;
    while (dir != kRootIno && !paths_.contains(dir.v) && up.size() <= above_.size()) {
      up.push_back(dir.v);
      const auto it = above_.find(dir.v);
      if (it == above_.end()) break;
      dir = Ino(it->second);
    }
    const std::string* path = &paths_[dir.v];
    for (auto it = up.rbegin(); it != up.rend(); ++it) {
      const std::string* name = Name(Ino(*it));
      std::string next = *path + (path->empty() ? "" : "/") + (name == nullptr ? "?" : *name);
      path = &(paths_[*it] = Cut(std::move(next)));
    }
    return *path;
  }
  std::string Cut(std::string path) const {
    if (path.size() <= limits_.path_bytes) return path;
    const size_t slash = path.find('/', path.size() - limits_.path_bytes + 4);
    return slash == std::string::npos ? "..." : "..." + path.substr(slash);
  }
  void TellFound(Ino dir, pb::ChunkserverFilesRequest::Place* next) const {
    for (size_t told = 0; told < kFoundTold; ++told) {
      if (const auto at = found_at_.find(dir.v); at != found_at_.end()) {
        auto* f = next->add_found();
        f->set_dir(dir.v);
        f->set_cookie(at->second);
      }
      const auto it = above_.find(dir.v);
      if (it == above_.end() || dir == kRootIno) return;
      dir = Ino(it->second);
    }
  }

 private:
  void SearchIn(Ino dir, std::unordered_set<uint64_t>& inos) {
    std::erase_if(inos, [this](uint64_t ino) { return names_.contains(ino); });
    const uint64_t start = found_at_[dir.v];
    const auto look = [&](std::string_view key, std::string_view value, uint64_t end) {
      const uint64_t cookie = KeyU64(key, 9);
      if (inos.empty() || left_ == 0 || cookie >= end) return false;
      --left_;
      rec::Dentry dentry;
      if (!dentry.ParseFromArray(value.data(), static_cast<int>(value.size()))) return true;
      if (inos.erase(dentry.ino()) != 0) {
        names_[dentry.ino()] = dentry.name();
        found_at_[dir.v] = cookie;
      } else if (left_ == 0) {
        found_at_[dir.v] = cookie;  // the next page goes on from here
      }
      return true;
    };
    view_.Scan(CookiePrefix(dir), CookieKey(dir, start),
               [&](std::string_view k, std::string_view v) { return look(k, v, UINT64_MAX); });
    if (start == 0 || inos.empty()) return;
    view_.Scan(CookiePrefix(dir), {},
               [&](std::string_view k, std::string_view v) { return look(k, v, start); });
  }

  DbView& view_;
  const ChunkFilesLimits& limits_;
  size_t left_;
  std::map<uint64_t, std::unordered_set<uint64_t>> dirs_, files_;  // wanted, by the directory they are in
  std::unordered_map<uint64_t, uint64_t> above_;                   // of directories
  std::unordered_map<uint64_t, std::string> names_, paths_;
  std::unordered_map<uint64_t, uint64_t> found_at_;  // cookies, by directory
};

void FindChunks(DbView& view, const pb::ChunkserverFilesRequest& request, const ChunkFilesLimits& limits,
                pb::ChunkserverFilesReply* reply) {
  size_t files_max = limits.files;
  if (request.files_max() != 0) files_max = std::min<size_t>(files_max, request.files_max());
  size_t looked_at = 0;
  std::string from;
  if (request.has_from()) from = ChunkKey(Ino(request.from().ino()), request.from().index()).str();
  view.Scan(Key('K'), from, [&](std::string_view key, std::string_view value) {
    const uint64_t ino = KeyU64(key, 1);
    const bool same = reply->file_size() > 0 && reply->file().rbegin()->ino() == ino;
    const bool there = IsOn(value, request.server());
    const bool full = there && !same && static_cast<size_t>(reply->file_size()) >= files_max;
    if (full || looked_at++ >= limits.records) {
      reply->mutable_next()->set_ino(ino);
      reply->mutable_next()->set_index(KeyU32(key, 9));
      return false;
    }
    if (!there) return true;
    File* file = same ? reply->mutable_file(reply->file_size() - 1) : reply->add_file();
    file->set_ino(ino);
    file->set_chunks(file->chunks() + 1);
    return true;
  });
}

}  // namespace

Status ChunkFilesPage(DbView& view, const pb::ChunkserverFilesRequest& request,
                      const ChunkFilesLimits& limits, pb::ChunkserverFilesReply* reply) {
  FindChunks(view, request, limits, reply);
  Names names(view, limits, request.from());
  std::vector<Ino> dirs;
  for (File& file : *reply->mutable_file()) {
    rec::Inode inode;
    const auto record = view.Get(InodeKey(Ino(file.ino())));
    const bool there = record && inode.ParseFromString(*record);
    file.set_size(inode.size());
    file.set_named(!there || inode.nlink() == 0 ? File::NAMELESS
                   : inode.parent() == 0        ? File::UNKNOWN
                                                : File::PATH);
    dirs.emplace_back(file.named() == File::PATH ? inode.parent() : 0);
    if (file.named() == File::PATH) names.Want(Ino(file.ino()), dirs.back());
  }
  names.Search();
  size_t bytes = 0;
  for (int i = 0; i < reply->file_size(); ++i) {
    File* file = reply->mutable_file(i);
    const Ino dir = dirs[static_cast<size_t>(i)];
    if (dir.v == 0) continue;
    std::string path = names.Path(dir);
    const std::string* name = names.Name(Ino(file->ino()));
    if (name == nullptr) file->set_named(File::DIRECTORY);
    if (name != nullptr) path = names.Cut(path + (path.empty() ? "" : "/") + *name);
    bytes += path.size();
    if (i > 0 && bytes > limits.all_bytes) {  // the next page begins with it
      reply->mutable_next()->set_ino(file->ino());
      reply->mutable_next()->set_index(0);
      names.TellFound(dir, reply->mutable_next());
      reply->mutable_file()->DeleteSubrange(i, reply->file_size() - i);
      break;
    }
    file->set_path(std::move(path));
    if (reply->has_next() && i + 1 == reply->file_size()) names.TellFound(dir, reply->mutable_next());
  }
  // A page without a file tells what the one before it has found.
  if (reply->has_next() && reply->next().found().empty())
    for (const auto& f : request.from().found()) {
      if (static_cast<size_t>(reply->next().found_size()) < kFoundTold)
        *reply->mutable_next()->add_found() = f;
    }
  return view.status();
}

}  // namespace kfs::meta
