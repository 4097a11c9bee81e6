#include "common/utf8.h"

#include <algorithm>
#include <boost/locale/utf.hpp>

namespace kfs {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

bool IsUtf8(std::string_view text) {
  using Traits = boost::locale::utf::utf_traits<char>;
  for (const char *at = text.data(), *end = at + text.size(); at != end;) {
    const auto c = Traits::decode(at, end);
    if (c == boost::locale::utf::illegal || c == boost::locale::utf::incomplete) return false;
  }
  return true;
}

bool IsLine(std::string_view text) {
  return std::none_of(text.begin(), text.end(), IsControl) && IsUtf8(text);
}

std::string CutText(std::string_view text, size_t max) {
  if (text.size() <= max) return std::string(text);
  constexpr std::string_view kMore = "...";
  size_t keep = max > kMore.size() ? max - kMore.size() : 0;
  while (keep > 0 && (static_cast<unsigned char>(text[keep]) & 0xc0) == 0x80) --keep;
  return std::string(text.substr(0, keep)).append(kMore);
}

std::string Printable(std::string_view text, size_t max) {
  std::string out = CutText(text, max);
  for (char& c : out) {
    if (IsControl(c) || c == '"') c = '?';
  }
  return out;
}

}  // namespace kfs
