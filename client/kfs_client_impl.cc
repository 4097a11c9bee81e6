#include "client/kfs_client_impl.h"

#include <cassert>
#include <future>

namespace kfs {
namespace {

Result<std::shared_ptr<ProtocolWorker>> MakeWorker(KfsClient::Options options) {
  if (options.metaservers.empty()) return Status(EINVAL, "no metaserver is named");
  if (options.volume.empty()) return Status(EINVAL, "no volume is named");
  if (options.ops_in_flight_max < 16) return Status(EINVAL, "ops_in_flight_max must be at least 16");
  Credentials credentials = options.credentials;
  if (credentials.empty() && !options.secret_file.empty()) {
    Result<Credentials> read = Credentials::Read(options.secret_file);
    if (!read.ok()) return read.status();
    credentials = std::move(*read);
  }
  if (options.cluster_id.empty()) options.cluster_id = credentials.cluster_id();
  return std::make_shared<ProtocolWorker>(std::move(options), std::move(credentials));
}

// Worker's thread.
void StartWorker(const std::shared_ptr<ProtocolWorker>& worker,
                 std::function<void(Result<std::unique_ptr<KfsClient>>)> done) {
  worker->Connect([worker, done = std::move(done)](Status status) {
    if (!status.ok()) {
      worker->Stop();
      return done(status);
    }
    done(std::unique_ptr<KfsClient>(std::make_unique<KfsClientImpl>(worker)));
  });
}

}  // namespace

Result<std::unique_ptr<KfsClient>> KfsClient::Connect(Options options) {
  if (options.loop != nullptr)
    return Status(EINVAL, "a shared loop needs the form of Connect with a completion");
  auto worker = MakeWorker(std::move(options));
  if (!worker.ok()) return worker.status();
  std::promise<Result<std::unique_ptr<KfsClient>>> promise;
  auto future = promise.get_future();
  (*worker)->loop().Post(
      [&] { StartWorker(*worker, [&promise](auto result) { promise.set_value(std::move(result)); }); });
  return future.get();
}

void KfsClient::Connect(Options options, std::function<void(Result<std::unique_ptr<KfsClient>>)> done) {
  auto worker = MakeWorker(std::move(options));
  if (!worker.ok()) return done(worker.status());
  (*worker)->loop().Post(
      [w = *worker, done = std::move(done)]() mutable { StartWorker(w, std::move(done)); });
}

KfsClientImpl::KfsClientImpl(std::shared_ptr<ProtocolWorker> worker)
    : worker_(std::move(worker)),
      chunk_size_(worker_->chunk_size()),
      volume_id_(worker_->session().volume()) {}

KfsClientImpl::~KfsClientImpl() {
  if (shut_down_) return;
  if (worker_->loop().InLoopThread()) {
    worker_->Stop();  // no goodbye: the metaserver ends the session after its time to live
  } else {
    (void)Shutdown();
  }
}

Status KfsClientImpl::Shutdown() {
  assert(!worker_->loop().InLoopThread());
  std::promise<Status> promise;
  auto future = promise.get_future();
  Shutdown([&promise](Status s) { promise.set_value(std::move(s)); });
  return future.get();
}

void KfsClientImpl::Shutdown(DoneStatus done) {
  if (shut_down_.exchange(true)) return done(Status());
  auto shutdown = [worker = worker_, done = std::move(done)] { worker->Shutdown(done); };
  if (worker_->loop().InLoopThread()) return shutdown();
  worker_->loop().Post(std::move(shutdown));
}

void KfsClientImpl::OnDrainReleases(std::function<void(std::function<void()>)> fn) {
  auto set = [worker = worker_, fn = std::move(fn)]() mutable { worker->OnDrainReleases(std::move(fn)); };
  if (worker_->loop().InLoopThread()) return set();
  worker_->loop().Post(std::move(set));
}

void KfsClientImpl::Cancel(CallId id) { worker_->Cancel(id); }

void KfsClientImpl::WaitForRoom() const {
  assert(!worker_->loop().InLoopThread());
  worker_->WaitForRoom();
}

}  // namespace kfs
