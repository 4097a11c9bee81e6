// Asking every member at once, each for a bounded time.
#include <algorithm>
#include <future>
#include <set>

#include "cli/admin_connection.h"
#include "cli/health.h"

namespace kfs::cli {
namespace {

// Those named first, then those that they know besides: together less than two seconds, and each less than
// the second after which a call says what it waits for.
constexpr double kEachS = 0.85;
constexpr size_t kAskedMax = 64;  // threads; clusters have a handful of metaservers

MemberAnswer AskOne(GlobalOptions global, const std::string& address, double timeout_s) {
  MemberAnswer out;
  out.address = address;
  global.metaservers = {address};
  global.timeout_s = timeout_s;
  auto admin = AdminConnection::Open(global);
  if (!admin.ok()) {
    out.status = admin.status();
    return out;
  }
  // The first call connects.
  auto cluster = (*admin)->Call<rpc::ClusterStatus>({});
  out.status = cluster.status();
  if (!cluster.ok()) return out;
  out.cluster = std::move(*cluster);
  const auto began = std::chrono::steady_clock::now();
  auto conf = (*admin)->Call<rpc::ConfShow>({});
  out.took = std::chrono::steady_clock::now() - began;
  out.status = conf.status();
  if (conf.ok()) out.conf = std::move(*conf);
  return out;
}

std::vector<MemberAnswer> AskThem(const GlobalOptions& global, const std::vector<std::string>& addresses,
                                  double timeout_s) {
  std::vector<std::future<MemberAnswer>> asked;
  for (const std::string& address : addresses) {
    if (asked.size() == kAskedMax) break;
    asked.push_back(std::async(std::launch::async, AskOne, global, address, timeout_s));
  }
  std::vector<MemberAnswer> out;
  for (auto& a : asked) out.push_back(a.get());
  return out;
}

}  // namespace

Result<std::vector<MemberAnswer>> AskAllMembers(const GlobalOptions& global) {
  const double each = global.timeout_s > 0 ? global.timeout_s / 2 : kEachS;
  GlobalOptions options = global;
  KFS_RETURN_IF_ERROR(ResolveDefaults(&options));
  KFS_RETURN_IF_ERROR(CheckMetaservers(options));
  if (auto admin = AdminConnection::Open(options); !admin.ok()) return admin.status();  // the secret
  std::vector<MemberAnswer> answers = AskThem(options, options.metaservers, each);
  // One that was named twice, by its name and its number perhaps, counts once.
  std::set<std::string> known, asked(options.metaservers.begin(), options.metaservers.end());
  std::erase_if(answers,
                [&](const MemberAnswer& a) { return a.status.ok() && !known.insert(a.conf.self()).second; });
  std::vector<std::string> others;
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok()) continue;
    for (const auto& m : a.conf.conf().member()) {
      if (!known.contains(m.uuid()) && asked.insert(m.address()).second) others.push_back(m.address());
    }
  }
  for (MemberAnswer& a : AskThem(options, others, each)) {
    if (!a.status.ok() || known.insert(a.conf.self()).second) answers.push_back(std::move(a));
  }
  return answers;
}

}  // namespace kfs::cli
