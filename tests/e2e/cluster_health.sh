#!/bin/bash
# timeout: 240
# What an operator sees when metaservers are down: kfs health and peer why within two seconds, with the right exit code, whoever is asked.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
two=$(address_of 2) three=$(address_of 3)

# within SECONDS CODE COMMAND...: it takes no longer, and exits with CODE; what it says is in $WORK/out (and errors in $WORK/err).
within() {
  local seconds=$1 wanted=$2 began code=0 took
  shift 2
  began=$(date +%s.%N)
  "$@" >"$WORK/out" 2>"$WORK/err" || code=$?
  took=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN {print b - a}')
  [ $code = "$wanted" ] || { cat "$WORK/out" "$WORK/err"; fail "$* exits with $code, not $wanted"; }
  below "$took" "$seconds" || fail "$* takes $took s"
}
# A process may be slow to start on a machine that does other things, too.
SOON=3
healthy() { [ "$(kfs_at 1 health --json | jq -r .state)" = ok ]; }
finds() { jq -e --arg a "$1" --arg s "$2" '.findings[] | select(.alarm == $a and .severity == $s)' "$WORK/out" >/dev/null || { cat "$WORK/out"; fail "no $2 $1"; }; }

wait_until 15 healthy || { kfs_at 1 health; fail "a new cluster is not healthy"; }
within $SOON 0 kfs_at 1 health
grep -qx 'ok        3 metaservers, 2 chunkservers, 1 volume' "$WORK/out" || { cat "$WORK/out"; fail "health of a healthy cluster"; }
within $SOON 0 kfs_at 1 status --check
within $SOON 0 kfs_at 1 peer why "$three"

# A metaserver that has ended, one that is stopped, none at all.
kill_role metaserver 3
within $SOON 1 kfs_at 1 peer why "$three"
grep -q '^BAD  port: .*nothing listens there' "$WORK/out" || { cat "$WORK/out"; fail "peer why of one that is down"; }
grep -q '^ok   last heard: .* s ago' "$WORK/out" || { cat "$WORK/out"; fail "peer why does not say when it was last heard"; }
within $SOON 1 kfs_at 1 health --json
finds metaserver.down warning
# What is made meanwhile belongs to those that are there, though the one that is down has the fewest volumes.
for n in 1 2 3; do
  kfs_at 1 volume create "while-down-$n" >/dev/null
  [ "$(kfs_at 1 volume list --json | jq -r ".[] | select(.name == \"while-down-$n\") | .owner")" != "$three" ] || fail "a metaserver that is down becomes an owner"
done
kill_role metaserver 2 STOP
within $SOON 1 kfs_at 1 peer why "$two"
no_majority() { kfs_at 1 health --json >"$WORK/out"; jq -e '.findings[] | select(.alarm == "cluster.no_majority" and .severity == "critical")' "$WORK/out" >/dev/null; }
wait_until 15 no_majority || { cat "$WORK/out"; fail "no alarm when most metaservers are away"; }
within $SOON 2 kfs_at 1 health
within $SOON 2 kfs_at 2 health
grep -q "^critical  metaserver $two" "$WORK/out" || { cat "$WORK/out"; fail "health through one that does not answer"; }
# One that cannot ask the others says that first: what it knows may be old.
cut_off() { ! kfs_at 1 chunkserver label 77 rack=r1 >"$WORK/out" 2>&1 && grep -q '^kfs: most of the metaservers are out of reach' "$WORK/out"; }
wait_until 10 cut_off || { cat "$WORK/out"; fail "a member without a majority answers its own refusal first"; }
kill_role metaserver 2 CONT
start_role metaserver 3
wait_until 20 healthy || { kfs_at 1 health; fail "not healthy again"; }

# A volume is made by way of one that answers, and is to be mounted from there: not from the one that was named first.
two=$(address_of 2)
kill_role metaserver 3
"$KFS" volume create of-two --owner "$two" --metaserver "$(address_of 3)" --metaserver "$(address_of 1)" --secret-file "$CLUSTER/secret" >"$WORK/out" 2>&1 || { cat "$WORK/out"; fail "no volume is made by way of the second that is named"; }
grep -q "^mount it: kfs mount $two:/of-two " "$WORK/out" || { cat "$WORK/out"; fail "another metaserver than the owner is named to mount from"; }
start_role metaserver 3
wait_until 20 healthy || { kfs_at 1 health; fail "not healthy with a volume more"; }

# Each with the other's data: they are connected, and nobody finds them where they should be.
swap() {
  kill_role metaserver 2
  kill_role metaserver 3
  mv "$CLUSTER/metaserver-2" "$WORK/of-two"
  mv "$CLUSTER/metaserver-3" "$CLUSTER/metaserver-2"
  mv "$WORK/of-two" "$CLUSTER/metaserver-3"
  start_role metaserver 2
  start_role metaserver 3
}
swap
for n in 1 2 3; do
  within $SOON 2 kfs_at $n health --json
  finds metaserver.swapped critical
  [ "$(jq '[.findings[] | select(.alarm == "metaserver.swapped")] | length' "$WORK/out")" = 2 ] || { cat "$WORK/out"; fail "not both are found from metaserver $n"; }
done
kfs_at 1 peer why "$two" >"$WORK/out" 2>&1 || :
grep -q "^BAD  identity: .*, which is $(address_of 3), .*start each with its own data-dir" "$WORK/out" || { cat "$WORK/out"; fail "kfs peer why does not say who answers there"; }
mkdir "$WORK/mnt-two"
! timeout 60 "$KFS" mount "$two:/of-two" "$WORK/mnt-two" -o "secretfile=$CLUSTER/secret" >"$WORK/out" 2>&1 || { umount "$WORK/mnt-two"; fail "it is mounted from another's data"; }
grep -q 'another metaserver answers at that address: start each metaserver with its own data-dir' "$WORK/out" || { cat "$WORK/out"; fail "the mount does not say who answers there"; }
! grep -q 'must run there' "$WORK/out" || { cat "$WORK/out"; fail "the mount says to start the metaserver that runs"; }
swap
wait_until 20 healthy || { kfs_at 1 health; fail "not healthy with their own data"; }

pass
