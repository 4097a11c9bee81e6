#include "tests/sim/world/process.h"

#include <algorithm>
#include <utility>

#include "common/reached.h"
#include "rpc/event_loop_impl.h"
#include "rpc/workers.h"
#include "tests/sim/world/network.h"

namespace kfs::sim {
namespace {

constexpr TimeNs kWorldBegan = 1'700'000'000'000'000'000;  // by a wall clock that is right
constexpr Nanos kBootedBefore = 1000 * kSecond;
constexpr Nanos kLookAtClock = 30, kTick = 2 * kMicro, kTickMax = 60 * kMicro;
constexpr uint64_t kResident = 100u << 20;
// A thread's work begins and ends within these.
constexpr Nanos kWorkMin = 5 * kMicro, kWorkMax = 2 * kMilli;

class SimClock : public Clock {
 public:
  explicit SimClock(Process& process) : process_(process) {}
  TimeNs WallNow() const override {
    process_.Costs(kLookAtClock);
    return kWorldBegan + process_.host().wall_offset + Elapsed();
  }
  MonoTime MonoNow() const override {
    process_.Costs(kLookAtClock);
    return MonoTime(std::chrono::nanoseconds(kBootedBefore + Elapsed()));
  }
  uint64_t BootMs() const override {
    process_.Costs(kLookAtClock);
    return static_cast<uint64_t>((kBootedBefore + Elapsed() + process_.host().suspended) / kMilli);
  }

 private:
  Nanos Elapsed() const {
    return static_cast<Nanos>(static_cast<double>(process_.Time()) * process_.host().speed);
  }
  Process& process_;
};

class SimEntropy : public Entropy {
 public:
  explicit SimEntropy(World& world) : world_(world) {}
  void Fill(char* to, size_t size) override {
    while (size != 0) {
      const uint64_t drawn = world_.Draw();
      const size_t n = std::min(size, sizeof(drawn));
      std::copy_n(reinterpret_cast<const char*>(&drawn), n, to);
      to += n;
      size -= n;
    }
  }

 private:
  World& world_;
};

class SimTimer : public EventLoop::Timer::State, public std::enable_shared_from_this<SimTimer> {
 public:
  SimTimer(Process& process, Duration period, std::function<void()> fn)
      : process_(process), period_(period), fn_(std::move(fn)) {}
  void Arm(Duration delay) {
    const double real = static_cast<double>(delay.count()) / process_.host().speed;
    process_.world().At(process_.Time() + static_cast<Nanos>(real), process_.shared_from_this(),
                        [self = shared_from_this()] { self->Run(); });
  }
  void Cancel() override {
    active_ = false;
    fn_ = nullptr;
  }
  bool active() const override { return active_; }

 private:
  void Run() {
    if (!active_) return;
    if (period_ == Duration::zero()) {
      active_ = false;
      return std::exchange(fn_, nullptr)();
    }
    auto fn = fn_;  // a copy: the function may cancel its own timer
    Arm(period_);
    fn();
  }

  Process& process_;
  const Duration period_;
  std::function<void()> fn_;
  bool active_ = true;
};

// Turns of the world's one thread. `at_once` of them are under way at a time, each for as long as is drawn.
class SimWorkers : public Workers {
 public:
  SimWorkers(Process& process, int at_once) : state_(std::make_shared<State>(State{process, at_once, {}})) {}
  ~SimWorkers() override { state_->waiting.clear(); }
  void Do(std::function<void()> work) override {
    state_->waiting.push_back(std::move(work));
    Next(state_);
  }

 private:
  struct State {
    Process& process;
    int free;
    std::deque<std::function<void()>> waiting;
  };
  static void Next(const std::shared_ptr<State>& state) {
    if (state->free == 0 || state->waiting.empty()) return;
    --state->free;
    World& world = state->process.world();
    world.At(state->process.Time() + world.Between(kWorkMin, kWorkMax), state->process.shared_from_this(),
             [state] {
               ++state->free;
               if (state->waiting.empty()) return;  // its owner has let go of it meanwhile
               auto work = std::move(state->waiting.front());
               state->waiting.pop_front();
               work();
               Next(state);
             });
  }
  const std::shared_ptr<State> state_;
};

class SimLoop : public EventLoop::Impl {
 public:
  explicit SimLoop(Process& process)
      : process_(process), clock_(process), entropy_(process.world()), network_(MakeNetwork(process)) {}
  void Run() override {}  // the world runs it
  void Stop() override {}
  void Post(std::function<void()> fn) override {
    process_.world().At(process_.Time(), process_.shared_from_this(), std::move(fn));
  }
  void AtTickEnd(std::function<void()> fn) override { process_.AtTickEnd(std::move(fn)); }
  bool InLoopThread() const override { return true; }
  MonoTime Now() override { return clock_.MonoNow(); }
  Clock& clock() override { return clock_; }
  Entropy& entropy() override { return entropy_; }
  Network& network() override { return *network_; }
  std::string HostName() override { return process_.host().name; }
  // Of one that is simulated nobody knows; and what is told takes its bytes on the network.
  uint64_t ResidentBytes() override { return kResident; }
  std::unique_ptr<Workers> StartWorkers(const char*, int at_once) override {
    return std::make_unique<SimWorkers>(process_, at_once);
  }
  std::shared_ptr<EventLoop::Timer::State> StartTimer(Duration delay, Duration period,
                                                      std::function<void()> fn) override {
    auto timer = std::make_shared<SimTimer>(process_, period, std::move(fn));
    timer->Arm(delay);
    return timer;
  }
  std::unique_ptr<EventLoop::Watch> WatchReadable(int, std::function<void()>) override { std::abort(); }

 private:
  Process& process_;
  SimClock clock_;
  SimEntropy entropy_;
  const std::unique_ptr<Network> network_;
};

}  // namespace

// ---- Host ----

Host::Host(World& w, std::string n)
    : world(w),
      name(std::move(n)),
      speed(1 + w.mishaps.drift_max * (static_cast<double>(w.Draw() % 2001) / 1000.0 - 1)) {}

std::shared_ptr<Process> Host::Start(const std::string& what) {
  auto process = std::make_shared<Process>(world.hosts().at(name), what);
  std::erase_if(processes_, [](const auto& p) { return p.expired(); });
  processes_.push_back(process);
  return process;
}

void Host::Lose() {
  for (const auto& weak : processes_) {
    if (auto p = weak.lock()) p->Vanish();
  }
}

// ---- Process ----

Process::Process(std::shared_ptr<Host> host, std::string what)
    : host_(std::move(host)),
      what_(std::move(what)),
      loop_(std::make_unique<EventLoop>(std::make_shared<SimLoop>(*this))) {}

Process::~Process() = default;

void Process::Stop(Nanos how_long) { busy_until_ = std::max(busy_until_, Time()) + how_long; }
void Process::Kill() { End(true); }
void Process::Vanish() { End(false); }

void Process::End(bool with_a_word) {
  if (!std::exchange(alive_, false)) return;
  world().Note(host_->name + " " + what_ + " ends");
  for (const auto& weak : pipes_) {
    if (auto pipe = weak.lock()) pipe->EndOf(*this, with_a_word);
  }
  const auto dropped = std::move(tick_end_);
  tick_end_.clear();
  world().Drop(*this);
}

Nanos Process::Time() const {
  return in_tick_ ? world().now() + tick_took_ : std::max(world().now(), busy_until_);
}

void Process::Costs(Nanos least) {
  if (!alive_ || !in_tick_) return;
  tick_took_ += least;
  if (!world().Chance(world().mishaps.stop_chance)) return;
  KFS_REACHED("mishap.process_stood_still");
  tick_took_ += world().Between(0, world().mishaps.stop_max);
}

void Process::RunEvent(const std::function<void()>& fn) {
  const auto keep = shared_from_this();
  in_tick_ = true;
  tick_took_ = kTick;
  fn();
  // A tick may end at once, or take in what else arrives meanwhile.
  if (!tick_end_.empty() && !ending_tick_) {
    if (world().Chance(0.5)) {
      EndTick();
    } else {
      ending_tick_ = true;
      world().At(world().now() + world().Between(0, kTickMax), shared_from_this(), [this] {
        ending_tick_ = false;
        EndTick();
      });
    }
  }
  busy_until_ = std::max(busy_until_, world().now() + tick_took_);
  in_tick_ = false;
  tick_took_ = 0;
}

void Process::EndTick() {
  std::vector<std::function<void()>> round;
  while (!tick_end_.empty()) {
    round.swap(tick_end_);
    for (auto& end : round) {
      if (alive_) end();
    }
    round.clear();
  }
}

std::shared_ptr<Pipe> Process::Track(std::shared_ptr<Pipe> pipe) {
  std::erase_if(pipes_, [](const auto& p) { return p.expired(); });
  pipes_.push_back(pipe);
  return pipe;
}

}  // namespace kfs::sim
