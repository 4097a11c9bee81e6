// A configuration entry says everything once: name, sentence, default, bounds. The sample file, --help and
// validation come from it.
//
//   struct ServerOptions : OptionSet {
//     Option<std::string> listen{this, "listen", "127.0.0.1:7400", "Address and port to listen on."};
//     Option<int64_t> session_ttl{this, "session-ttl", 30, 1, 3600, "Seconds without ... (s)."};
//   };
//
// Values come from a TOML file (flat keys), then from `name=value` pairs given on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "common/status.h"

namespace kfs {

// One entry, its type hidden.
class OptionBase {
 public:
  OptionBase(std::string name, std::string help) : name_(std::move(name)), help_(std::move(help)) {}
  virtual ~OptionBase() = default;
  OptionBase(const OptionBase&) = delete;
  OptionBase& operator=(const OptionBase&) = delete;

  const std::string& name() const { return name_; }
  const std::string& help() const { return help_; }
  virtual Status Parse(const std::string& text) = 0;  // text to value, bounds checked
  virtual std::string Default() const = 0;            // as Parse would take it
  virtual std::string Bounds() const = 0;             // for a person; empty where there are none
  virtual bool Quoted() const = 0;                    // a TOML string rather than a number or boolean

 private:
  std::string name_, help_;
};

// The entries of one program. Not copyable: entries point into it.
class OptionSet {
 public:
  OptionSet() = default;
  OptionSet(const OptionSet&) = delete;
  OptionSet& operator=(const OptionSet&) = delete;

  void Register(OptionBase* option) { options_.push_back(option); }
  const std::vector<OptionBase*>& options() const { return options_; }

  // Unknown names and values out of bounds are refused, with the nearest known name.
  Status LoadFile(const std::string& path);
  Status Set(const std::string& name, const std::string& value);
  Status SetPair(const std::string& name_equals_value);

  // A commented sample file: every option, explained, at its default.
  std::string Sample(const std::string& program) const;

 private:
  std::vector<OptionBase*> options_;
};

// T: std::string, bool, int64_t (optionally with a K/M/G/T suffix: powers of 1024), double, or
// std::vector<std::string> (comma separated on the command line).
template <typename T>
class Option : public OptionBase {
 public:
  Option(OptionSet* set, std::string name, T def, std::string help)
      : OptionBase(std::move(name), std::move(help)), value_(def), default_(std::move(def)) {
    set->Register(this);
  }
  Option(OptionSet* set, std::string name, T def, T min, T max,
         std::string help) requires std::is_arithmetic_v<T> : OptionBase(std::move(name), std::move(help)),
                                                              value_(def),
                                                              default_(def),
                                                              bounded_(true),
                                                              min_(min),
                                                              max_(max) {
    set->Register(this);
  }

  const T& operator()() const { return value_; }
  void Override(T value) { value_ = std::move(value); }

  Status Parse(const std::string& text) override;
  std::string Default() const override;
  std::string Bounds() const override;
  bool Quoted() const override { return std::is_same_v<T, std::string>; }

 private:
  T value_;
  T default_;
  bool bounded_ = false;
  T min_{}, max_{};
};

extern template class Option<std::string>;
extern template class Option<bool>;
extern template class Option<int64_t>;
extern template class Option<double>;
extern template class Option<std::vector<std::string>>;

}  // namespace kfs
