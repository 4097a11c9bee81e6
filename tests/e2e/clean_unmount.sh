#!/bin/bash
# umount flushes all; every daemon ends with exit status 0 on SIGTERM; after a new start everything is there.
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 2
make_tree "$WORK/tree" 300
head -c 10000000 /dev/urandom >"$WORK/large"
cp -a "$WORK/tree" "$MNT/tree"
cp "$WORK/large" "$MNT/large"
ended_well() { [ "$(cat "$CLUSTER/run/$1.exit" 2>/dev/null)" = 0 ]; }   # the exit status that devcluster noted
umount "$MNT"
wait_until 30 ended_well mount-1 || fail "the mount did not end with 0 after umount"
for role in 'chunkserver 1' 'chunkserver 2' 'metaserver 1'; do
  # shellcheck disable=SC2086
  kill_role $role TERM
  wait_until 30 ended_well "${role/ /-}" || fail "$role did not end with 0 on SIGTERM"
done
start_role metaserver 1
start_role chunkserver 1
start_role chunkserver 2
start_role mount 1
same_tree "$WORK/tree" "$MNT/tree"
cmp "$WORK/large" "$MNT/large"
pass
