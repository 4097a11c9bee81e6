#!/bin/bash
# A mount's end is clean or explained: unmounted, its process ends with 0; cut off by the kernel's administrator (/sys/fs/fuse/connections),
# it says so, takes the dead mount away and ends with 32.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 1
source=$(awk -v m="$MNT" '$2 == m {print $1}' /proc/self/mounts)
M=$WORK/other
mkdir "$M" "$WORK/control"
mount -t fusectl none "$WORK/control" 2>"$WORK/words" || skip "no fusectl here: $(<"$WORK/words")"
serve() {
  "$(built kfs)" mount "$source" "$M" -f -o "secretfile=$CLUSTER/secret" >"$WORK/log" 2>&1 & served=$!
  wait_until 20 mounted "$M" || fail "does not mount: $(tail -3 "$WORK/log")"
}
ended() {  # ended CODE EVENT
  local code=0
  wait_until 20 dead $served || fail "the process goes on"
  wait $served || code=$?
  [ $code = "$1" ] || fail "exit code $code instead of $1: $(tail -3 "$WORK/log")"
  grep -q "$2" "$WORK/log" || fail "no word of it: $(tail -3 "$WORK/log")"
  must_fail mounted "$M"
}
serve
echo hello >"$M/file"
umount "$M"
ended 0 mount.unmounted
serve
number=$(awk -v m="$M" '$5 == m {sub(/.*:/, "", $3); print $3}' /proc/self/mountinfo)
exec 7<"$M/file"
echo 1 >"$WORK/control/$number/abort"
ended 32 'mount.cut .*cut off'
exec 7<&-
serve
[ "$(cat "$M/file")" = hello ]
kill -TERM $served
ended 0 mount.told_to_stop
pass
