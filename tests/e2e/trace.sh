#!/bin/bash
# One grep follows a write through the mount, the metaserver and the chunkserver; without the option trace nobody logs it.
. "$(dirname "$0")/lib.sh"
need_cluster
start_cluster --chunkservers 1 --option trace
log=$CLUSTER/log
second_mount
echo unseen >"$MNT2/quiet"
[ "$(cat "$MNT2/quiet")" = unseen ] || fail "read back"
echo hello >"$MNT/file"
sync -f "$MNT/file"
trace=$(grep -o 'client.trace trace=[0-9a-f]* op=Write ' "$log/mount-1.log" | tail -1 | grep -o 'trace=[0-9a-f]*') ||
  fail "the mount does not trace a write: $(tail -3 "$log/mount-1.log")"
followed() {
  grep -h "$trace " "$log"/*.log >"$WORK/followed"
  local op
  for op in 'client.trace .* op=Write ' 'op.trace .* op=PrepareWrite ' 'op.trace .* op=ChunkWrite ' 'op.trace .* op=CommitWrite '; do
    grep -q "$op" "$WORK/followed" || return
  done
}
wait_until 10 followed || fail "$trace leads nowhere: $(cat "$WORK/followed")"
grep -q "$trace op=ChunkWrite" "$log/chunkserver-1.log" || fail "not at the chunkserver"
grep -q "$trace op=CommitWrite" "$log/metaserver-1.log" || fail "not at the metaserver"
# Each call has its own: another mount's, and other calls of this one, are not among them.
[ "$(grep -c client.trace "$WORK/followed")" = 1 ] || fail "several calls have one trace: $(cat "$WORK/followed")"
must_fail grep -q client.trace "$log/mount-2.log"
served=$(cat "$log"/{metaserver,chunkserver}-1.log | grep -c 'op.trace.*op=ChunkWrite ') || :
[ "$served" = "$(grep -c 'client.trace.* op=Write ' "$log/mount-1.log")" ] || fail "what a mount without trace writes is logged"
pass
