#include "chunkserver/text_record.h"

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "common/crc32c.h"

namespace kfs {
namespace {

constexpr int kFormat = 1;
constexpr uint32_t kIncompatKnown = 0, kRoCompatKnown = 0;

std::string Field(const std::multimap<std::string, std::string>& fields, const char* name) {
  auto it = fields.find(name);
  return it == fields.end() ? std::string() : it->second;
}

uint32_t Hex(const std::string& text) {
  return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 16));
}

}  // namespace

std::string TextRecordHead(std::string_view title) {
  return fmt::format("{}\nformat={}\ncompat=0\nro-compat=0\nincompat=0\n", title, kFormat);
}

std::string SealTextRecord(std::string text) {
  return text + fmt::format("crc={:08x}\n", Crc32c(text.data(), text.size()));
}

TextRecord ParseTextRecord(const std::string& text, std::string_view title,
                           std::multimap<std::string, std::string>* fields) {
  const size_t crc_at = text.rfind("crc=");
  if (!text.starts_with(title) || crc_at == std::string::npos) return TextRecord::kForeign;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (size_t eq = line.find('='); eq != std::string::npos)
      fields->emplace(line.substr(0, eq), line.substr(eq + 1));
  }
  if (Hex(Field(*fields, "crc")) != Crc32c(text.data(), crc_at)) return TextRecord::kDamaged;
  if (Field(*fields, "format") != std::to_string(kFormat) ||
      (Hex(Field(*fields, "incompat")) & ~kIncompatKnown) != 0 ||
      (Hex(Field(*fields, "ro-compat")) & ~kRoCompatKnown) != 0) {
    return TextRecord::kNewer;
  }
  return TextRecord::kGood;
}

}  // namespace kfs
