#!/bin/bash
# Members that come back without their state. One that owned nothing is found out and mended, and votes after the next change; one
# that owned a volume does not serve it empty, and its chunks stay.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3 --chunkservers 1 --option inventory-interval=1 --option chunkserver.log-level=debug
await_agreement 20 1 2 3
wipe() {  # wipe N: stops it, and empties its data directory
  kill_role metaserver "$1" TERM
  rm -rf --one-file-system "$CLUSTER/metaserver-$1"
  mkdir "$CLUSTER/metaserver-$1"
}
votes() { [ "$(kfs_at 1 peer status --json | jq --arg a "$(address_of "$1")" '.peers[] | select(.address == $a) | .votes')" = true ]; }
repaired() { kfs_at 1 peer repair "$(address_of "$1")" >"$WORK/repaired" 2>&1; }

wipe 3
start_role metaserver 3
third=$(address_of 3)
refused 'wiped' 1 peer why "$third"
grep -q "kfs peer repair $third" "$WORK/refused" || { cat "$WORK/said-by-kfs"; fail "peer why does not say what to do"; }
kfs_at 1 health --json >"$WORK/health" || :
jq -e --arg s "metaserver $third" '[.findings[] | select(.subject == $s)] | length == 1 and (.[0].next | startswith("kfs peer repair"))' "$WORK/health" >/dev/null ||
  { cat "$WORK/health"; fail "health does not say, once, how a wiped member is mended"; }
[ "$(kfs_at 3 volume list --json)" = '[]' ] || fail "a wiped member knows volumes"
[ "$(answers "$MNT")" = ok ]
repaired 3 || { cat "$WORK/repaired"; fail "it cannot be repaired"; }
await_agreement 10 1 2 3
# It votes after the next change: with the second one away its vote is needed.
kfs_at 1 volume set dev atime off
await_agreement 10 1 2 3
wait_until 5 votes 3 || { kfs_at 1 peer why "$third"; fail "it has no vote after a change"; }
kill_role metaserver 2
says '^generation' 1 volume reset dev atime || { cat "$WORK/said-by-kfs"; fail "its vote does not count"; }
says '^generation' 3 volume set dev atime off || { cat "$WORK/said-by-kfs"; fail "it cannot change anything itself"; }
start_role metaserver 2
await_agreement 10 1 2 3

# The owner of a volume.
kfs_at 1 volume create data --owner "$(address_of 2)"
mount_through 1 data "$WORK/data"
head -c 3000000 /dev/urandom >"$WORK/random"
cp "$WORK/random" "$WORK/data/file"
sync -f "$WORK/data/file"
[ "$(chunk_bytes)" -ge 3000000 ]
wipe 2
start_role metaserver 2
wait_until 10 repaired 2 || { cat "$WORK/repaired"; fail "it cannot be repaired"; }
await_agreement 10 1 2 3
has_trouble() { kfs_at 1 volume status | grep -q "^data: .* was lost with its metaserver's disk"; }
wait_until 5 has_trouble || { kfs_at 1 volume status; fail "volume status does not say why the volume is not served"; }
# The mount gets an error or waits, but never an empty volume.
listed() { timeout 3 ls "$WORK/data" >"$WORK/listed" 2>&1; }
if listed; then grep -qx file "$WORK/listed" || fail "a volume that lost its metadata is served empty"; fi
mkdir "$WORK/again-mnt"
! timeout 10 "$KFS" mount -f "$(address_of 2):/data" "$WORK/again-mnt" -o "secretfile=$CLUSTER/secret,soft,timeo=20" >"$WORK/again" 2>&1 ||
  fail "it can be mounted anew"
# Chunks stay, also after the chunkserver has told everybody what it has.
compared() { grep -c "inventory.done metaserver=$(address_of 2) whole=true" "$CLUSTER/log/chunkserver-1.log" || :; }
compared_since() { [ "$(compared)" -ge $(($1 + 2)) ]; }
kill_role chunkserver 1 TERM
start_role chunkserver 1
wait_until 10 compared_since "$(compared)" || fail "the chunkserver does not tell metaserver 2 what it has"
# Its cluster can do without that volume, also when it starts anew.
kill_role metaserver 2 TERM
start_role metaserver 2
wait_until 5 has_trouble || fail "after a restart volume status does not say why the volume is not served"
[ "$(answers "$MNT")" = ok ] || fail "other volumes do not work"
await_agreement 10 1 2 3
chunks=$(find "$CLUSTER/chunkserver-1/v2" -name '*.data' | wc -l)
[ "$chunks" -gt 0 ] && [ "$(chunk_bytes)" -ge 3000000 ] || fail "the chunks of a volume whose metadata is lost were deleted"
umount -l "$WORK/data"
kill -9 "$MOUNTED" 2>/dev/null || :
wait "$MOUNTED" 2>/dev/null || :
pass
