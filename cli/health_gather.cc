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

// One answer of each; what has not answered stays.
std::vector<MemberAnswer> OfEach(std::vector<MemberAnswer> answers) {
  std::vector<MemberAnswer> out;
  for (MemberAnswer& a : answers) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const MemberAnswer& o) {
      return a.status.ok() && o.status.ok() && o.conf.self() == a.conf.self();
    });
    if (same == out.end())
      out.push_back(std::move(a));
    else
      same->also_at.push_back(a.address);
  }
  return out;
}

// Whether the member of that address is among those that have answered.
bool IsAt(const std::vector<MemberAnswer>& answers, const std::string& address) {
  for (const MemberAnswer& knows : answers) {
    for (const auto& m : knows.conf.conf().member()) {
      if (m.address() != address) continue;
      return std::any_of(answers.begin(), answers.end(),
                         [&](const MemberAnswer& a) { return a.status.ok() && a.conf.self() == m.uuid(); });
    }
  }
  return false;
}

}  // namespace

Result<std::vector<MemberAnswer>> AskAllMembers(const GlobalOptions& global) {
  const double each = global.timeout_s > 0 ? global.timeout_s / 2 : kEachS;
  GlobalOptions options = global;
  KFS_RETURN_IF_ERROR(ResolveDefaults(&options));
  KFS_RETURN_IF_ERROR(CheckMetaservers(options));
  if (auto admin = AdminConnection::Open(options); !admin.ok()) return admin.status();  // the secret
  std::vector<MemberAnswer> answers = AskThem(options, options.metaservers, each);
  // Every member's own address is asked, also of those that have answered at another: somebody else may be
  // there. One that answers twice, by its name and its number perhaps, counts once.
  std::set<std::string> asked(options.metaservers.begin(), options.metaservers.end());
  answers = OfEach(std::move(answers));
  std::vector<std::string> others;
  for (const MemberAnswer& a : answers) {
    if (!a.status.ok()) continue;
    for (const auto& m : a.conf.conf().member()) {
      if (asked.insert(m.address()).second) others.push_back(m.address());
    }
  }
  std::vector<MemberAnswer> more = AskThem(options, others, each);
  // Who has answered where it was named need not be reached from here by the name that the others have for
  // it.
  std::erase_if(more, [&](const MemberAnswer& m) { return !m.status.ok() && IsAt(answers, m.address); });
  for (MemberAnswer& a : more) answers.push_back(std::move(a));
  return OfEach(std::move(answers));
}

}  // namespace kfs::cli
