#!/bin/bash
# A mount whose session expires between two starts of its metaserver: chunkservers have not forgotten what the first start had fenced,
# and the second does not fence a session that is over. Its reads and writes work again when it comes back.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 1 --option session-ttl=3
second_mount
echo first >"$MNT/file"
restart_metaserver() { kill_role metaserver 1; start_role metaserver 1; }
log=$CLUSTER/log/metaserver-1.log
kill_role mount 1 STOP
restart_metaserver
wait_until 30 grep -q "session.expired .*mountpoint=$MNT " "$log" || fail "the session of a mount that is not heard of does not expire"
restart_metaserver
kill_role mount 1 CONT
[ "$(timeout 30 cat "$MNT2/file")" = first ] || fail "the other mount cannot read"
[ "$(timeout 30 cat "$MNT/file")" = first ] || fail "a mount that came back cannot read"
timeout 30 dd if=/dev/zero of="$MNT/file" bs=4k count=1 conv=fsync 2>/dev/null || fail "a mount that came back cannot write"
[ "$(timeout 30 stat -c %s "$MNT2/file")" = 4096 ] || fail "what it wrote is not there"
pass
