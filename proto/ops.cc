#include "proto/ops.h"

#include <array>

#include "proto/common.pb.h"

namespace kfs {
namespace {

static_assert(kFromClient == 1u << pb::HelloRequest::CLIENT &&
                  kFromChunkserver == 1u << pb::HelloRequest::CHUNKSERVER &&
                  kFromMetaserver == 1u << pb::HelloRequest::METASERVER &&
                  kFromAdmin == 1u << pb::HelloRequest::ADMIN,
              "bits are by role");

constexpr OpInfo kOps[] = {
#define KFS_OP(number, name, reply, mutates, answered, senders, servers, needs) \
  {Op::k##name, #name, mutates, Answered::answered, senders, servers, Needs::needs},
    KFS_OPS(KFS_OP)
#undef KFS_OP
};

constexpr bool Ascending() {
  for (size_t i = 1; i < std::size(kOps); ++i) {
    if (kOps[i - 1].op >= kOps[i].op) return false;
  }
  return true;
}
static_assert(Ascending(), "op numbers must rise: none is used twice");
static_assert(static_cast<size_t>(kOps[std::size(kOps) - 1].op) + 1 == kOpNumbers);

constexpr auto MakeIndex() {
  std::array<const OpInfo*, kOpNumbers> index{};
  for (const OpInfo& info : kOps) index[static_cast<size_t>(info.op)] = &info;
  return index;
}
constexpr auto kIndex = MakeIndex();

}  // namespace

const OpInfo* FindOp(uint16_t number) { return number < kOpNumbers ? kIndex[number] : nullptr; }

std::string_view OpName(Op op) {
  const OpInfo* info = FindOp(static_cast<uint16_t>(op));
  return info != nullptr ? info->name : "?";
}

}  // namespace kfs
