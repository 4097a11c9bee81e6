// Tables and numbers for people. Any thread.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/types.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

// Columns as wide as their widest cell, two blanks between; those named in `right` (by index) are set to the
// right.
class Table {
 public:
  Table(std::vector<std::string> header, std::vector<size_t> right);
  void Add(std::vector<std::string> row);
  std::string Text() const;
  bool empty() const { return rows_.size() == 1; }

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
  std::vector<bool> right_;
};

std::string HumanBytes(uint64_t bytes);          // "1.5 GiB"
std::string HumanTime(TimeNs ns);                // "2025-01-31 13:00:05", local time; "-" for 0
std::string HumanAge(TimeNs since, TimeNs now);  // "3 min"
std::string Percent(uint64_t part, uint64_t whole);

std::string Hex(const std::string& bytes);

using StringMap = google::protobuf::Map<std::string, std::string>;
std::string PairsText(const StringMap& pairs);  // "a=1 b=2", by name; "-" for none
nlohmann::json PairsJson(const StringMap& pairs);
nlohmann::json StringsJson(const google::protobuf::RepeatedPtrField<std::string>& strings);
nlohmann::json ToJson(const pb::DiskStatus& disk);

// Files, bytes and mounts of a volume: only its owner knows them.
std::string Counted(const pb::VolumeInfo& volume, const std::string& text);  // "?" when they are not known
std::string VolumeText(const pb::VolumeInfo& volume);                        // of 'kfs volume info'
// What --json prints of a volume; the table of `kfs volume list` and `info` has the same fields.
nlohmann::json ToJson(const pb::VolumeInfo& volume);
void PrintJson(const nlohmann::json& json);
void Print(const std::string& text);

}  // namespace kfs::cli
