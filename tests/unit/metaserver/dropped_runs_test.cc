// A run of a handler may be dropped until it counts: what one has seen and left is nowhere, and the next run
// does all of it. Each op of the table, with each of its first runs dropped, against the same without.
#include <set>

#include "meta_fixture.h"
#include "metaserver/store/keys.h"

namespace kfs::meta {
namespace {

// Somebody who is in the way of every other run, and gives way at once.
class InTheWay : public Holders {
 public:
  explicit InTheWay(std::function<void()> dropped) : dropped_(std::move(dropped)) {}
  void Conflicts(const Volume&, const Txn&, SessionId who, std::vector<Need>* needs) override {
    if (who == SessionId() || !(turn_ = !turn_)) return;
    needs->push_back({.holder = holder, .ino = kRootIno});
  }
  void Ask(const SessionPtr&, Ino, HoldMode, std::function<void()> done) override {
    ++asked;
    dropped_();
    done();
  }
  SessionId holder;
  int asked = 0;

 private:
  const std::function<void()> dropped_;
  bool turn_ = false;
};

// A volume on which each op is run. What is there after each is kept.
class World : public MetaTest {
 public:
  void TestBody() override {}
  void Begin(bool drops) {
    MetaTest::SetUp();
    other_ = OpenSession();
    const SessionPtr holder = OpenSession();
    // Only whether there is one is asked.
    holder->lane(0).connection =
        std::shared_ptr<Connection>(std::shared_ptr<void>(), reinterpret_cast<Connection*>(this));
    way_.holder = holder->id;
    if (drops) executor_->AddHolders(&way_);
  }
  void End() { MetaTest::TearDown(); }

  void RunAll();
  const std::vector<std::string>& after() const { return after_; }
  const std::set<Op>& ran() const { return ran_; }
  int dropped() const { return way_.asked; }

 private:
  // The store, without what differs from one session to another; locks, tokens, opens, waiting calls, space.
  std::string State() {
    std::string out;
    VolumeStore& store = volume().store;
    for (const char* prefix : {"I", "D", "C", "X", "K", "R", "A", "O", "T", "M", "G"}) {
      store.Scan(prefix, "", [&](std::string_view key, std::string_view value) {
        out.append(key).append("=").append(value).append(";");
        return true;
      });
    }
    out += store.counters().SerializeAsString();
    for (const SessionPtr& s : {s_, other_}) {
      out += ";locks " + std::to_string(volume().locks.CountOf(s->id));
      for (const Ino ino : s->append_tokens) out += ";token " + std::to_string(ino.v);
      for (const auto& [ino, opens] : s->opens) {
        if (opens.count > 0) out += ";open " + std::to_string(ino.v) + "x" + std::to_string(opens.count);
      }
      out += ";answers " + std::to_string(s->replies_kept());
    }
    out += ";lock waiters " + std::to_string(volume().locks.waiters());
    out += ";promised " + std::to_string(servers_->all().begin()->second.promised);
    return out;
  }
  template <typename Rpc>
  typename Rpc::Reply Op1(typename Rpc::Request request, int wanted = 0, SessionPtr session = nullptr) {
    if (session == nullptr) session = s_;
    ran_.insert(Rpc::kOp);
    // The fixture opens for data by itself; here it is open.
    opens_for_data_ = false;
    before_ = State();
    first_ = true;
    const TestCallPtr call = MetaTest::Begin<Rpc>(request, session);
    executor_->EndTick();  // a sync is answered in the next tick
    EXPECT_TRUE(call->answered) << OpName(Rpc::kOp);
    EXPECT_EQ(call->status.err(), wanted) << OpName(Rpc::kOp) << ": " << call->status.ToString();
    typename Rpc::Reply reply;
    EXPECT_TRUE(reply.ParseFromString(call->reply));
    after_.push_back(std::string(OpName(Rpc::kOp)) + ": " + State());
    return reply;
  }
  template <typename Rpc>
  typename Rpc::Request Named(const std::string& name) {
    typename Rpc::Request r;
    r.set_parent(1);
    r.set_name(name);
    return r;
  }
  template <typename Rpc>
  typename Rpc::Request Of(uint64_t ino) {
    typename Rpc::Request r;
    r.set_ino(ino);
    return r;
  }
  void Names();
  void Attributes(uint64_t ino);
  void Data(uint64_t ino);
  void Locks(uint64_t ino);

  InTheWay way_{[this] {
    if (first_) EXPECT_EQ(State(), before_) << "a run that is dropped leaves something";
    first_ = false;
  }};
  SessionPtr other_;
  std::string before_;
  bool first_ = false;
  std::set<Op> ran_;
  std::vector<std::string> after_;
};

void World::Names() {
  Op1<rpc::Mkdir>(Named<rpc::Mkdir>("d"));
  Op1<rpc::Mknod>(Named<rpc::Mknod>("n"));
  pb::SymlinkRequest symlink = Named<rpc::Symlink>("s");
  symlink.set_target("f");
  const uint64_t link = Op1<rpc::Symlink>(symlink).attr().ino();
  Op1<rpc::Readlink>(Of<rpc::Readlink>(link));
  Op1<rpc::Lookup>(Named<rpc::Lookup>("s"));
  pb::LinkRequest hard = Named<rpc::Link>("l");
  hard.set_ino(link);
  Op1<rpc::Link>(hard);
  pb::RenameRequest rename = Named<rpc::Rename>("l");
  rename.set_new_parent(1);
  rename.set_new_name("n");  // replaces
  Op1<rpc::Rename>(rename);
  Op1<rpc::Unlink>(Named<rpc::Unlink>("n"));
  Op1<rpc::Rmdir>(Named<rpc::Rmdir>("d"));
  pb::ReaddirRequest readdir = Of<rpc::Readdir>(1);
  readdir.set_max_bytes(4096);
  Op1<rpc::Readdir>(readdir);
  Op1<rpc::Statfs>({});
  pb::TmpfileRequest tmpfile;
  tmpfile.set_parent(1);
  tmpfile.set_flags(O_RDWR);
  Op1<rpc::Tmpfile>(tmpfile);
}

void World::Attributes(uint64_t ino) {
  Op1<rpc::Getattr>(Of<rpc::Getattr>(ino));
  Op1<rpc::Access>(Of<rpc::Access>(ino));
  pb::SetxattrRequest setxattr = Of<rpc::Setxattr>(ino);
  setxattr.set_name("user.a");
  setxattr.set_value("b");
  Op1<rpc::Setxattr>(setxattr);
  pb::GetxattrRequest getxattr = Of<rpc::Getxattr>(ino);
  getxattr.set_name("user.a");
  Op1<rpc::Getxattr>(getxattr);
  Op1<rpc::Listxattr>(Of<rpc::Listxattr>(ino));
  pb::RemovexattrRequest removexattr = Of<rpc::Removexattr>(ino);
  removexattr.set_name("user.a");
  Op1<rpc::Removexattr>(removexattr);
}

void World::Data(uint64_t ino) {
  pb::LayoutReply layout = Op1<rpc::PrepareWrite>(PrepareOf(ino, 0, 4096));
  Op1<rpc::CommitWrite>(CommitOf(ino, 0, 4096, layout));
  pb::ReadLayoutRequest read = Of<rpc::ReadLayout>(ino);
  read.set_length(4096);
  Op1<rpc::ReadLayout>(read);
  // Claims that a chunkserver is ahead, which is believed once in a while.
  read.set_ahead_chunk(layout.chunk(0).chunk());
  read.set_ahead_version(layout.chunk(0).version() + 5);
  layout = Op1<rpc::ReadLayout>(read);
  EXPECT_EQ(layout.chunk(0).version(), read.ahead_version() + 1);
  // Appends: taken, refused, ended, taken and done.
  layout = Op1<rpc::PrepareWrite>(PrepareOf(ino, 0, 4096, /*append=*/true));
  pb::CommitWriteRequest stale = CommitOf(ino, 4096, 4096, layout);
  stale.mutable_written(0)->set_version(1);
  Op1<rpc::CommitWrite>(stale, ESTALE);
  EXPECT_TRUE(s_->append_tokens.empty());
  layout = Op1<rpc::PrepareWrite>(PrepareOf(ino, 0, 4096, /*append=*/true));
  pb::AbortAppendRequest abort = Of<rpc::AbortAppend>(ino);
  abort.set_append_token(layout.append_token());
  Op1<rpc::AbortAppend>(abort);
  layout = Op1<rpc::PrepareWrite>(PrepareOf(ino, 0, 4096, /*append=*/true));
  EXPECT_EQ(s_->append_tokens.size(), 1u);
  Op1<rpc::CommitWrite>(CommitOf(ino, 4096, 4096, layout));
  pb::GiveUpWriteRequest give_up = Of<rpc::GiveUpWrite>(ino);
  give_up.add_given_up()->set_chunk(layout.chunk(0).chunk());
  give_up.mutable_given_up(0)->set_version(layout.chunk(0).version());
  Op1<rpc::GiveUpWrite>(give_up);
  // A reservation of several steps, one that is given back, a hole.
  pb::FallocateRequest fallocate = Of<rpc::Fallocate>(ino);
  fallocate.set_length(600 * kChunk);
  Op1<rpc::Fallocate>(fallocate);
  no_space_ = true;
  fallocate.set_length(900 * kChunk);
  Op1<rpc::Fallocate>(fallocate, ENOSPC);
  no_space_ = false;
  fallocate.set_length(8192);
  fallocate.set_mode(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  Op1<rpc::Fallocate>(fallocate);
  Op1<rpc::Fsync>(Of<rpc::Fsync>(ino));
  pb::SetattrRequest cut = SetattrOf(ino, pb::SetattrRequest::SIZE);
  cut.set_size(100);
  Op1<rpc::Setattr>(cut);
}

void World::Locks(uint64_t ino) {
  Op1<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE));
  pb::GetLockRequest get;
  *get.mutable_lock() = LockOf(ino, 8, pb::LockRange::WRITE).lock();
  Op1<rpc::GetLock>(get);
  Op1<rpc::SetLock>(LockOf(ino, 8, pb::LockRange::WRITE), EAGAIN, other_);
  const TestCallPtr waits = MetaTest::Begin<rpc::SetLock>(LockOf(ino, 8, pb::LockRange::WRITE, true), other_);
  EXPECT_FALSE(waits->answered);
  pb::FlushRequest flush = Of<rpc::Flush>(ino);
  flush.set_owner(7);
  Op1<rpc::Flush>(flush);
  EXPECT_TRUE(waits->answered && waits->status.ok());
  // flock changes its type by letting go first, also where it is refused.
  Op1<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::READ, false, true));
  Op1<rpc::SetLock>(LockOf(ino, 8, pb::LockRange::READ, false, true), 0, other_);
  Op1<rpc::SetLock>(LockOf(ino, 7, pb::LockRange::WRITE, false, true), EAGAIN);
}

void World::RunAll() {
  pb::CreateRequest create = Named<rpc::Create>("f");
  create.set_flags(O_RDWR);
  create.set_mode(0644);
  const uint64_t ino = Op1<rpc::Create>(create).attr().ino();
  Op1<rpc::Create>(Named<rpc::Create>("f"));
  pb::OpenRequest open = Of<rpc::Open>(ino);
  open.set_flags(O_RDWR);
  Op1<rpc::Open>(open, 0, other_);
  Names();
  Attributes(ino);
  Data(ino);
  Locks(ino);
  open.set_flags(O_RDWR | O_TRUNC);
  Op1<rpc::Open>(open);
  Op1<rpc::Release>(Of<rpc::Release>(ino));
}

TEST(DroppedRunsTest, ARunThatIsDroppedLeavesNothingAndTheNextDoesAll) {
  World once, twice;
  once.Begin(/*drops=*/false);
  once.RunAll();
  twice.Begin(/*drops=*/true);
  twice.RunAll();
  EXPECT_EQ(once.dropped(), 0);
  EXPECT_GE(static_cast<size_t>(twice.dropped()), twice.after().size());
  ASSERT_EQ(once.after().size(), twice.after().size());
  for (size_t i = 0; i < once.after().size(); ++i) {
    const std::string op = once.after()[i].substr(0, once.after()[i].find(':'));
    EXPECT_TRUE(once.after()[i] == twice.after()[i])
        << "op " << i << ", " << op << ", differs when it is run twice";
  }
#define KFS_RAN(number, name, ...) \
  EXPECT_TRUE(twice.ran().contains(Op::k##name)) << #name << " has no case here";
  KFS_VOLUME_OPS(KFS_RAN)
#undef KFS_RAN
  once.End();
  twice.End();
}

}  // namespace
}  // namespace kfs::meta
