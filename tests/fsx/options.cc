#include "options.h"

#include <getopt.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace kfs::fsx {
namespace {

constexpr char kHelp[] =
    "usage: kfs-fsx --dir DIR [--dir DIR]... [option]...\n"
    "Does random operations on files in DIR and compares every result with a model in memory.\n"
    "  --dir DIR        work here; given again: process i uses the i-th (further mounts of the same volume)\n"
    "  --ops N          operations of each process (default 10000)\n"
    "  --seconds T      stop after T seconds even if operations are left\n"
    "  --seed S         repeat the run with this seed (exact with one process)\n"
    "  --files K        number of files (default 2)\n"
    "  --max-size B     length of the window in which data is written (default 256k; k, m, g understood)\n"
    "  --base OFFSET    where the window begins, a multiple of 4096 (default 0)\n"
    "  --mmap           map files too, for reading and for shared writing\n"
    "  --processes P    processes at work on the same files (default 1)\n"
    "  --strict         an operation that is not supported is a failure\n"
    "Exit status: 0 no difference, 1 a difference or an error, 2 wrong usage.\n";

[[noreturn]] void Usage(const char* message, const char* value) {
  std::fprintf(stderr, "kfs-fsx: %s%s\n%s", message, value, kHelp);
  std::exit(2);
}

uint64_t ParseNumber(const char* text) {
  char* end = nullptr;
  uint64_t value = std::strtoull(text, &end, 0);
  if (end == text) Usage("not a number: ", text);
  std::string_view unit = end;
  if (unit == "k" || unit == "K") return value << 10;
  if (unit == "m" || unit == "M") return value << 20;
  if (unit == "g" || unit == "G") return value << 30;
  if (!unit.empty()) Usage("not a number: ", text);
  return value;
}

void Check(const Options& o) {
  if (o.dirs.empty()) Usage("--dir is missing", "");
  if (o.files < 1 || o.files > 1000) Usage("--files must lie between 1 and 1000", "");
  if (o.processes < 1 || o.processes > 256) Usage("--processes must lie between 1 and 256", "");
  if (o.max_size_bytes < 8192 || o.max_size_bytes > (uint64_t{1} << 30))
    Usage("--max-size must lie between 8k and 1g", "");
  if (o.base_bytes % 4096 != 0) Usage("--base must be a multiple of 4096", "");
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  static const option kLong[] = {
      {"dir", required_argument, nullptr, 'd'},     {"ops", required_argument, nullptr, 'n'},
      {"seconds", required_argument, nullptr, 't'}, {"seed", required_argument, nullptr, 's'},
      {"files", required_argument, nullptr, 'k'},   {"max-size", required_argument, nullptr, 'm'},
      {"base", required_argument, nullptr, 'b'},    {"processes", required_argument, nullptr, 'p'},
      {"mmap", no_argument, nullptr, 'M'},          {"strict", no_argument, nullptr, 'S'},
      {"help", no_argument, nullptr, 'h'},          {nullptr, 0, nullptr, 0},
  };
  Options o;
  o.seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) & 0xffffffff;
  for (int c; (c = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) {
    switch (c) {
      case 'd':
        o.dirs.emplace_back(optarg);
        break;
      case 'n':
        o.ops = ParseNumber(optarg);
        break;
      case 't':
        o.seconds = ParseNumber(optarg);
        break;
      case 's':
        o.seed = ParseNumber(optarg);
        break;
      case 'k':
        o.files = static_cast<uint32_t>(ParseNumber(optarg));
        break;
      case 'm':
        o.max_size_bytes = ParseNumber(optarg) & ~uint64_t{4095};
        break;
      case 'b':
        o.base_bytes = ParseNumber(optarg);
        break;
      case 'p':
        o.processes = static_cast<uint32_t>(ParseNumber(optarg));
        break;
      case 'M':
        o.mmap = true;
        break;
      case 'S':
        o.strict = true;
        break;
      case 'h':
        std::fputs(kHelp, stdout);
        std::exit(0);
      default:
        Usage("", "");
    }
  }
  if (optind != argc) Usage("unexpected argument: ", argv[optind]);
  Check(o);
  return o;
}

std::string Describe(const Options& o) {
  std::string text;
  for (const std::string& dir : o.dirs) text += "--dir " + dir + " ";
  text += "--ops " + std::to_string(o.ops) + " --seed " + std::to_string(o.seed) + " --files " +
          std::to_string(o.files) + " --max-size " + std::to_string(o.max_size_bytes) + " --base " +
          std::to_string(o.base_bytes) + " --processes " + std::to_string(o.processes);
  if (o.seconds != 0) text += " --seconds " + std::to_string(o.seconds);
  if (o.mmap) text += " --mmap";
  if (o.strict) text += " --strict";
  return text;
}

}  // namespace kfs::fsx
