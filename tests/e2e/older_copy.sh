#!/bin/bash
# A copy of a metaserver's data directory, made while it ran, is started later, in place of the right one. Chunkservers (also restarted
# ones) and mounts know how far the volume was: the copy is not served, in words; programs wait, and go on when the right one is back,
# with their locks and open files. Where there is no other any more, the copy is gone on with as with a backup; then the right one
# is an older copy.
# timeout: 150 long: 300
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
start_cluster --chunkservers 2
KFS_METASERVER=$(<"$CLUSTER/run/metaserver-1.address")
export KFS_METASERVER KFS_SECRET_FILE=$CLUSTER/secret
kfs=$(built kfs)
log=$CLUSTER/log/metaserver-1.log

swap_in() {  # swap_in FROM ASIDE: the metaserver's directory is FROM; what was there is ASIDE
  kill_role metaserver 1
  mv "$CLUSTER/metaserver-1" "$2"
  mv "$1" "$CLUSTER/metaserver-1"
  start_role metaserver 1
}
refused() {
  { timeout 10 "$kfs" volume list 2>&1 || :; } | grep -q "not served" && { timeout 10 "$kfs" health 2>&1 || :; } | grep -q "older copy"
}
chunks() { find "$CLUSTER"/chunkserver-*/v* -name '*.data' | wc -l; }

head -c 70000 /dev/urandom >"$WORK/before"
cp "$WORK/before" "$MNT/before"
sync "$MNT/before"
# As a snapshot does: at one moment.
pid=$(pid_of metaserver 1)
may_stall "a process is stopped, perhaps in the middle of a tick"
kill -STOP "$pid"
cp -a "$CLUSTER/metaserver-1" "$WORK/copy"
kill -CONT "$pid"
cp -a "$WORK/copy" "$WORK/copy2"
for n in $(seq 30); do
  head -c 70000 /dev/urandom >"$WORK/after-$n"
  cp "$WORK/after-$n" "$MNT/after-$n"
done
sync "$MNT/after-30"
told() { grep -q "^volume=" "$CLUSTER"/chunkserver-1/kfs-disk.synced 2>/dev/null; }
wait_until 30 told || fail "a chunkserver does not keep how far the volume was"
exec 8>"$MNT/held"
flock 8
before=$(chunks)

say "the chunkservers know it, and they alone: nobody can mount the copy"
swap_in "$WORK/copy" "$WORK/right"
wait_until 20 refused || fail "an older copy is served: $("$kfs" volume list 2>&1)"
grep -q 'volume.older_copy .*older copy.*kfs volume restore' "$log" || fail "the log does not say so, with the ways out"
must_fail timeout 5 "$kfs" mount --mkdir "$KFS_METASERVER:/dev" "$WORK/other"
[ "$(chunks)" = "$before" ] || fail "chunks are deleted for an older copy"

say "what waits goes on with the right one"
timeout 60 cmp "$WORK/after-7" "$MNT/after-7" &
reader=$!
sleep 1  # not a condition: it must still be waiting
kill -0 $reader 2>/dev/null || fail "a program has an answer from an older copy"
say "chunkservers that are restarted know it, too"
kill_role chunkserver 1
kill_role chunkserver 2 TERM
kill_role metaserver 1
: >"$log"
start_role metaserver 1
start_role chunkserver 1
start_role chunkserver 2
wait_until 20 refused || fail "after a restart of all it is served"
swap_in "$WORK/right" "$WORK/copy"
wait $reader || fail "a program that waited has not got the right data"
for n in $(seq 30); do timeout 20 cmp "$WORK/after-$n" "$MNT/after-$n" || fail "after-$n is lost"; done
echo more >&8 || fail "an open file is lost"
must_fail flock -n "$MNT/held" true
! grep -q "session.held_lost\|session.lost" "$CLUSTER"/log/mount*.log || fail "the mount has lost its session to the copy"
touch "$MNT/new"
sync "$MNT/new" || fail "fsync fails with the right data directory"

say "a mount knows it where chunkservers do not"
kill_role chunkserver 1 TERM
kill_role chunkserver 2 TERM
rm -f "$CLUSTER"/chunkserver-*/kfs-disk.synced
: >"$log"
swap_in "$WORK/copy2" "$WORK/right"
wait_until 20 refused || fail "an older copy is served to a mount that knows better"
start_role chunkserver 1
start_role chunkserver 2

say "there is no other any more: the copy is gone on with"
exec 8>&-
timeout 30 "$kfs" volume stop --yes dev
timeout 30 "$kfs" volume backup dev "$WORK/backup"
timeout 30 "$kfs" volume restore --yes dev "$WORK/backup"
timeout 30 "$kfs" volume start dev
there() { [ -e "$MNT/before" ]; }
wait_until 30 there || fail "the copy is not served after it was restored"
timeout 20 cmp "$WORK/before" "$MNT/before" || fail "what the copy has is damaged"
[ ! -e "$MNT/new" ] || fail "it is not the copy"
echo begun >"$MNT/begun"
sync "$MNT/begun" || fail "fsync fails after the volume was begun anew"
sleep 3  # not a condition: heartbeats carry it in two seconds, and nothing shows it
swap_in "$WORK/right" "$WORK/aside"
wait_until 20 refused || fail "what the volume was before it was begun anew is served again"
swap_in "$WORK/aside" "$WORK/right"
begun() { [ "$(timeout 20 cat "$MNT/begun" 2>/dev/null)" = begun ]; }
wait_until 30 begun || fail "the volume that was begun anew is not served"
pass
