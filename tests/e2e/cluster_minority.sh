#!/bin/bash
# Members that are dead: changes go on with one of three away and are refused in words with two away; I/O of other owners' volumes
# never notices; a killed owner stalls its mounts until it is back, and nothing is lost.
# timeout: 180 long: 600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
status_within() {  # status_within SECONDS N: how long 'volume status' takes there
  local begin end
  begin=$(date +%s.%N)
  kfs_at "$2" volume status --json >"$WORK/status"
  end=$(date +%s.%N)
  took=$(awk -v a="$begin" -v b="$end" 'BEGIN {printf "%.3f", b - a}')
  below "$took" "$1" || fail "volume status takes $took s, $(jq -c .unreachable "$WORK/status") unreachable"
}
third=$(address_of 3) second=$(address_of 2)

# One of three is away; dev belongs to the first.
start_writer steady "$MNT"
await_progress steady 10
kill_role metaserver 3
status_within 2 1
say "volume status right after the kill: $took s"
says "$third" 2 volume set dev atime off || { cat "$WORK/said-by-kfs"; fail "a change does not name who is away"; }
status_within 2 2
jq -e --arg third "$third" '.unreachable | length == 1 and (.[0] | startswith($third))' "$WORK/status" >/dev/null ||
  fail "volume status does not name who is away: $(jq -c .unreachable "$WORK/status")"
says '^generation' 1 volume reset dev atime || fail "a second change says no generation"
await_progress steady 5
start_role metaserver 3
await_agreement 10 1 2 3
kfs_at 3 cluster log | grep -q 'kfs volume create dev' || fail "who was away has forgotten what was before"

# Two of three are away.
kill_role metaserver 3
kill_role metaserver 2
before=$(standing 1)
refused "missing: .*$second" 1 volume set dev atime off --timeout 3
grep -q "$third" "$WORK/refused" || { cat "$WORK/refused"; fail "the refusal names one of the two"; }
[ "$(standing 1)" = "$before" ] || fail "a refused change was made"
status_within 2 1
await_progress steady 5
start_role metaserver 2
start_role metaserver 3
await_agreement 10 1 2 3
says '^generation' 3 volume set dev atime off || fail "changes do not go on"
await_progress steady 5
stop_writer steady "$MNT"
below "$(longest_pause steady)" 2 || fail "a mount of a living owner's volume stood still for $(longest_pause steady) s"

# One that has been away knows a volume as stopped that has been started since: it does not say so as if that were certain.
kfs_at 1 volume create old-news --owner "$second" >/dev/null
kfs_at 1 volume stop old-news --yes >/dev/null
await_agreement 10 1 2 3
kill_role metaserver 1
kfs_at 2 volume start old-news >/dev/null
kill_role metaserver 2
kill_role metaserver 3
start_role metaserver 1
mkdir "$WORK/old"
! "$KFS" mount "$(address_of 1):/old-news" "$WORK/old" -o "secretfile=$CLUSTER/secret" >"$WORK/out" 2>&1 || fail "mounted without its owner"
grep -q 'this may be old: .* does not hear from most of the others' "$WORK/out" || { cat "$WORK/out"; fail "one that is cut off is sure of what may be old"; }
start_role metaserver 2
start_role metaserver 3
await_agreement 10 1 2 3
mount_through 1 old-news "$WORK/old"
unmount "$WORK/old"

# The owner is away.
mkdir "$MNT/owner"
start_writer owner "$MNT/owner"
await_progress owner 10
kill_role metaserver 1
stalled=$(written_by owner)
says '^generation' 2 volume set dev slow-op-ms 900 || fail "the volume of a dead owner cannot be changed"
status_within 2 2
jq -e '.volumes[] | select(.name == "dev") | .files == null' "$WORK/status" >/dev/null || fail "somebody counts a dead owner's files"
start_role metaserver 1
await_agreement 10 1 2 3
await_progress owner 20
[ "$(written_by owner)" -gt "$stalled" ]
stop_writer owner "$MNT/owner"
[ "$(kfs_at 1 volume get dev --json | jq -r '.. | objects | select(.name? == "slow-op-ms" or .option? == "slow-op-ms") | .value' 2>/dev/null)" != 1000 ] ||
  fail "the owner has not caught up"

# Five of them, two away.
timeout 60 "$DEVCLUSTER" down --dir "$CLUSTER" </dev/null
start_cluster --metaservers 5
await_agreement 20 1 2 3 4 5
kill_role metaserver 5
kill_role metaserver 4
status_within 2 3
say "volume status, two of five just killed: $took s"
[ "$(jq '.unreachable | length' "$WORK/status")" = 2 ] || fail "volume status names $(jq -c .unreachable "$WORK/status")"
says '^generation' 2 volume set dev slow-op-ms 800 || fail "three of five cannot change anything"
start_role metaserver 5
start_role metaserver 4
await_agreement 10 1 2 3 4 5
# One that is stopped answers nobody, though its connections live.
kill_role metaserver 5 STOP
status_within 2 1
say "volume status, one of five stopped: $took s"
says "$(address_of 5)" 1 volume set dev atime off || { cat "$WORK/said-by-kfs"; fail "a change does not name who does not answer"; }
kill_role metaserver 5 CONT
await_agreement 10 1 2 3 4 5
pass
