#!/bin/bash
# kfs umount of what is in use names who uses it: a program with an open file, and one that waits for servers within a call and has none;
# not itself, when it is called from within the mount.
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
KFS=$(built kfs)
start_cluster --metaservers 1 --chunkservers 1
echo x >"$MNT/file"
mkdir "$MNT/dir"
unmounts() { (cd "${1:-/}" && exec "$KFS" umount "${2:-$MNT}") >"$WORK/said" 2>&1; }
sleep 600 8<"$MNT/file" 7>&- &
user=$!
! unmounts || fail "what is in use is unmounted"
grep -q "is in use by sleep ($user)" "$WORK/said" || { cat "$WORK/said"; fail "it does not say who uses it"; }
kill $user
wait $user || :

kill_role metaserver 1 STOP
stat "$MNT/dir/not-known" >/dev/null 2>&1 7>&- &
user=$!
waits() { [ "$(cat /proc/"$user"/wchan 2>/dev/null)" = request_wait_answer ]; }
if wait_until 5 waits; then
  ! unmounts || fail "it is unmounted although a program waits in it"
  grep -Eq "is in use, perhaps by one that waits for its servers: (.*, )?stat \($user\)" "$WORK/said" || { cat "$WORK/said"; fail "it does not name a program that waits"; }
else
  echo "skipped: the kernel does not say what a process waits for"
fi
kill_role metaserver 1 CONT
wait $user || :

unmounts "$MNT/dir" .. || { cat "$WORK/said"; fail "called from within the mount it is one of its users itself"; }
! mountpoint -q "$MNT" || fail "it is mounted still"
pass
