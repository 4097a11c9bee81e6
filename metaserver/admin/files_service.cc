#include "metaserver/admin/files_service.h"

#include <fmt/format.h>

#include "metaserver/chunks/chunk_files.h"
#include "metaserver/store/db_view.h"

namespace kfs::meta {
namespace {

// Pages that wait for the thread that looks for them, or are on it.
constexpr int kPagesAtOnce = 8;

}  // namespace

void FilesService::Register(Server& server) {
  server.Handle<rpc::ChunkserverFiles>(
      [this](IncomingCallPtr call, const pb::ChunkserverFilesRequest& request) { List(call, request); });
}

void FilesService::List(const IncomingCallPtr& call, const pb::ChunkserverFilesRequest& request) {
  const Result<const pb::VolumeConf*> v = own_.Find(request.volume());
  if (!v.ok()) return call->Fail(v.status());
  if (request.server() == 0 || request.server() > member_.conf().next_chunkserver()) {
    return call->Fail(Status(
        ENOENT,
        fmt::format("there has never been a chunkserver {} (see: kfs chunkserver list)", request.server())));
  }
  Volume* volume = executor_.FindVolume(VolumeId((*v)->id()));
  if (volume == nullptr) {
    if (!(*v)->started()) {
      return call->Fail(
          Status(EBUSY, fmt::format("volume \"{0}\" is stopped: which of its files have chunks there "
                                    "is known once it is started (kfs volume start {0})",
                                    request.volume())));
    }
    return call->Fail(own_.WhyNotOpen(request.volume()));
  }
  if (pages_listed_ >= kPagesAtOnce)
    return call->Fail(Status(EAGAIN, Code::kTryAgain, "too many ask for lists of files at once: try again"));
  ++pages_listed_;
  auto reply = std::make_shared<pb::ChunkserverFilesReply>();
  reply->set_ino_end(volume->store.counters().next_ino());
  Db* db = &volume->store.db();
  scans_.Do(
      db,
      [db, request, reply] {
        DbView view(*db);
        return ChunkFilesPage(view, request, ChunkFilesLimits{}, reply.get());
      },
      [this, gone = lifetime_.watch(), call, reply](const Status& s) {
        if (!gone.ended()) --pages_listed_;
        if (!s.ok()) return call->Fail(s);
        call->Reply(*reply);
      });
}

}  // namespace kfs::meta
