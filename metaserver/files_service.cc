// The metaserver's op that lists which files have chunks on a chunkserver.
#include <fmt/format.h>

#include "metaserver/chunks/chunk_files.h"
#include "metaserver/metaserver.h"

namespace kfs::meta {
namespace {

// Pages that wait for the thread that looks for them, or are on it.
constexpr int kPagesAtOnce = 8;

}  // namespace

void MetaServer::RegisterFiles() {
  server_->Handle<rpc::ChunkserverFiles>(
      [this](IncomingCallPtr call, const pb::ChunkserverFilesRequest& request) { ListFiles(call, request); });
}

void MetaServer::ListFiles(const IncomingCallPtr& call, const pb::ChunkserverFilesRequest& request) {
  const Result<const pb::VolumeConf*> v = OwnVolume(request.volume());
  if (!v.ok()) return call->Fail(v.status());
  if (request.server() == 0 || request.server() > member_->conf().next_chunkserver()) {
    return call->Fail(Status(
        ENOENT,
        fmt::format("there has never been a chunkserver {} (see: kfs chunkserver list)", request.server())));
  }
  Volume* volume = executor_->FindVolume(VolumeId((*v)->id()));
  if (volume == nullptr) {
    if (!(*v)->started()) {
      return call->Fail(
          Status(EBUSY, fmt::format("volume \"{0}\" is stopped: which of its files have chunks there "
                                    "is known once it is started (kfs volume start {0})",
                                    request.volume())));
    }
    const Status why = Where(request.volume());
    return call->Fail(why.ok() ? Status(EAGAIN, Code::kTryAgain, "the volume is being opened") : why);
  }
  if (pages_listed_ >= kPagesAtOnce)
    return call->Fail(Status(EAGAIN, Code::kTryAgain, "too many ask for lists of files at once: try again"));
  ++pages_listed_;
  auto reply = std::make_shared<pb::ChunkserverFilesReply>();
  reply->set_ino_end(volume->store.counters().next_ino());
  Db* db = &volume->store.db();
  scans_->Do(
      db,
      [db, request, reply] {
        DbView view(*db);
        return ChunkFilesPage(view, request, ChunkFilesLimits{}, reply.get());
      },
      [this, alive = alive_, call, reply](const Status& s) {
        if (*alive) --pages_listed_;
        if (!s.ok()) return call->Fail(s);
        call->Reply(*reply);
      });
}

}  // namespace kfs::meta
