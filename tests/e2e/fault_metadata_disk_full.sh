#!/bin/bash
# The metaserver's disk fills up: nothing new is made (ENOSPC), what is there can be read and removed, the metaserver lives. On a
# disk without any room it does not start, says so, and loses nothing.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
mkdir -p "$CLUSTER/metaserver-1"
mount -t tmpfs -o size=160m kfs-e2e "$CLUSTER/metaserver-1"
start_cluster --chunkservers 1
mkdir "$MNT/dir"
echo content >"$MNT/dir/file"
fill() { dd if=/dev/zero of="$CLUSTER/metaserver-1/filler" bs=1M "$@" status=none oflag=append conv=notrunc 2>/dev/null || :; }
free_mib() { df --output=avail -m "$CLUSTER/metaserver-1" | tail -1; }
fill count=$(($(free_mib) - 12))
refused() { ! mkdir "$MNT/new" 2>"$WORK/error" || { rmdir "$MNT/new"; false; }; }
wait_until 10 refused || fail "directories are made although the disk is full"
grep -q 'No space left on device' "$WORK/error" || fail "not ENOSPC: $(<"$WORK/error")"
[ "$(cat "$MNT/dir/file")" = content ]
chmod 600 "$MNT/dir/file"
printf CON | dd of="$MNT/dir/file" conv=notrunc status=none || fail "what exists cannot be overwritten"
[ "$(cat "$MNT/dir/file")" = CONtent ]
echo more >"$MNT/dir/other" 2>/dev/null && fail "a file was made although the disk is full"
rm "$MNT/dir/file"
rm "$CLUSTER/metaserver-1/filler"
works() { mkdir "$MNT/again" 2>/dev/null; }
wait_until 10 works || fail "nothing can be made although there is room again"
kill_role metaserver 1
fill
if timeout 60 "$DEVCLUSTER" start --dir "$CLUSTER" metaserver 1 >"$WORK/start" 2>&1; then fail "it started on a full disk"; fi
grep -q 'is full' "$WORK/start" "$CLUSTER/log/metaserver-1.log" || fail "it did not say why: $(<"$WORK/start")"
rm "$CLUSTER/metaserver-1/filler"
start_role metaserver 1
[ -d "$MNT/again" ] && [ ! -e "$MNT/dir/file" ]
mkdir "$MNT/last"
pass
