#include "cli/confirm.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

namespace kfs::cli {

Status Confirm(const Question& question) {
  std::fputs((question.words + " ").c_str(), stderr);
  std::string typed;
  std::getline(std::cin, typed);
  if (typed == question.expected) return {};
  if (isatty(0) == 0) std::fputs("\n", stderr);
  return Status(ECANCELED, "not confirmed, " + question.nothing + " (--yes does not ask)");
}

Status ConfirmFor(const std::string& volume, AdminConnection& admin,
                  const std::function<Result<Question>(const pb::VolumeInfo&)>& question) {
  pb::VolumeInfoRequest request;
  request.set_name(volume);
  auto info = admin.Call<rpc::VolumeInfo>(request);
  if (!info.ok()) return info.status();
  const Result<Question> asked = question(info->volume());
  return asked.ok() ? Confirm(*asked) : asked.status();
}

}  // namespace kfs::cli
