#!/bin/bash
# What fallocate has promised is there: a second reservation that does not fit fails and leaves the file as it was, and the first
# can be filled. While no chunkserver is there it waits.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
need fallocate
mkdir -p "$CLUSTER/chunkserver-1"
mount -t tmpfs -o size=400m kfs-e2e "$CLUSTER/chunkserver-1"
start_cluster --chunkservers 1
fallocate -l 200M "$MNT/one"
[ "$(stat -c %b "$MNT/one")" -ge $((200 * 2048)) ] || fail "200 MiB reserved, $(stat -c %b "$MNT/one") blocks counted"
echo short >"$MNT/two"
if fallocate -l 200M "$MNT/two" 2>"$WORK/error"; then fail "2 x 200 MiB reserved on 400 MiB"; fi
grep -q 'No space left on device' "$WORK/error" || fail "not ENOSPC: $(cat "$WORK/error")"
[ "$(stat -c %s "$MNT/two")" = 6 ] || fail "a failed fallocate made the file $(stat -c %s "$MNT/two") bytes long"
dd if=/dev/urandom of="$MNT/one" bs=1M count=200 conv=notrunc,fsync status=none || fail "reserved space is not there"
rm "$MNT/one" "$MNT/two"
kill_role chunkserver 1
fallocate -l 1M "$MNT/three" 2>"$WORK/error" & waiter=$!
(sleep 2; touch "$WORK/late") &   # long enough to be sure that it waits
wait_until 20 test -e "$WORK/late"
kill -0 $waiter 2>/dev/null || fail "fallocate did not wait for the chunkserver: $(cat "$WORK/error")"
start_role chunkserver 1
wait $waiter || fail "fallocate failed although the chunkserver came back: $(cat "$WORK/error")"
[ "$(stat -c %s "$MNT/three")" = 1048576 ]
pass
