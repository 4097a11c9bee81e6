#include "cli/output.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "common/utf8.h"

namespace kfs::cli {
namespace {

// A column of text is not made narrower than this.
constexpr size_t kCutMin = 8;

// Of the terminal that stdout is, or what $COLUMNS says; 0: it is no terminal, and everything is printed.
size_t TerminalWidth() {
  if (const char* columns = std::getenv("COLUMNS"); columns != nullptr) {
    if (const int n = std::atoi(columns); n > 0 && isatty(STDOUT_FILENO) == 1) return static_cast<size_t>(n);
  }
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t Width(const std::vector<size_t>& columns) {
  size_t sum = columns.empty() ? 0 : 2 * (columns.size() - 1);
  for (size_t width : columns) sum += width;
  return sum;
}

std::string CutTo(const std::string& text, size_t width) {
  return text.size() <= width ? text : CutText(text, width - 2) + "..";
}

}  // namespace

Table::Table(std::vector<std::string> header, std::vector<size_t> right) : right_(header.size()) {
  for (size_t i : right) right_.at(i) = true;
  rows_.push_back(std::move(header));
}

void Table::Add(std::vector<std::string> row) {
  row.resize(right_.size());
  rows_.push_back(std::move(row));
}

std::string Table::Text() const {
  std::vector<size_t> width(right_.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  // Where it is read by a person it fits: the widest columns of text are cut, never numbers.
  for (size_t room = TerminalWidth(), all = Width(width); room != 0 && all > room; all = Width(width)) {
    size_t widest = width.size();
    for (size_t i = 0; i < width.size(); ++i) {
      if (!right_[i] && width[i] > kCutMin && (widest == width.size() || width[i] > width[widest]))
        widest = i;
    }
    if (widest == width.size()) break;
    width[widest] -= std::min(all - room, width[widest] - kCutMin);
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += "  ";
      const std::string cell = CutTo(row[i], width[i]);
      line += right_[i] ? fmt::format("{:>{}}", cell, width[i]) : fmt::format("{:<{}}", cell, width[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string HumanTime(TimeNs ns) {
  if (ns == 0) return "-";
  std::time_t seconds = ns / 1'000'000'000;
  std::tm tm{};
  localtime_r(&seconds, &tm);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", tm);
}

std::string HumanAge(TimeNs since, TimeNs now) {
  if (since == 0) return "never";
  int64_t s = std::max<int64_t>(0, (now - since) / 1'000'000'000);
  if (s < 120) return fmt::format("{} s", s);
  if (s < 2 * 3600) return fmt::format("{} min", s / 60);
  if (s < 2 * 86400) return fmt::format("{} h", s / 3600);
  return fmt::format("{} days", s / 86400);
}

std::string Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.0f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Hex(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) out += fmt::format("{:02x}", c);
  return out;
}

std::string PairsText(const StringMap& pairs) {
  std::string out;
  for (const auto& [name, value] : std::map<std::string, std::string>(pairs.begin(), pairs.end()))
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, value);
  return out.empty() ? "-" : out;
}

nlohmann::json PairsJson(const StringMap& pairs) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [name, value] : pairs) out[name] = value;
  return out;
}

nlohmann::json StringsJson(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  nlohmann::json out = nlohmann::json::array();
  for (const std::string& s : strings) out.push_back(s);
  return out;
}

nlohmann::json ToJson(const pb::DiskStatus& d) {
  return {{"path", d.path()},
          {"capacity", d.capacity()},
          {"available", d.available()},
          {"chunks", d.chunks()},
          {"error", d.error()}};
}

std::string Counted(const pb::VolumeInfo& volume, const std::string& text) {
  return volume.counted() ? text : "?";
}

std::string VolumeText(const pb::VolumeInfo& v) {
  std::string out = fmt::format(
      "name        {}\nid          {}\nmade        {}\nstate       {}\nowner       {}\n", v.name(), v.id(),
      HumanTime(v.created()), v.started() ? "started" : "stopped", v.owner().empty() ? "-" : v.owner());
  if (v.counted()) {
    out += fmt::format("files       {}\ndata        {} ({} bytes)\nmounts      {}\n", v.files(),
                       HumanBytes(v.bytes()), v.bytes(), v.sessions());
  } else if (!v.started()) {
    out += "files       - (it is stopped)\n";
  } else if (!v.trouble().empty()) {
    out += "files       - (it is not served)\n";
  } else {
    out += "files       ? (only its owner knows: kfs volume status)\n";
  }
  if (!v.trouble().empty()) out += fmt::format("trouble     {}\n", v.trouble());
  if (!v.moving().empty()) out += fmt::format("moving      {}\n", v.moving());
  for (const auto& lost : v.lost())
    out += fmt::format("lost        {} chunks of {} files, with chunkserver {}{}\n", lost.chunks(),
                       lost.files(), lost.server(), lost.settled() ? " (settled)" : "");
  return out + fmt::format("chunk size  {}\ncopies      {}\noptions     {}\nlabels      {}\n",
                           HumanBytes(v.chunk_size()), v.replicas(), PairsText(v.option()),
                           PairsText(v.label()));
}

nlohmann::json ToJson(const pb::VolumeInfo& v) {
  nlohmann::json out = {{"id", v.id()},
                        {"name", v.name()},
                        {"chunk_size", v.chunk_size()},
                        {"replicas", v.replicas()},
                        {"files", nullptr},
                        {"bytes", nullptr},
                        {"sessions", nullptr},
                        {"created_ns", v.created()},
                        {"owner", v.owner()},
                        {"started", v.started()},
                        {"options", PairsJson(v.option())},
                        {"labels", PairsJson(v.label())}};
  if (!v.trouble().empty()) out["trouble"] = v.trouble();
  if (!v.moving().empty()) out["moving"] = v.moving();
  for (const auto& lost : v.lost())
    out["lost"].push_back({{"chunkserver", lost.server()},
                           {"chunks", lost.chunks()},
                           {"files", lost.files()},
                           {"settled", lost.settled()}});
  if (v.counted()) out.update({{"files", v.files()}, {"bytes", v.bytes()}, {"sessions", v.sessions()}});
  return out;
}

void PrintJson(const nlohmann::json& json) {
  Print(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace kfs::cli
