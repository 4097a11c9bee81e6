// The path-level calls: walk, then one or a few ops, each a SyncRequest. The caller's thread does the
// walking.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "client/convert.h"
#include "client/data_ops.h"
#include "client/kfs_client_impl.h"
#include "client/meta_op.h"
#include "common/limits.h"

namespace kfs {
namespace {

constexpr int kSymlinksMax = 40;  // as the kernel follows

// The first component of `path`, taken off it. Empty at the end.
std::string TakeComponent(std::string& path) {
  const size_t begin = std::min(path.find_first_not_of('/'), path.size());
  const size_t end = std::min(path.find('/', begin), path.size());
  std::string name = path.substr(begin, end - begin);
  path.erase(0, end);
  return name;
}

bool OnlySlashes(const std::string& path) { return path.find_first_not_of('/') == std::string::npos; }

Status About(const Status& status, std::string_view path) {
  return Status(status.err(), status.code(), fmt::format("{}: {}", path, status.message()));
}

template <typename Request>
Request Named(Ino parent, const std::string& name) {
  Request request;
  request.set_parent(parent.v);
  request.set_name(name);
  return request;
}

}  // namespace

Result<KfsClientImpl::Place> KfsClientImpl::Walk(const Caller& caller, std::string_view path,
                                                 bool follow_last) {
  std::string rest(path);
  Place at;
  auto root = std::make_shared<MetaOp<rpc::Getattr>>(caller, [] {
    pb::GetattrRequest r;
    r.set_ino(kRootIno.v);
    return r;
  }());
  if (Status s = Run(root); !s.ok()) return About(s, path);
  const kfs::Attr root_attr = AttrFromPb(root->reply.attr());
  at.attr = root_attr;
  int links = 0;
  while (true) {
    const std::string name = TakeComponent(rest);
    if (name.empty()) return at;
    if (!at.attr.ino) return Status(ENOENT, fmt::format("{}: \"{}\" does not exist", path, at.name));
    if (!S_ISDIR(at.attr.mode))
      return Status(ENOTDIR, fmt::format("{}: \"{}\" is not a directory", path, at.name));
    auto lookup = std::make_shared<MetaOp<rpc::Lookup>>(caller, Named<pb::LookupRequest>(at.attr.ino, name));
    const Status found = Run(lookup);
    const bool last = OnlySlashes(rest);
    if (!found.ok() && !(last && found.err() == ENOENT)) return About(found, path);
    Place next{.parent = at.attr.ino, .name = name, .attr = {}};
    if (found.ok()) next.attr = AttrFromPb(lookup->reply.attr());
    if (!S_ISLNK(next.attr.mode) || (last && rest.empty() && !follow_last)) {
      at = std::move(next);
      continue;
    }
    if (++links > kSymlinksMax) return Status(ELOOP, fmt::format("{}: too many symbolic links", path));
    pb::ReadlinkRequest request;
    request.set_ino(next.attr.ino.v);
    auto readlink = std::make_shared<MetaOp<rpc::Readlink>>(caller, std::move(request));
    if (Status s = Run(readlink); !s.ok()) return About(s, path);
    const std::string& target = readlink->reply.target();
    rest = target + rest;
    if (target.starts_with('/')) at = Place{.parent = kRootIno, .name = {}, .attr = root_attr};
  }
}

Result<KfsClientImpl::Place> KfsClientImpl::WalkToExisting(const Caller& caller, std::string_view path,
                                                           bool follow_last) {
  Result<Place> place = Walk(caller, path, follow_last);
  if (place.ok() && !place->attr.ino)
    return Status(ENOENT, fmt::format("{}: no such file or directory", path));
  return place;
}

Result<Attr> KfsClientImpl::Stat(const Caller& caller, std::string_view path) {
  Result<Place> place = WalkToExisting(caller, path, true);
  if (!place.ok()) return place.status();
  return place->attr;
}

Result<Attr> KfsClientImpl::Mkdir(const Caller& caller, std::string_view path, uint32_t mode) {
  Result<Place> place = Walk(caller, path, false);
  if (!place.ok()) return place.status();
  if (place->name.empty()) return Status(EEXIST, fmt::format("{}: is the root", path));
  auto request = Named<pb::MkdirRequest>(place->parent, place->name);
  request.set_mode(mode);
  auto op = std::make_shared<MkdirOp>(caller, std::move(request));
  if (Status s = Run(op); !s.ok()) return About(s, path);
  return AttrFromPb(op->reply.attr());
}

Status KfsClientImpl::Remove(const Caller& caller, std::string_view path) {
  Result<Place> place = WalkToExisting(caller, path, false);
  if (!place.ok()) return place.status();
  if (place->name.empty()) return Status(EBUSY, fmt::format("{}: is the root", path));
  const Status status = S_ISDIR(place->attr.mode)
                            ? Run(std::make_shared<MetaOp<rpc::Rmdir>>(
                                  caller, Named<pb::RmdirRequest>(place->parent, place->name)))
                            : Run(std::make_shared<MetaOp<rpc::Unlink>>(
                                  caller, Named<pb::UnlinkRequest>(place->parent, place->name)));
  return status.ok() ? status : About(status, path);
}

Status KfsClientImpl::Rename(const Caller& caller, std::string_view from, std::string_view to) {
  Result<Place> source = WalkToExisting(caller, from, false);
  if (!source.ok()) return source.status();
  Result<Place> target = Walk(caller, to, false);
  if (!target.ok()) return target.status();
  if (source->name.empty() || target->name.empty())
    return Status(EBUSY, "the root cannot be renamed or replaced");
  auto request = Named<pb::RenameRequest>(source->parent, source->name);
  request.set_new_parent(target->parent.v);
  request.set_new_name(target->name);
  const Status status = Run(std::make_shared<MetaOp<rpc::Rename>>(caller, std::move(request)));
  return status.ok() ? status : About(status, fmt::format("{} to {}", from, to));
}

Result<std::vector<DirEntry>> KfsClientImpl::List(const Caller& caller, std::string_view path) {
  Result<Place> place = WalkToExisting(caller, path, true);
  if (!place.ok()) return place.status();
  std::vector<DirEntry> all;
  uint64_t cookie = 0, last = UINT64_MAX;
  while (true) {
    pb::ReaddirRequest request;
    request.set_ino(place->attr.ino.v);
    request.set_cookie(cookie);
    request.set_last(last);
    request.set_max_bytes(kReaddirBytesMax);
    request.set_plus(true);
    auto op = std::make_shared<MetaOp<rpc::Readdir>>(caller, std::move(request));
    if (Status s = Run(op); !s.ok()) return About(s, path);
    DirPage page = DirPageFromPb(op->reply);
    const bool empty = page.entries.empty();
    if (cookie == 0 && page.last != 0) last = page.last;
    if (!empty) cookie = page.entries.back().cookie;
    std::move(page.entries.begin(), page.entries.end(), std::back_inserter(all));
    if (page.eof || empty) return all;
  }
}

void KfsClientImpl::Close(const Caller& caller, const FileHandlePtr& handle) {
  pb::ReleaseRequest release;
  release.set_ino(handle->ino().v);
  (void)Run(std::make_shared<ReleaseOp>(caller, std::move(release), handle));
}

Result<std::string> KfsClientImpl::ReadFile(const Caller& caller, std::string_view path) {
  Result<Place> place = WalkToExisting(caller, path, true);
  if (!place.ok()) return place.status();
  pb::OpenRequest request;
  request.set_ino(place->attr.ino.v);
  request.set_flags(O_RDONLY);
  auto open = std::make_shared<OpenOp>(caller, std::move(request));
  if (Status s = Run(open); !s.ok()) return About(s, path);
  std::string data;
  Status status;
  while (true) {
    auto read = std::make_shared<ReadOp>(caller, open->handle, data.size(), kIoSizeMax);
    status = Run(read);
    if (!status.ok()) break;
    data += read->result.view();
    if (read->result.size() < kIoSizeMax) break;
  }
  Close(caller, open->handle);
  if (!status.ok()) return About(status, path);
  return data;
}

Status KfsClientImpl::WriteAll(const Caller& caller, const FileHandlePtr& handle, std::string_view data) {
  for (size_t at = 0; at < data.size(); at += kIoSizeMax) {
    const std::string_view part = data.substr(at, kIoSizeMax);
    KFS_RETURN_IF_ERROR(Run(
        std::make_shared<WriteOp>(caller, handle, at, Buffer::Copy(part.data(), part.size()), WriteFlags{})));
  }
  return {};
}

Status KfsClientImpl::WriteFile(const Caller& caller, std::string_view path, std::string_view data,
                                uint32_t mode) {
  Result<Place> place = Walk(caller, path, true);
  if (!place.ok()) return place.status();
  if (place->name.empty()) return Status(EISDIR, fmt::format("{}: is the root", path));
  auto request = Named<pb::CreateRequest>(place->parent, place->name);
  request.set_mode(mode);
  request.set_flags(O_CREAT | O_WRONLY | O_TRUNC);
  auto create = std::make_shared<CreateOp>(caller, std::move(request));
  if (Status s = Run(create); !s.ok()) return About(s, path);
  const Status status = WriteAll(caller, create->handle, data);
  Close(caller, create->handle);
  return status.ok() ? status : About(status, path);
}

}  // namespace kfs
