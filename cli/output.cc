#include "cli/output.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace kfs::cli {

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
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += "  ";
      line += right_[i] ? fmt::format("{:>{}}", row[i], width[i]) : fmt::format("{:<{}}", row[i], width[i]);
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

nlohmann::json ToJson(const pb::VolumeInfo& v) {
  return {{"id", v.id()},
          {"name", v.name()},
          {"chunk_size", v.chunk_size()},
          {"replicas", v.replicas()},
          {"files", v.files()},
          {"bytes", v.bytes()},
          {"sessions", v.sessions()},
          {"created_ns", v.created()}};
}

void PrintJson(const nlohmann::json& json) {
  Print(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void Print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace kfs::cli
