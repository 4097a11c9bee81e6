#include "cli/confirm.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

namespace kfs::cli {

Status Confirm(const std::string& question, const std::string& expected, const std::string& nothing) {
  std::fputs((question + " ").c_str(), stderr);
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == expected) return {};
  if (isatty(0) == 0) std::fputs("\n", stderr);
  return Status(ECANCELED, "not confirmed, " + nothing + " (--yes does not ask)");
}

}  // namespace kfs::cli
