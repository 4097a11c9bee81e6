// What is wrong with this metaserver for as long as it lasts, for 'kfs health'. What is said once in the log
// would be gone with it; each of these is said there, too. Loop's thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "common/clock.h"
#include "proto/admin.pb.h"

namespace kfs::meta {

class Alarms {
 public:
  static constexpr size_t kMax = 256;  // what comes after that is in the log only
  using Severity = pb::ClusterStatusReply::Alarm::Severity;

  struct Words {
    Severity severity = pb::ClusterStatusReply::Alarm::WARNING;
    std::string what, next;
  };
  // `until`: it is over then, if it is not raised again; kNever: when it is cleared. One of a name and
  // subject takes the place of the one before.
  static constexpr MonoTime kNever = MonoTime::max();
  void Raise(const std::string& name, const std::string& subject, Words words, MonoTime until = kNever) {
    if (raised_.size() >= kMax && !raised_.contains({name, subject})) return;
    raised_[{name, subject}] = {std::move(words), until};
  }
  void Clear(const std::string& name, const std::string& subject) { raised_.erase({name, subject}); }

  void Fill(MonoTime now, pb::ClusterStatusReply* reply) {
    std::erase_if(raised_, [now](const auto& a) { return a.second.until <= now; });
    for (const auto& [key, raised] : raised_) {
      pb::ClusterStatusReply::Alarm* alarm = reply->add_alarm();
      alarm->set_name(key.first);
      alarm->set_subject(key.second);
      alarm->set_severity(raised.words.severity);
      alarm->set_words(raised.words.what);
      alarm->set_next(raised.words.next);
    }
  }

 private:
  struct Raised {
    Words words;
    MonoTime until{};
  };
  std::map<std::pair<std::string, std::string>, Raised> raised_;
};

}  // namespace kfs::meta
