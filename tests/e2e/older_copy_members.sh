#!/bin/bash
# A volume's database is replaced by an older copy of it, and there are neither chunkservers nor mounts that would know: the other
# metaserver does.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --metaservers 2 --chunkservers 0
await_agreement 20 1 2
owner=1
[ "$(kfs_at 1 volume info dev --json | jq -r .owner)" = "$(address_of 1)" ] || owner=2
mkdir "$MNT/before"
sync "$MNT/before"
pid=$(pid_of metaserver $owner)
may_stall "a process is stopped, perhaps in the middle of a tick"
kill -STOP "$pid"
cp -a "$CLUSTER/metaserver-$owner/volumes" "$WORK/copy"
kill -CONT "$pid"
for n in $(seq 20); do mkdir "$MNT/after-$n"; done
sync "$MNT/after-20"
sleep 3  # not a condition: members tell each other once a second, and nothing shows it
timeout 30 umount "$MNT"
kill_role metaserver $owner
mv "$CLUSTER/metaserver-$owner/volumes" "$WORK/right"
mv "$WORK/copy" "$CLUSTER/metaserver-$owner/volumes"
start_role metaserver $owner
refused() { { timeout 10 "$KFS" health --metaserver "$(address_of $owner)" --secret-file "$CLUSTER/secret" 2>&1 || :; } | grep -q "older copy"; }
wait_until 20 refused || fail "an older copy is served, though another member knows better"
kill_role metaserver $owner
rm -rf "$CLUSTER/metaserver-$owner/volumes"
mv "$WORK/right" "$CLUSTER/metaserver-$owner/volumes"
start_role metaserver $owner
timeout 60 "$DEVCLUSTER" mount --dir "$CLUSTER" "$MNT" </dev/null || fail "the right database is not served"
[ -d "$MNT/after-20" ] || fail "it is not the right one"
pass
