#!/bin/bash
# timeout: 240 long: 300
# What administrators do by mistake must not lead where nothing leads back: a copy of a metaserver's data directory beside it, an
# address that is none, a peer that cannot answer, words of any length and language, a member's record moved away as its own words say.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
echo kept >"$MNT/file"
own=$(address_of 1)

# ---- words

long=$(python3 -c 'print("\u20ac" * 300)')
for note in n nn nnn; do
  kfs_at 2 cluster set "user.$note" "$long" >/dev/null || fail "a value in another language is not taken"
done
await_agreement 10 1 2 3
for n in 1 2 3; do
  kill_role metaserver $n
  start_role metaserver $n
done
await_agreement 20 1 2 3
[ "$(kfs_at 3 cluster get user.nn --json | jq -r '."user.nn".value')" = "$long" ] || fail "a value in another language is not what was set"
code=0
kfs_at 1 cluster set user.bytes $'\xff\xfe' >"$WORK/bytes" 2>&1 || code=$?
[ $code = 2 ] && [ "$(wc -l <"$WORK/bytes")" = 1 ] || fail "bytes that are no text: exit code $code, $(<"$WORK/bytes")"
for seconds in nan inf 0 -1 ''; do
  code=0
  timeout 10 "$KFS" --timeout "$seconds" volume list --metaserver "$own" --secret-file "$CLUSTER/secret" >"$WORK/bytes" 2>&1 || code=$?
  [ $code = 2 ] || fail "--timeout '$seconds' gives exit code $code: $(<"$WORK/bytes")"
done
code=0
kfs_at 1 volume status '' >/dev/null 2>&1 || code=$?
[ $code = 2 ] || fail "the status of a volume without a name gives exit code $code"

# ---- addresses

before=$(standing 1)
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
for address in "127.0.0.1:$free" a:b:c 127.0.0.1:-1 127.0.0.1:99999 ' ' "$(address_of 3)"; do
  ! kfs_at 1 peer address "$(address_of 2)" "$address" >/dev/null 2>&1 || fail "the address '$address' is taken for metaserver 2"
done
refused 'nothing listens there.*nothing was changed' 1 peer address "$own" "127.0.0.1:$free"
[ "$(standing 1)" = "$before" ] || fail "refused addresses have changed the configuration"

# ---- a copy beside the original, and the original beside a copy

kill_role metaserver 1 TERM
cp -a "$CLUSTER/metaserver-1" "$WORK/copy"
run_copy() {
  "$(built kfs-metaserver)" --set data-dir="$WORK/copy" --set secret-file="$CLUSTER/secret" --set listen="127.0.0.1:$free" >"$WORK/copy.log" 2>&1 &
  copy=$!
}
start_role metaserver 1
run_copy
wait_until 10 dead $copy || fail "a copy runs beside the original"
grep -q 'cluster.runs_twice' "$WORK/copy.log" || fail "a copy does not say why it ends: $(tail -3 "$WORK/copy.log")"
kill_role metaserver 1 TERM
run_copy
wait_until 10 grep -q ' ready ' "$WORK/copy.log" || fail "a copy whose original is down does not start"
start_role metaserver 1
wait_until 15 dead $copy || fail "a copy goes on beside the original"
await_agreement 20 1 2 3
[ "$(cat "$MNT/file")" = kept ] && [ "$(answers "$MNT")" = ok ] || fail "the original does not serve its volume"

# ---- as the words of a damaged member's record say

kill_role metaserver 1 TERM
mv "$CLUSTER/metaserver-1/cluster" "$WORK/cluster-of-1"
! timeout 60 "$DEVCLUSTER" start --dir "$CLUSTER" metaserver 1 </dev/null >/dev/null 2>&1 || fail "a new cluster is founded where volumes lie"
mv "$CLUSTER/metaserver-1/volumes" "$WORK/volumes-of-1"
start_role metaserver 1
readmitted() { kfs_at 2 peer repair "$own" >"$WORK/repair" 2>&1; }
wait_until 10 readmitted || fail "it is not mended: $(<"$WORK/repair")"
await_agreement 20 1 2 3
says '^generation' 3 cluster set user.after repair || fail "after the repair nothing can be changed"
kill_role metaserver 1 TERM
rm -rf "$CLUSTER/metaserver-1/volumes"
mv "$WORK/volumes-of-1" "$CLUSTER/metaserver-1/volumes"
start_role metaserver 1
await_agreement 20 1 2 3
[ "$(timeout -s KILL 30 cat "$MNT/file")" = kept ] || fail "its volume is not what it was: $(kfs_at 2 volume status)"
pass
