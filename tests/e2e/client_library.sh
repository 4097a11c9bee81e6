#!/bin/bash
# The client library without a mount: the example that client/kfs_client.h begins with is, word for word, code of kfs-example, which needs
# no other header of ours, and runs.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
header=$REPO/client/kfs_client.h example=$REPO/client/example/kfs_example.cc
[ "$(grep '^#include "' "$example")" = '#include "client/kfs_client.h"' ] || fail "kfs-example includes more than client/kfs_client.h"
sed -n '/^\/\/   kfs::Result<std::unique/,/Release(/p' "$header" | sed 's/^\/\/ *//' >"$WORK/shown"
sed -n '/^  kfs::Result<std::unique/,/Release(/p' "$example" | sed 's/^ *//' | sed 's/^\/\/ *//' >"$WORK/run"
sed -i 's/^\/\/ *//' "$WORK/shown"
[ "$(wc -l <"$WORK/shown")" -ge 15 ] || fail "client/kfs_client.h shows no example"
diff "$WORK/shown" "$WORK/run" || fail "client/kfs_client.h shows what kfs-example does not do"
start_cluster --chunkservers 1
"$(built kfs-example)" --metaserver "$(address_of 1)" --volume dev --secret-file "$CLUSTER/secret" --metrics >"$WORK/said" 2>&1 ||
  fail "kfs-example: $(tail -3 "$WORK/said")"
grep -qx 'hello has 5 bytes' "$WORK/said" || fail "kfs-example said: $(cat "$WORK/said")"
[ "$(tail -1 "$WORK/said")" = "done" ] || fail "kfs-example did not come to its end: $(cat "$WORK/said")"
# It made one directory by path, and a hundred at once.
for line in 'kfs_client_call_seconds_count{call="Mkdir"} 101' 'kfs_client_call_errors_total{call="Mkdir"} 0' 'kfs_client_retries_total 0'; do
  grep -qxF "$line" "$WORK/said" || fail "kfs-example --metrics: no '$line': $(grep '^kfs_client' "$WORK/said")"
done
pass
