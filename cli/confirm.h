// Questions before something is done that cannot be taken back. One thread.
#pragma once

#include <string>

#include "common/status.h"

namespace kfs::cli {

// OK when `expected` is typed as the answer. Else ECANCELED, saying that `nothing` was done. The question
// goes to stderr: stdout may be a script's.
Status Confirm(const std::string& question, const std::string& expected, const std::string& nothing);

}  // namespace kfs::cli
