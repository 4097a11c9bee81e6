#include "tests/sim/cluster/program.h"

#include <fcntl.h>

#include <cstring>
#include <utility>

#include "common/limits.h"
#include "proto/meta.pb.h"

namespace kfs::sim {
namespace {

constexpr uint64_t kMixture = uint64_t{1} << 63;
constexpr uint64_t kBlocks = 6;  // of a file, at most, but for appends
constexpr uint64_t kRivalBlocks = 2;
// Of a write that is given up: at once, while its bytes are on their way, or when somebody has lost patience.
constexpr double kGivesUpChance = 0.15;
constexpr Nanos kPatienceMax = 100 * kMilli;
constexpr double kWaitsChance = 0.3;  // of a lock that another has
constexpr double kReopenChance = 0.04, kRemoveFileChance = 0.02;

Buffer BlockOf(uint64_t value) {
  Buffer data(kBlock);
  for (size_t at = 0; at < kBlock; at += sizeof(value)) std::memcpy(data.data() + at, &value, sizeof(value));
  return data;
}

// The value that a block was written with; of a mixture of several, those, and a number for just this one.
uint64_t ValueOf(const Buffer& data, std::set<uint64_t>* mixed) {
  if (data.empty()) return 0;
  if (data.size() != kBlock) return UINT64_MAX;
  uint64_t value = 0, hash = 14695981039346656037u;
  for (size_t at = 0; at < kBlock; at += sizeof(value)) {
    std::memcpy(&value, data.data() + at, sizeof(value));
    mixed->insert(value);
    hash = (hash ^ value) * 1099511628211u;
  }
  if (mixed->size() > 1) return hash | kMixture;
  mixed->clear();
  return value;
}

}  // namespace

Program::Program(World& world, std::shared_ptr<Process> process, KfsClient* client, History* history,
                 Options options)
    : world_(world),
      process_(std::move(process)),
      client_(client),
      history_(history),
      options_(std::move(options)),
      left_(options_.calls) {}

void Program::Start() { OpenNext(0); }

void Program::OpenNext(size_t file) {
  if (file == options_.files.size()) return Next();
  client_->Open(caller_, options_.files[file], O_RDWR,
                [self = shared_from_this(), file](const Result<KfsClient::Opened>& opened) {
                  if (self->ended_) return;
                  if (!opened.ok()) return self->Abandon();
                  self->handles_[self->options_.files[file].v] = opened->handle;
                  self->OpenNext(file + 1);
                });
}

// A while later: programs compute, too.
void Program::Next() {
  if (ended_) return;
  if (left_-- <= 0 && !UnlocksLast()) {
    ended_ = true;
    return LocksMayGo();
  }
  const Nanos pause = world_.Chance(0.1) ? world_.Between(0, kSecond) : world_.Between(0, 2 * kMilli);
  world_.At(process_->Time() + pause, process_, [self = shared_from_this()] {
    if (!self->ended_) self->Pick();
  });
}

uint64_t Program::AnyDir() { return dirs_[world_.Draw() % dirs_.size()]; }
std::string Program::AnyName() { return std::string(1, static_cast<char>('a' + world_.Draw() % 4)); }
uint64_t Program::AnyFile() { return options_.files[world_.Draw() % options_.files.size()].v; }

void Program::Pick() {
  if (!world_.Chance(kReopenChance)) return Choose();
  Reopen(AnyFile(), [self = shared_from_this()] { self->Choose(); });
}

void Program::Choose() {
  Step step;
  step.program = options_.number;
  step.client = options_.client;
  if (options_.rivals && (left_ < 0 || world_.Chance(0.9))) {
    Rival(step);
  } else if (options_.rivals || world_.Chance(0.5)) {
    Names(step);
  } else {
    Content(step);
  }
  Begin(std::move(step));
}

void Program::Names(Step& step) {
  constexpr Call kCalls[] = {Call::kLookup, Call::kMkdir, Call::kCreate, Call::kCreate,
                             Call::kUnlink, Call::kRmdir, Call::kRename, Call::kRename,
                             Call::kList,   Call::kLink,  Call::kSyncDir};
  step.call = kCalls[world_.Draw() % std::size(kCalls)];
  if (step.call == Call::kLink && others_.empty()) step.call = Call::kCreate;
  step.dir = AnyDir();
  step.name = step.call == Call::kList || step.call == Call::kSyncDir ? "" : AnyName();
  if (step.call == Call::kRename) {
    step.new_dir = AnyDir();
    step.new_name = AnyName();
  }
  if (step.call == Call::kLink) step.ino = others_[world_.Draw() % others_.size()];
  // Who has it open uses it all the same.
  if (!options_.names.empty() && world_.Chance(kRemoveFileChance)) {
    step.call = Call::kUnlink;
    step.dir = 1;
    step.name = options_.names[world_.Draw() % options_.names.size()];
  }
}

void Program::Content(Step& step) {
  constexpr Call kCalls[] = {Call::kRead,  Call::kRead,   Call::kRead,     Call::kWrite, Call::kWrite,
                             Call::kWrite, Call::kSize,   Call::kTruncate, Call::kLock,  Call::kUnlock,
                             Call::kLock,  Call::kAppend, Call::kSyncFile};
  step.call = kCalls[world_.Draw() % std::size(kCalls)];
  step.ino = AnyFile();
  step.block = world_.Draw() % kBlocks;
  if (step.call == Call::kAppend || step.call == Call::kSize || step.call == Call::kSyncFile) step.block = 0;
  // No two writes of a history are alike.
  if (step.call == Call::kWrite || step.call == Call::kAppend) step.value = history_->steps.size() + 1000;
  if (step.call == Call::kLock || step.call == Call::kUnlock)
    step.owner = static_cast<uint64_t>(options_.number) + 1;
}

// Others wait for its lock: it goes before the program does.
bool Program::UnlocksLast() const { return options_.rivals && !locks_.empty(); }

void Program::Rival(Step& step) {
  step.ino = options_.files[0].v;
  step.block = world_.Draw() % kRivalBlocks;
  const uint64_t lot = world_.Draw() % 10;
  if (locks_.empty()) {
    step.call = lot < 5 ? Call::kLock : lot < 9 ? Call::kRead : Call::kSyncFile;
  } else {
    // Who has just given a write up does not go on.
    const bool enough = left_ < 0 || lot == 0 || (std::exchange(gave_up_, false) && lot < 7);
    if (enough || lot < 9) step.block = locks_.begin()->first.block;
    step.call = enough ? Call::kUnlock : lot < 5 ? Call::kWrite : lot < 8 ? Call::kRead : Call::kSyncFile;
  }
  if (step.call == Call::kWrite) step.value = history_->steps.size() + 1000;
  if (step.call == Call::kSyncFile) step.block = 0;
  if (step.call == Call::kLock || step.call == Call::kUnlock)
    step.owner = static_cast<uint64_t>(options_.number) + 1;
}

// Others of its mount have the file open meanwhile.
void Program::Reopen(uint64_t ino, const std::function<void()>& then) {
  const bool locked = std::ranges::any_of(locks_, [&](const auto& lock) { return lock.first.ino.v == ino; });
  if (locked || !handles_.contains(ino)) return then();  // it would go with the handle
  auto opened = [self = shared_from_this(), ino, then](const Result<KfsClient::Opened>& r) {
    if (self->ended_) return;
    if (!r.ok()) return self->Abandon();
    self->handles_[ino] = r->handle;
    self->anew_.insert(ino);
    then();
  };
  client_->Release(handles_.at(ino), false, 0, [self = shared_from_this(), ino, opened](const Status&) {
    if (!self->ended_) self->client_->Open(self->caller_, Ino(ino), O_RDWR, opened);
  });
}

// Its caller is answered at once, and what has become of it nobody says.
void Program::MayGiveUp() {
  if (!options_.rivals || !world_.Chance(kGivesUpChance)) return;
  world_.At(process_->Time() + world_.Between(0, kPatienceMax), nullptr,
            [self = shared_from_this(), step = under_way_] {
              if (self->under_way_ == step) self->GiveUp();
            });
}

void Program::GiveUp() {
  world_.At(world_.now(), process_, [self = shared_from_this(), step = under_way_] {
    if (!self->ended_ && self->under_way_ == step && self->writes()) self->client_->Cancel(self->call_);
  });
}

void Program::Begin(Step step) {
  step.began = process_->Time();
  step.anew = anew_.contains(step.ino);
  under_way_ = history_->steps.size();
  history_->steps.push_back(step);
  Ask(step);
}

void Program::Ask(const Step& step) { step.call <= Call::kSyncDir ? AskName(step) : AskFile(step); }

void Program::AskName(const Step& step) {
  auto self = shared_from_this();
  const Ino dir(step.dir);
  auto entry = [self](const Result<Entry>& r) { self->Ended(r.status().err(), r.ok() ? r->attr.ino.v : 0); };
  auto removed = [self](const Result<KfsClient::Removed>& r) { self->Ended(r.status().err()); };
  switch (step.call) {
    case Call::kLookup:
      client_->Lookup(caller_, dir, step.name, entry);
      break;
    case Call::kMkdir:
      client_->Mkdir(caller_, dir, step.name, 0755, entry);
      break;
    case Call::kCreate:
      client_->MkNod(caller_, dir, step.name, S_IFREG | 0644, 0, entry);
      break;
    case Call::kUnlink:
      client_->Unlink(caller_, dir, step.name, removed);
      break;
    case Call::kRmdir:
      client_->Rmdir(caller_, dir, step.name, removed);
      break;
    case Call::kRename:
      client_->Rename(caller_, dir, step.name, Ino(step.new_dir), step.new_name, 0, removed);
      break;
    case Call::kLink:
      client_->Link(caller_, Ino(step.ino), dir, step.name, entry);
      break;
    case Call::kList:
      client_->ReadDir(caller_, dir, {}, 64 << 10, false, [self](const Result<DirPage>& r) {
        std::map<std::string, uint64_t> names;
        if (r.ok()) {
          for (const DirEntry& e : r->entries) {
            if (e.name != "." && e.name != "..") names[e.name] = e.ino.v;
          }
        }
        self->Ended(r.status().err(), 0, std::move(names));
      });
      break;
    default:
      client_->Fsync(dir, [self](const Status& s) { self->EndedWith(s); });
  }
}

void Program::AskFile(const Step& step) {
  auto self = shared_from_this();
  const FileHandlePtr& handle = handles_.at(step.ino);
  const uint64_t offset = step.block * kBlock;
  auto status = [self](const Status& s) { self->EndedWith(s); };
  switch (step.call) {
    case Call::kRead:
      client_->Read(caller_, handle, offset, kBlock, [self](const Result<Buffer>& r) {
        if (self->ended_) return;
        std::set<uint64_t>& mixed = self->history_->steps[self->under_way_].mixed;
        self->Ended(r.status().err(), r.ok() ? ValueOf(*r, &mixed) : 0);
      });
      break;
    case Call::kWrite:
    case Call::kAppend: {
      KfsClient::WriteFlags flags;
      flags.append = step.call == Call::kAppend;
      call_ = client_->Write(caller_, handle, offset, BlockOf(step.value), flags,
                             [self](const Result<uint32_t>& r) { self->Ended(r.status().err()); });
      MayGiveUp();
      break;
    }
    case Call::kSize:
      client_->GetAttr(caller_, Ino(step.ino), [self](const Result<Entry>& r) {
        self->Ended(r.status().err(), r.ok() ? r->attr.size / kBlock : 0);
      });
      break;
    case Call::kTruncate: {
      SetAttr set;
      set.valid = pb::SetattrRequest::SIZE;
      set.size = offset;
      set.handle = handle;
      client_->SetAttr(caller_, Ino(step.ino), set,
                       [self](const Result<Entry>& r) { self->Ended(r.status().err()); });
      break;
    }
    case Call::kLock:
    case Call::kUnlock: {
      FileLock lock;
      lock.owner = step.owner;
      lock.type = step.call == Call::kLock ? FileLock::kWrite : FileLock::kUnlock;
      lock.start = offset;
      lock.end = offset + kBlock - 1;
      client_->SetLock(handle, lock, options_.rivals && world_.Chance(kWaitsChance), status);
      break;
    }
    default:
      client_->Fsync(handle, false, status);
  }
}

void Program::Ended(int err, uint64_t got, std::map<std::string, uint64_t> names) {
  if (ended_) return;
  Step& step = history_->steps[under_way_];
  const bool sync = step.call == Call::kSyncDir || step.call == Call::kSyncFile;
  const bool data = step.call == Call::kRead || step.call == Call::kWrite || step.call == Call::kAppend;
  // Its handles are lost: what it does from now on tells nothing new, nor does a sync that fails for that. (Or a chunk
  // is gone.)
  const auto lost = [](const auto& handle) { return handle.second->lost(); };
  const bool tells = sync ? std::ranges::none_of(handles_, lost) : data && !handles_.at(step.ino)->lost();
  if (err == EIO && !tells) return Abandon();
  // Its lock went with the session, nobody knows when.
  if (step.call == Call::kUnlock && lost(*handles_.find(step.ino))) return Abandon();
  // The file may have gone with the last who had it open.
  if (err == ESTALE && step.call > Call::kSyncDir && lost(*handles_.find(step.ino))) return Abandon();
  if (err == EINTR && (step.call == Call::kWrite || step.call == Call::kAppend)) {
    under_way_ = SIZE_MAX;
    gave_up_ = true;
    return Next();
  }
  step.ended = process_->Time();
  step.err = err;
  step.got = got;
  step.names = std::move(names);
  under_way_ = SIZE_MAX;
  Learn(step);
  Next();
}

void Program::Learn(const Step& step) {
  if (step.err != 0) return;
  constexpr size_t kKnown = 6;
  auto know = [this](std::vector<uint64_t>& all, uint64_t ino) {
    if (std::ranges::count(all, ino) != 0) return;
    if (all.size() == kKnown) all.erase(all.begin() + 1);
    all.push_back(ino);
  };
  if (step.call == Call::kMkdir) know(dirs_, step.got);
  if (step.call == Call::kCreate) know(others_, step.got);
  if (step.call == Call::kLock) locks_[{Ino(step.ino), step.block}] = step.began;
  if (step.call == Call::kUnlock) locks_.erase({Ino(step.ino), step.block});
}

void Program::Abandon() {
  if (std::exchange(ended_, true)) return;
  if (under_way_ != SIZE_MAX && history_->steps[under_way_].call == Call::kLock) {
    const Step& step = history_->steps[under_way_];
    const Lock lock{Ino(step.ino), step.block};
    // Perhaps it has got one that it had, after that had gone.
    if (const auto had = locks_.find(lock); had != locks_.end()) LockMayGo(lock, had->second);
    locks_[lock] = history_->steps[under_way_].began;
  }
  if (options_.rivals && process_->alive()) {
    for (const auto& [lock, since] : locks_) Unlock(lock);
  }
  LocksMayGo();
}

// Nobody waits for it in vain.
void Program::Unlock(const Lock& lock) {
  FileLock unlock;
  unlock.owner = static_cast<uint64_t>(options_.number) + 1;
  unlock.type = FileLock::kUnlock;
  unlock.start = lock.block * kBlock;
  unlock.end = unlock.start + kBlock - 1;
  if (const auto handle = handles_.find(lock.ino.v); handle != handles_.end())
    client_->SetLock(handle->second, unlock, false, [](const Status&) {});
}

void Program::LocksMayGo() {
  for (const auto& [lock, since] : locks_) LockMayGo(lock, since);
}

// A session may have expired, with its locks, long before its program hears of it: it may even have come back since.
void Program::LockMayGo(const Lock& lock, Nanos since) {
  Step step;
  step.call = Call::kUnlock;
  step.program = options_.number;
  step.client = options_.client;
  step.began = since;
  step.ino = lock.ino.v;
  step.block = lock.block;
  step.owner = static_cast<uint64_t>(options_.number) + 1;
  history_->steps.push_back(step);
}

}  // namespace kfs::sim
