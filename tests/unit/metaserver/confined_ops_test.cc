// With a key that is bound to a directory nothing else can be reached, by any op of the table.
#include <google/protobuf/descriptor.h>

#include <random>
#include <set>

#include "tests/unit/metaserver/rooted_session.h"

namespace kfs::meta {
namespace {

// The fields of a message that hold inode numbers, in it and in what it holds.
void InodeFields(const google::protobuf::Descriptor* d, std::set<std::string>* out) {
  for (int i = 0; i < d->field_count(); ++i) {
    const auto* f = d->field(i);
    if (f->message_type() != nullptr) {
      InodeFields(f->message_type(), out);
    } else if (f->name().find("ino") != std::string::npos || f->name().find("parent") != std::string::npos) {
      out->insert(f->name());
    }
  }
}

// A new op with inodes under another name has to be taught to MapInodes.
TEST(SessionView, KnowsEveryInodeOfEveryOp) {
  std::set<std::string> fields;
#define KFS_FIELDS(number, name, ...)                    \
  InodeFields(pb::name##Request::descriptor(), &fields); \
  InodeFields(rpc::name::Reply::descriptor(), &fields);
  KFS_VOLUME_OPS(KFS_FIELDS)
#undef KFS_FIELDS
  EXPECT_EQ(fields, (std::set<std::string>{"ino", "parent", "new_parent", "replaced_ino"}));
}

class ConfinedOpsTest : public SessionRootTest {
 protected:
  // Sets each inode field in turn to `bad`, the others to what is allowed: none of it may succeed, and
  // nothing may be told of the inode.
  template <typename Rpc>
  void TryAll(const SessionPtr& s, uint64_t bad) {
    typename Rpc::Request base;
    MapInodes(&base, [&](uint64_t) { return deep_; });
    Fill(&base);
    int fields = 0;
    CountFields(&base, &fields);
    for (int field = 0; field < fields; ++field) {
      typename Rpc::Request request = base;
      int at = 0;
      MapInodes(&request, [&](uint64_t ino) { return at++ == field ? bad : ino; });
      TestCallPtr call = Begin<Rpc>(request, s);
      ASSERT_TRUE(call->answered) << OpName(Rpc::kOp) << " waits";
      EXPECT_EQ(call->status.err(), ESTALE)
          << OpName(Rpc::kOp) << " field " << field << ": " << call->status.ToString();
      EXPECT_TRUE(call->reply.empty());
    }
  }
  template <typename Rpc>
  void Try(const SessionPtr& s, const std::function<uint64_t(uint64_t)>& pick,
           const std::function<std::string()>& name, const std::set<uint64_t>& hidden) {
    typename Rpc::Request r;
    Fill(&r);
    MapInodes(&r, pick);
    if constexpr (requires { r.set_name(""); }) r.set_name(name());
    if constexpr (requires { r.set_new_name(""); }) r.set_new_name(name());
    if constexpr (requires { r.set_mode(1); }) r.set_mode(pick(0) % 2 == 0 ? 0755 : S_IFREG | 0644);
    TestCallPtr call = Begin<Rpc>(r, s);
    typename Rpc::Reply reply;
    if (!call->answered || !call->status.ok()) return;
    ASSERT_TRUE(reply.ParseFromString(call->reply));
    MapInodes(&reply, [&](uint64_t ino) {
      EXPECT_FALSE(hidden.contains(ino)) << OpName(Rpc::kOp) << " tells of " << ino;
      return ino;
    });
  }
  template <typename Message>
  static void CountFields(Message* m, int* n) {
    MapInodes(m, [n](uint64_t ino) {
      ++*n;
      return ino;
    });
  }
  template <typename Request>
  void Fill(Request* r) {
    if constexpr (requires { r->set_name(""); }) r->set_name("name");
    if constexpr (requires { r->set_new_name(""); }) r->set_new_name("new");
    if constexpr (requires { r->set_length(1); }) r->set_length(4096);
    if constexpr (requires { r->mutable_lock()->set_end(1); }) {
      r->mutable_lock()->set_ino(deep_);
      r->mutable_lock()->set_end(UINT64_MAX);
    }
  }
};

TEST_F(ConfinedOpsTest, NumbersThatWereGuessedAreStaleOnEveryOp) {
  opens_for_data_ = false;  // an inode that the session has open was named to it
  const SessionPtr s = Open("", Bound("in"));
  for (uint64_t bad : {secret_, out_, top_, uint64_t{0}, UINT64_MAX}) {
#define KFS_TRY(number, name, ...) TryAll<rpc::name>(s, bad);
    KFS_VOLUME_OPS(KFS_TRY)
#undef KFS_TRY
  }
}

// Ops at random, with every number that there is: the outside neither changes nor is told of.
TEST_F(ConfinedOpsTest, RandomOpsLeaveTheOutsideAlone) {
  opens_for_data_ = false;
  const SessionPtr s = Open("", Bound("in"));
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> before;
  auto outside = [&] {
    std::vector<std::string> all;
    for (uint64_t ino : {uint64_t{1}, out_, secret_, top_}) {
      pb::Attr a = Stat(ino);
      a.clear_atime();
      all.push_back(a.SerializeAsString());
    }
    for (uint64_t dir : {uint64_t{1}, out_}) {
      for (const std::string& name : Names(dir)) all.push_back(name);
    }
    return all;
  };
  before = outside();
  const std::set<uint64_t> hidden = {out_, secret_, top_};
  const std::function<uint64_t(uint64_t)> pick = [&](uint64_t) { return random() % 24; };
  const char* names[] = {"f", "g", "deep", "..", ".", "secret", "out", "a", "b"};
  const std::function<std::string()> name = [&] { return names[random() % std::size(names)]; };
  std::vector<std::function<void()>> ops;
#define KFS_RANDOM(number, Name, ...) ops.push_back([&] { Try<rpc::Name>(s, pick, name, hidden); });
  KFS_VOLUME_OPS(KFS_RANDOM)
#undef KFS_RANDOM
  for (int i = 0; i < 4000; ++i) ops[random() % ops.size()]();
  EXPECT_EQ(outside(), before);
}

}  // namespace
}  // namespace kfs::meta
