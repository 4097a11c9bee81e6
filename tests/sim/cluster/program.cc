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
  if (left_-- == 0) {
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
  Step step;
  step.program = options_.number;
  step.client = options_.client;
  if (world_.Chance(0.5)) {
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

void Program::Begin(Step step) {
  step.began = process_->Time();
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
      client_->Write(caller_, handle, offset, BlockOf(step.value), flags,
                     [self](const Result<uint32_t>& r) { self->Ended(r.status().err()); });
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
      client_->SetLock(handle, lock, false, status);
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
  if (under_way_ != SIZE_MAX && history_->steps[under_way_].call == Call::kLock)
    locks_[{Ino(history_->steps[under_way_].ino), history_->steps[under_way_].block}] =
        history_->steps[under_way_].began;
  LocksMayGo();
}

void Program::LocksMayGo() {
  // A session may have expired, with its locks, long before its program hears of it: it may even have come back since.
  for (const auto& [lock, since] : locks_) {
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
}

}  // namespace kfs::sim
