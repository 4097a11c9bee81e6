// Questions before something is done that cannot be taken back. One thread.
#pragma once

#include <functional>
#include <string>

#include "cli/admin_connection.h"
#include "common/status.h"
#include "proto/admin.pb.h"

namespace kfs::cli {

struct Question {
  std::string words;
  std::string expected;  // the answer that means yes
  std::string nothing;   // "nothing was deleted"
};

// OK when the expected answer is typed. Else ECANCELED, saying that nothing was done. The question goes to
// stderr: stdout may be a script's.
Status Confirm(const Question& question);

// The question is made from what the volume is now; what would be refused anyway can be told instead.
Status ConfirmFor(const std::string& volume, AdminConnection& admin,
                  const std::function<Result<Question>(const pb::VolumeInfo&)>& question);

}  // namespace kfs::cli
