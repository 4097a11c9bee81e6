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

using ConnectDone = std::function<void(Result<std::unique_ptr<KfsClient>>)>;

// Holds the worker until it has a session, so that one whose loop ends meanwhile goes with whoever wanted it.
class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(std::shared_ptr<ProtocolWorker> worker, ConnectDone done)
      : worker_(std::move(worker)), done_(std::move(done)) {}
  ~Attempt() {
    if (worker_ == nullptr) return;
    EventLoop& loop = worker_->loop();
    if (loop.InLoopThread() || !worker_->net().owns_thread()) {
      worker_->Stop();
    } else {
      loop.Post([worker = std::move(worker_)] { worker->Stop(); });
    }
  }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  void Begin() {
    worker_->loop().Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->BeginHere();
    });
  }

 private:
  void BeginHere() {
    worker_->Connect([weak = weak_from_this()](const Status& status) {
      if (const auto self = weak.lock()) self->End(status);
    });
  }
  void End(const Status& status) {
    const auto worker = std::move(worker_);
    const ConnectDone done = std::move(done_);
    if (status.ok()) return done(std::unique_ptr<KfsClient>(std::make_unique<KfsClientImpl>(worker)));
    worker->Stop();
    done(status);
  }

  std::shared_ptr<ProtocolWorker> worker_;  // null: it has ended
  ConnectDone done_;
};

class ConnectingImpl : public KfsClient::Connecting {
 public:
  explicit ConnectingImpl(std::shared_ptr<Attempt> attempt) : attempt_(std::move(attempt)) {}

 private:
  const std::shared_ptr<Attempt> attempt_;
};

}  // namespace

Result<std::unique_ptr<KfsClient>> KfsClient::Connect(Options options) {
  if (options.loop != nullptr)
    return Status(EINVAL, "a shared loop needs the form of Connect with a completion");
  auto worker = MakeWorker(std::move(options));
  if (!worker.ok()) return worker.status();
  std::promise<Result<std::unique_ptr<KfsClient>>> promise;
  auto future = promise.get_future();
  const auto attempt = std::make_shared<Attempt>(
      std::move(*worker), [&promise](auto result) { promise.set_value(std::move(result)); });
  attempt->Begin();
  return future.get();
}

std::unique_ptr<KfsClient::Connecting> KfsClient::Connect(Options options, ConnectDone done) {
  auto worker = MakeWorker(std::move(options));
  if (!worker.ok()) {
    done(worker.status());
    return nullptr;
  }
  auto attempt = std::make_shared<Attempt>(std::move(*worker), std::move(done));
  attempt->Begin();
  return std::make_unique<ConnectingImpl>(std::move(attempt));
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
