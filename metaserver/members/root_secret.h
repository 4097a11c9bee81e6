// The cluster's root secret, as a metaserver has it in files.
#pragma once

#include <string>

#include "common/credentials.h"
#include "rpc/daemon.h"

namespace kfs::meta {

// `create`: made where it is missing. `older_file`: with the secret before it, which is accepted, too (option
// old-secret-file); empty: none. Errors name the file and the option.
Result<Credentials> ReadRootSecret(const DaemonOptions& options, bool create, const std::string& older_file,
                                   Entropy& entropy);

}  // namespace kfs::meta
