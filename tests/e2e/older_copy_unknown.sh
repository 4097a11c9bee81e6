#!/bin/bash
# A copy of a metaserver's data directory, made while it ran, is started later, in place of the right one, where nobody knows how far
# the right one was (older_copy.sh: where somebody does): nothing that was made since is lost when the right one is put back. Also what
# the copy itself takes for deleted comes back.
# timeout: 120 long: 240
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
# The mount of before is in the copy, and nobody comes for it: until its time is over, what is removed may be open in it.
start_cluster --chunkservers 2 --option metaserver.session-ttl=8 --option chunkserver.inventory-interval=1 --option chunkserver.log-level=debug
KFS_METASERVER=$(<"$CLUSTER/run/metaserver-1.address")
export KFS_METASERVER KFS_SECRET_FILE=$CLUSTER/secret

# What remembers: chunkservers, on their disks, and mounts.
forget() {
  kill_role chunkserver 1 TERM
  kill_role chunkserver 2 TERM
  rm -f "$CLUSTER"/chunkserver-*/kfs-disk.synced
  start_role chunkserver 1
  start_role chunkserver 2
}
mkdir "$MNT/before" "$WORK/before" "$WORK/after"
for n in $(seq 20); do head -c 70000 /dev/urandom >"$WORK/before/$n"; cp "$WORK/before/$n" "$MNT/before/$n"; done
sync "$MNT/before/1"
# As a snapshot does: at one moment.
pid=$(pid_of metaserver 1)
may_stall "a process is stopped, perhaps in the middle of a tick"
kill -STOP "$pid"
cp -a "$CLUSTER/metaserver-1" "$WORK/copy"
kill -CONT "$pid"
for n in $(seq 60); do
  head -c 70000 /dev/urandom >"$WORK/after/$n"
  cp "$WORK/after/$n" "$MNT/after-$n"
  sync "$MNT/after-$n"
done
rm "$MNT/before/20"
timeout 30 umount "$MNT"
kill_role metaserver 1
forget
mv "$CLUSTER/metaserver-1" "$WORK/right"
mv "$WORK/copy" "$CLUSTER/metaserver-1"
log=$CLUSTER/log/metaserver-1.log
count() { grep -c "inventory.done .*whole=true" "$CLUSTER/log/chunkserver-$1.log" || :; }
compared() { [ "$(count 1)" -gt "$first" ] && [ "$(count 2)" -gt "$second" ]; }
first=$(count 1) second=$(count 2)
start_role metaserver 1
wait_until 30 compared || fail "the chunkservers do not compare their chunks with the copy"
first=$(count 1) second=$(count 2)
wait_until 30 compared || fail "the chunkservers do not compare their chunks with the copy a second time"
grep -q 'inventory.unknown_chunk .*older copy' "$log" || fail "the metaserver does not say that its data is an older copy"
chunks=$(find "$CLUSTER"/chunkserver-*/v* -name '*.data' | wc -l)
[ "$chunks" -ge 79 ] || fail "the copy has chunks deleted: $chunks of 79 are left"
# What it does delete: a file that it knows, and the right one has, too.
timeout 60 "$DEVCLUSTER" mount --dir "$CLUSTER" "$MNT" </dev/null || fail "the copy is not served"
rm -f "$MNT/before/3"
fewer() { [ "$(find "$CLUSTER"/chunkserver-*/v* -name '*.data' | wc -l)" -lt "$chunks" ]; }
wait_until 40 fewer || fail "a file that is removed keeps its chunks"
timeout 30 umount "$MNT"
kill_role metaserver 1
forget
rm -rf "$CLUSTER/metaserver-1"
mv "$WORK/right" "$CLUSTER/metaserver-1"
start_role metaserver 1
all_there() {
  local n
  for n in $(seq 60); do timeout 20 cmp "$WORK/after/$n" "$MNT/after-$n" || return 1; done
  for n in $(seq 19); do timeout 20 cmp "$WORK/before/$n" "$MNT/before/$n" || return 1; done
}
timeout 60 "$DEVCLUSTER" mount --dir "$CLUSTER" "$MNT" </dev/null || fail "the right data directory is not served"
[ -e "$MNT/after-1" ] || fail "it is not the right data directory"
all_there || fail "something is lost"
grep -q chunk.taken_back "$CLUSTER"/log/chunkserver-*.log || fail "nothing was taken back from what had been deleted"
first=$(count 1) second=$(count 2)
wait_until 30 compared
all_there || fail "something is lost after another inventory"
pass
