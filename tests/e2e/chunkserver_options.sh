#!/bin/bash
# timeout: 90 long: 300
# Options that the cluster sets for its chunkservers: they count at once, without a restart; each chunkserver is asked before (brick
# phase) and its refusal ends the change; one that was away follows when it is back; under load nobody notices.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3

# free N: bytes that chunkserver N says are left for chunks.
status() { kfs_at 1 chunkserver status --json | jq -r --arg a "$(<"$CLUSTER/run/chunkserver-$1.address")" '.chunkservers[] | select(.address == $a)'; }
free() { status "$1" | jq '[.disks[].available] | add'; }
follows() { [ "$(status "$1" | jq .generation)" -ge "$(standing 1 | cut -d' ' -f1)" ]; }
logged() { grep -q "$2" "$CLUSTER/log/chunkserver-$1.log"; }
start_writer all "$MNT"

# Half of what is free, in MiB: less than the half of the disk that is allowed, leaves room to write, and is more than others can
# take meanwhile.
before=$(free 1)
half=$((before / 2 / 1048576))
kfs_at 2 cluster set chunkserver-reserve "${half}M" >/dev/null
less=$((before - half * 1048576 / 2))
for n in 1 2; do
  at_once() { [ "$(free "$n")" -lt $less ]; }
  wait_until 2 at_once || fail "chunkserver $n does not follow chunkserver-reserve: $before bytes free before, $(free "$n") after"
done
says "${half}M" 3 cluster get chunkserver-reserve || fail "metaserver 3 does not show the option"

# ---- what one cannot do nobody does

standing_before=$(standing 1)
generation=${standing_before%% *}
refused 'in brick on peer .*chunkserver [12] .*is more than half of its disk' 3 cluster set chunkserver-reserve 1000T
refused 'Nothing was changed' 1 cluster set chunkserver-reserve 1000T
refused 'allowed is 50 to 10000, or own' 1 cluster set chunkserver-sync-ms 3
[ "$(standing 1)" = "$standing_before" ] || fail "a refused option has changed the configuration"
[ "$(free 2)" -lt $less ] || fail "a refused option is followed"

# ---- away

kill_role chunkserver 2
kfs_at 1 cluster set chunkserver-sync-ms 77 >/dev/null || fail "a chunkserver that is down holds an option up"
kfs_at 1 cluster set chunkserver-inventory-rate 999 >/dev/null
kfs_at 2 cluster reset chunkserver-reserve >/dev/null
start_role chunkserver 2
await_agreement 10 1 2 3
for n in 1 2; do
  wait_until 10 follows "$n" || fail "chunkserver $n goes by generation $(status "$n" | jq .generation), the cluster is at $(standing 1)"
  wait_until 5 logged "$n" 'cluster.options.*inventory_rate=999 sync_ms=77' || fail "chunkserver $n does not go by the options: $(grep cluster.options "$CLUSTER/log/chunkserver-$n.log")"
  more() { [ "$(free "$n")" -gt $less ]; }
  wait_until 5 more || fail "after the reset chunkserver $n still keeps the reserve"
done

# ---- one that hangs: it is waited for, but not for long, and it follows when it goes on

pid=$(<"$CLUSTER/run/chunkserver-2.pid")
may_stall "a process is stopped, perhaps in the middle of a tick"
kill -STOP "$pid"
began=$(date +%s%N)
kfs_at 1 cluster set chunkserver-sync-ms 88 >/dev/null || { kill -CONT "$pid"; fail "a chunkserver that hangs holds an option up"; }
took=$((($(date +%s%N) - began) / 1000000))
kill -CONT "$pid"
[ $took -lt 3000 ] || fail "with a chunkserver that hangs a change takes $took ms"
wait_until 10 logged 2 'cluster.options.*sync_ms=88' || fail "a chunkserver that hung does not follow when it goes on"

# Each of these is one generation: nothing was made twice.
[ "$(standing 1 | cut -d' ' -f1)" = $((generation + 4)) ] || fail "from generation $generation four changes lead to $(standing 1)"
stop_writer all "$MNT"
pass
