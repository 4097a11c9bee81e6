#include "client/bench/meta_bench.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

namespace kfs {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr uint32_t kFileMode = 0644;

std::string FileName(uint64_t i) { return fmt::format("f{}", i); }
std::string RenamedName(uint64_t i) { return fmt::format("r{}", i); }

// One client, its directory, and the files made so far.
struct Driver {
  std::unique_ptr<KfsClient> client;
  std::string dir_name;
  Ino dir;
  std::vector<Ino> files;  // by number; 0: creation failed
};

using Finished = std::function<void(Status)>;
// Starts op number `i` of a driver.
using StartOp = std::function<void(Driver&, uint64_t i, Finished)>;

// Counts of one driver in one phase; its worker's thread only, until it is done.
struct Progress {
  uint64_t next = 0, limit = 0, outstanding = 0, errors = 0;
  bool filling = false;
  std::vector<uint32_t> micros;
  std::string first_error;
};

// Runs one phase on all drivers at once: keeps `in_flight` ops going on each until `limit` ops or the
// deadline.
class PhaseRun {
 public:
  PhaseRun(std::vector<Driver>& drivers, int in_flight, SteadyClock::time_point deadline, StartOp start)
      : drivers_(drivers),
        progress_(drivers.size()),
        in_flight_(in_flight),
        deadline_(deadline),
        start_(std::move(start)) {}

  BenchPhase Run(std::string name, const std::function<uint64_t(const Driver&)>& limit) {
    const auto begin = SteadyClock::now();
    running_ = drivers_.size();
    for (size_t d = 0; d < drivers_.size(); ++d) {
      progress_[d].limit = limit(drivers_[d]);
      // Begun on the worker's thread, so that from then on each answer starts the next op without a
      // hand-over.
      drivers_[d].client->GetAttr({}, drivers_[d].dir, [this, d](Result<Entry>) { Fill(d); });
    }
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    return Summary(std::move(name), std::chrono::duration<double>(SteadyClock::now() - begin).count());
  }

 private:
  void Fill(size_t d) {
    Progress& p = progress_[d];
    if (p.filling) return;  // answered from within One: the loop below goes on
    p.filling = true;
    while (p.outstanding < static_cast<uint64_t>(in_flight_) && p.next < p.limit &&
           SteadyClock::now() < deadline_)
      One(d);
    p.filling = false;
    if (p.outstanding != 0) return;
    std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }

  void One(size_t d) {
    Progress& p = progress_[d];
    ++p.outstanding;
    start_(drivers_[d], p.next++, [this, d, begin = SteadyClock::now()](const Status& status) {
      Progress& progress = progress_[d];
      --progress.outstanding;
      const auto took =
          std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - begin).count();
      progress.micros.push_back(static_cast<uint32_t>(std::min<int64_t>(took, UINT32_MAX)));
      if (!status.ok() && progress.errors++ == 0) progress.first_error = status.ToString();
      Fill(d);
    });
  }

  BenchPhase Summary(std::string name, double seconds) {
    BenchPhase phase;
    phase.name = std::move(name);
    phase.seconds = seconds;
    std::vector<uint32_t> all;
    for (const Progress& p : progress_) {
      all.insert(all.end(), p.micros.begin(), p.micros.end());
      phase.errors += p.errors;
      if (phase.first_error.empty()) phase.first_error = p.first_error;
    }
    phase.ops = all.size();
    if (all.empty()) return phase;
    phase.ops_per_second = static_cast<double>(all.size()) / seconds;
    std::sort(all.begin(), all.end());
    auto at = [&](double q) {
      return static_cast<double>(all[static_cast<size_t>(q * static_cast<double>(all.size() - 1))]);
    };
    phase.p50_us = at(0.50);
    phase.p95_us = at(0.95);
    phase.p99_us = at(0.99);
    phase.max_us = at(1.0);
    return phase;
  }

  std::vector<Driver>& drivers_;
  std::vector<Progress> progress_;
  const int in_flight_;
  const SteadyClock::time_point deadline_;
  const StartOp start_;
  std::mutex mutex_;
  std::condition_variable done_;
  size_t running_ = 0;  // guarded by mutex_
};

template <typename T>
std::function<void(Result<T>)> Ignoring(Finished finished) {
  return [finished = std::move(finished)](Result<T> r) { finished(r.status()); };
}

void CreateOne(Driver& d, uint64_t i, Finished finished) {
  if (d.files.size() <= i) d.files.resize(i + 1);
  d.client->MkNod({}, d.dir, FileName(i), S_IFREG | kFileMode, 0, [&d, i, finished](Result<Entry> r) {
    if (r.ok()) d.files[i] = r->attr.ino;
    finished(r.status());
  });
}

Status MakeDirectories(std::vector<Driver>& drivers) {
  for (size_t i = 0; i < drivers.size(); ++i) {
    Driver& d = drivers[i];
    d.dir_name = fmt::format("kfs-bench-{}-{}", getpid(), i);
    Result<Attr> dir = d.client->Mkdir({}, "/" + d.dir_name, 0755);
    if (!dir.ok()) return dir.status();
    d.dir = dir->ino;
  }
  return {};
}

std::string JsonText(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

}  // namespace

Result<BenchResult> RunMetaBench(const BenchOptions& options) {
  if (options.clients < 1 || options.in_flight < 1 || options.seconds <= 0) {
    return Status(EINVAL, "clients, in-flight and seconds must be positive");
  }
  std::vector<Driver> drivers(static_cast<size_t>(options.clients));
  for (Driver& d : drivers) {
    auto client = KfsClient::Connect(options.client);
    if (!client.ok()) return client.status();
    d.client = std::move(*client);
  }
  if (Status s = MakeDirectories(drivers); !s.ok()) return s;

  BenchResult result;
  auto made = [](const Driver& d) { return static_cast<uint64_t>(d.files.size()); };
  const auto limit =
      std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(options.seconds));
  auto phase = [&](const char* name, bool timed, StartOp start,
                   const std::function<uint64_t(const Driver&)>& count) {
    const auto deadline = timed ? SteadyClock::now() + limit : SteadyClock::time_point::max();
    result.phases.push_back(
        PhaseRun(drivers, options.in_flight, deadline, std::move(start)).Run(name, count));
  };
  phase("create", true, CreateOne, [&](const Driver&) { return options.files_max; });
  phase(
      "lookup", true,
      [](Driver& d, uint64_t i, Finished f) {
        d.client->Lookup({}, d.dir, FileName(i), Ignoring<Entry>(std::move(f)));
      },
      made);
  phase(
      "stat", true,
      [](Driver& d, uint64_t i, Finished f) {
        d.client->GetAttr({}, d.files[i], Ignoring<Entry>(std::move(f)));
      },
      made);
  // To the end, whatever the time: what was created goes again.
  phase(
      "rename", false,
      [](Driver& d, uint64_t i, Finished f) {
        d.client->Rename({}, d.dir, FileName(i), d.dir, RenamedName(i), 0,
                         Ignoring<KfsClient::Removed>(std::move(f)));
      },
      made);
  phase(
      "unlink", false,
      [](Driver& d, uint64_t i, Finished f) {
        d.client->Unlink({}, d.dir, RenamedName(i), Ignoring<KfsClient::Removed>(std::move(f)));
      },
      made);
  for (Driver& d : drivers) {
    (void)d.client->Remove({}, "/" + d.dir_name);
    (void)d.client->Shutdown();
  }
  return result;
}

std::string BenchResult::ToText() const {
  std::string out = fmt::format("{:<8} {:>10} {:>12} {:>10} {:>10} {:>10} {:>10} {:>8}\n", "op", "ops",
                                "ops/s", "p50 us", "p95 us", "p99 us", "max us", "errors");
  for (const BenchPhase& p : phases) {
    out += fmt::format("{:<8} {:>10} {:>12.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>8}{}\n", p.name,
                       p.ops, p.ops_per_second, p.p50_us, p.p95_us, p.p99_us, p.max_us, p.errors,
                       p.first_error.empty() ? "" : "  first: " + p.first_error);
  }
  return out;
}

std::string BenchResult::ToJson() const {
  std::string out = "[";
  for (const BenchPhase& p : phases) {
    out += fmt::format(
        "{}{{\"op\":\"{}\",\"ops\":{},\"seconds\":{:.3f},\"ops_per_second\":{:.0f},\"p50_us\":{:.0f},\"p95_"
        "us\":{:.0f},"
        "\"p99_us\":{:.0f},\"max_us\":{:.0f},\"errors\":{},\"first_error\":\"{}\"}}",
        out.size() == 1 ? "" : ",", p.name, p.ops, p.seconds, p.ops_per_second, p.p50_us, p.p95_us, p.p99_us,
        p.max_us, p.errors, JsonText(p.first_error));
  }
  return out + "]";
}

}  // namespace kfs
