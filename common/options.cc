#include "common/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

// The parser's assertions fail for some malformed files, and are undefined behaviour with NDEBUG: make them errors.
constexpr void TomlAssert(bool holds) {
  if (!holds) throw std::runtime_error("malformed TOML");
}
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(expr) TomlAssert(static_cast<bool>(expr))
#define TOML_ASSERT_ASSUME(expr) TOML_ASSERT(expr)
#include <toml++/toml.h>

namespace kfs {
namespace {

Status BadValue(const OptionBase& o, const std::string& text, const std::string& wants) {
  return Status(EINVAL, fmt::format("option {}={}: {}", o.name(), text, wants));
}

// "64M" -> 67108864
bool ParseInt(std::string text, int64_t* out) {
  int shift = 0;
  if (!text.empty()) {
    switch (text.back()) {
      case 'K': shift = 10; break;
      case 'M': shift = 20; break;
      case 'G': shift = 30; break;
      case 'T': shift = 40; break;
      default: break;
    }
    if (shift != 0) text.pop_back();
  }
  int64_t v = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (ec != std::errc() || end != text.data() + text.size() || text.empty()) return false;
  return !__builtin_mul_overflow(v, int64_t{1} << shift, out);
}

size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t next = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = next;
    }
  }
  return row[b.size()];
}

// A TOML value as Option::Parse takes it.
std::string NodeText(const toml::node& node) {
  if (auto* s = node.as_string()) return s->get();
  if (auto* i = node.as_integer()) return std::to_string(i->get());
  if (auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (auto* f = node.as_floating_point()) return fmt::format("{}", f->get());
  if (auto* a = node.as_array()) {
    std::vector<std::string> parts;
    for (auto& n : *a) parts.push_back(NodeText(n));
    return fmt::format("{}", fmt::join(parts, ","));
  }
  return "";
}

}  // namespace

template <typename T>
Status Option<T>::Parse(const std::string& text) {
  if constexpr (std::is_same_v<T, std::string>) {
    value_ = text;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (text == "true" || text == "yes" || text == "on" || text == "1") {
      value_ = true;
    } else if (text == "false" || text == "no" || text == "off" || text == "0") {
      value_ = false;
    } else {
      return BadValue(*this, text, "wants true or false");
    }
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    value_.clear();
    for (size_t from = 0; from <= text.size() && !text.empty();) {
      size_t comma = std::min(text.find(',', from), text.size());
      if (comma > from) value_.push_back(text.substr(from, comma - from));
      from = comma + 1;
    }
  } else {
    T v{};
    if constexpr (std::is_same_v<T, int64_t>) {
      if (!ParseInt(text, &v)) return BadValue(*this, text, "wants a whole number (suffix K, M, G or T allowed)");
    } else {
      auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), v);
      if (ec != std::errc() || end != text.data() + text.size() || !std::isfinite(v)) {
        return BadValue(*this, text, "wants a number");
      }
    }
    if (bounded_ && (v < min_ || v > max_)) return BadValue(*this, text, "out of bounds, must be " + Bounds());
    value_ = v;
  }
  return {};
}

template <typename T>
std::string Option<T>::Default() const {
  if constexpr (std::is_same_v<T, std::string>) {
    return default_;
  } else if constexpr (std::is_same_v<T, bool>) {
    return default_ ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
    return fmt::format("{}", fmt::join(default_, ","));
  } else {
    return fmt::format("{}", default_);
  }
}

template <typename T>
std::string Option<T>::Bounds() const {
  if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    if (bounded_) return fmt::format("{} to {}", min_, max_);
  }
  return "";
}

template class Option<std::string>;
template class Option<bool>;
template class Option<int64_t>;
template class Option<double>;
template class Option<std::vector<std::string>>;

Status OptionSet::Set(const std::string& name, const std::string& value) {
  OptionBase* nearest = nullptr;
  size_t best = SIZE_MAX;
  for (OptionBase* o : options_) {
    if (o->name() == name) return o->Parse(value);
    size_t d = EditDistance(o->name(), name);
    if (d < best) best = d, nearest = o;
  }
  std::string hint = nearest != nullptr && best <= 3 ? "; did you mean " + nearest->name() + "?" : "";
  return Status(EINVAL, "unknown option '" + name + "'" + hint);
}

Status OptionSet::SetPair(const std::string& pair) {
  size_t eq = pair.find('=');
  if (eq == std::string::npos) return Set(pair, "true");
  return Set(pair.substr(0, eq), pair.substr(eq + 1));
}

Status OptionSet::LoadFile(const std::string& path) {
  try {
    toml::table table = toml::parse_file(path);
    for (auto& [key, node] : table) {
      if (Status s = Set(std::string(key.str()), NodeText(node)); !s.ok()) {
        return Status(s.err(), fmt::format("{}:{}: {}", path, node.source().begin.line, s.message()));
      }
    }
  } catch (const toml::parse_error& e) {
    return Status(EINVAL, fmt::format("{}:{}: {}", path, e.source().begin.line, e.description()));
  } catch (const std::exception& e) {
    return Status(EINVAL, fmt::format("{}: {}", path, e.what()));
  }
  return {};
}

std::string OptionSet::Sample(const std::string& program) const {
  std::string out = "# Configuration of " + program + ". Every option is listed with its default.\n";
  for (const OptionBase* o : options_) {
    out += "\n# " + o->help();
    if (std::string b = o->Bounds(); !b.empty()) out += " Allowed: " + b + ".";
    std::string def = o->Default();
    if (o->Quoted()) def = '"' + def + '"';
    if (dynamic_cast<const Option<std::vector<std::string>>*>(o) != nullptr) {
      def = def.empty() ? "[]" : "[\"" + def + "\"]";
      for (size_t at = 0; (at = def.find(',', at)) != std::string::npos; at += 4) def.replace(at, 1, "\", \"");
    }
    out += "\n#" + o->name() + " = " + def + "\n";
  }
  return out;
}

}  // namespace kfs
