#include "common/log_line.h"

#include <fmt/format.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <cstdlib>
#include <utility>
#include <vector>

namespace kfs {
namespace {

constexpr size_t kLineMax = 8192;
constexpr auto kReportAfter = std::chrono::seconds(1);

bool EndsLine(uint32_t c) { return c == 0x85 || c == 0x2028 || c == 0x2029; }

char PriorityOf(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return '2';
    case spdlog::level::err:
      return '3';
    case spdlog::level::warn:
      return '4';
    case spdlog::level::info:
      return '6';
    default:
      return '7';
  }
}

std::string_view KindOf(std::string_view line) {
  return line.substr(0, std::min<size_t>(line.find(' '), 64));
}

// The inner formatter's line behind journald's priority.
class PriorityFormatter : public spdlog::formatter {
 public:
  explicit PriorityFormatter(std::unique_ptr<spdlog::formatter> inner) : inner_(std::move(inner)) {}
  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& dest) override {
    const char prefix[] = {'<', PriorityOf(msg.level), '>'};
    dest.append(prefix, prefix + sizeof(prefix));
    inner_->format(msg, dest);
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<PriorityFormatter>(inner_->clone());
  }

 private:
  std::unique_ptr<spdlog::formatter> inner_;
};

class Sink : public spdlog::sinks::sink {
 public:
  Sink(std::shared_ptr<spdlog::sinks::sink> inner, bool prefix) : inner_(std::move(inner)), prefix_(prefix) {}

  void log(const spdlog::details::log_msg& msg) override {
    const std::string line = OneLine({msg.payload.data(), msg.payload.size()});
    uint64_t missing = 0;
    {
      std::lock_guard lock(mutex_);
      if (!limiter_.May(msg.level, KindOf(line), std::chrono::steady_clock::now(), &missing)) return;
    }
    if (missing != 0) {
      const std::string words = fmt::format("log.suppressed kind={} lines={}", KindOf(line), missing);
      Write(msg, words);
    }
    Write(msg, line);
  }
  void flush() override { inner_->flush(); }
  void set_pattern(const std::string& pattern) override {
    set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern));
  }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    if (prefix_) formatter = std::make_unique<PriorityFormatter>(std::move(formatter));
    inner_->set_formatter(std::move(formatter));
  }

 private:
  void Write(const spdlog::details::log_msg& like, std::string_view line) {
    spdlog::details::log_msg out = like;
    out.payload = spdlog::string_view_t(line.data(), line.size());
    inner_->log(out);
  }

  const std::shared_ptr<spdlog::sinks::sink> inner_;
  const bool prefix_;
  std::mutex mutex_;  // guards limiter_
  LogLimiter limiter_;
};

}  // namespace

std::string OneLine(std::string_view message) {
  using Traits = boost::locale::utf::utf_traits<char>;
  auto plain = [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f;
  };
  if (message.size() <= kLineMax && std::ranges::all_of(message, plain)) return std::string(message);
  std::string out;
  for (const char *at = message.data(), *end = at + message.size(); at != end;) {
    if (out.size() > kLineMax) return out.append("...");
    const char* const begin = at;
    if (plain(*at)) {
      out.push_back(*at++);
      continue;
    }
    const uint32_t c = Traits::decode(at, end);
    if (c == boost::locale::utf::illegal || c == boost::locale::utf::incomplete) {
      at = begin + 1;
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(*begin));
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (c < 0x20 || (c >= 0x7f && c < 0xa0 && !EndsLine(c))) {
      out += fmt::format("\\x{:02x}", c);
    } else if (EndsLine(c)) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out.append(begin, at);
    }
  }
  return out;
}

bool StderrIsJournal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st {};
  if (stream == nullptr || fstat(STDERR_FILENO, &st) != 0) return false;
  return fmt::format("{}:{}", st.st_dev, st.st_ino) == stream;
}

bool LogLimiter::May(spdlog::level::level_enum level, std::string_view kind, Time now, uint64_t* missing) {
  *missing = 0;
  if (level <= spdlog::level::debug) return true;
  auto found = kinds_.find(std::pair<int, std::string>(level, kind));
  if (found == kinds_.end()) {
    // Names are the program's own; should there be no end of them, what is full again is forgotten, or all.
    if (kinds_.size() >= kKindsMax) {
      std::erase_if(kinds_,
                    [&](const auto& k) { return k.second.missing == 0 && now - k.second.at > kReportAfter; });
      if (kinds_.size() >= kKindsMax) kinds_.clear();
    }
    found = kinds_.emplace(std::pair<int, std::string>(level, kind), Kind{.at = now}).first;
  }
  Kind& k = found->second;
  const double seconds = std::chrono::duration<double>(now - k.at).count();
  k.tokens = std::min<double>(kBurst, k.tokens + seconds * kPerSecond);
  k.at = now;
  if (k.tokens < 1) {
    ++k.missing;
    return false;
  }
  k.tokens -= 1;
  *missing = std::exchange(k.missing, 0);
  return true;
}

std::shared_ptr<spdlog::sinks::sink> LineSink(std::shared_ptr<spdlog::sinks::sink> inner, bool prefix) {
  return std::make_shared<Sink>(std::move(inner), prefix);
}

}  // namespace kfs
