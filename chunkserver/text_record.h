// Small records on a disk: lines name=value under a title, with format, feature bits and a checksum. Text, so
// that a person with a pile of disks can read which is which.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace kfs {

// What every record begins with; `name=value\n` lines follow.
std::string TextRecordHead(std::string_view title);
// Adds the checksum.
std::string SealTextRecord(std::string text);

enum class TextRecord { kGood, kForeign, kDamaged, kNewer };
TextRecord ParseTextRecord(const std::string& text, std::string_view title,
                           std::multimap<std::string, std::string>* fields);

}  // namespace kfs
