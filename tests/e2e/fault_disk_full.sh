#!/bin/bash
# A chunkserver's disk is full: the writer gets ENOSPC, reads go on, and after rm there is room again.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
mkdir -p "$CLUSTER/chunkserver-1"
mount -t tmpfs -o size=192m kfs-e2e "$CLUSTER/chunkserver-1"
start_cluster --chunkservers 1
head -c 20000000 /dev/urandom >"$WORK/content"
cp "$WORK/content" "$MNT/file"
if timeout 90 dd if=/dev/zero of="$MNT/large" bs=1M count=400 conv=fsync status=none 2>"$WORK/error"; then fail "400 MiB fit on 192 MiB"; fi
grep -q 'No space left on device' "$WORK/error" || fail "not ENOSPC: $(<"$WORK/error")"
cmp "$WORK/content" "$MNT/file"
[ "$(stat -c %s "$MNT/large")" -le $((192 << 20)) ] || fail "the failed file claims $(stat -c %s "$MNT/large") bytes"
mkdir "$MNT/dir"
rm "$MNT/large"
room() { cp "$WORK/content" "$MNT/second" 2>/dev/null; }
wait_until 60 room || fail "no room after rm: $(df "$MNT")"
cmp "$WORK/content" "$MNT/second"
cmp "$WORK/content" "$MNT/file"
pass
