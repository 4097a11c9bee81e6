#!/bin/bash
# timeout: 120 long: 120
# What kfs health says of mounts: one whose programs wait for long, and says it for longer than the wait; one that is not heard of, and
# then has lost its session. A mount that is well is no finding.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --chunkservers 1 --option session-ttl=6
second_mount
health() { kfs_at 1 health --json >"$WORK/health" || :; }
finds() {  # finds ALARM SEVERITY SUBJECT
  health
  jq -e --arg a "$1" --arg v "$2" --arg s "$3" '.findings[] | select(.alarm == $a and .severity == $v and (.subject | endswith($s)))' "$WORK/health" >/dev/null
}
none() { health; ! jq -e --arg a "$1" '.findings[] | select(.alarm == $a)' "$WORK/health" >/dev/null; }
for n in $(seq 60); do echo "$n" >"$MNT/$n"; done
none mount.slow && none mount.lost && none mount.away || { cat "$WORK/health"; fail "a mount that is well is a finding"; }

# A call that waits for its chunkserver, for as long as that is stopped: it is found while it waits, and the mount's log says why.
kill_role chunkserver 1 STOP
dd if=/dev/zero of="$MNT/slow" bs=4k count=1 conv=fsync 2>/dev/null & writer=$!
wait_until 30 finds mount.slow warning ":$MNT" || { cat "$WORK/health"; fail "a mount whose program waits is not found before it has its answer"; }
wait_until 30 grep -qE 'client.waiting trace=\w+ op=\w+ call=[0-9]+ seconds=1[0-9] others=[0-9]+ why=".*chunkserver' "$CLUSTER/log/mount-1.log" || { grep waiting "$CLUSTER/log/mount-1.log"; fail "the mount does not say what is waited for"; }
kill -0 $writer || fail "the write has ended"
kill_role chunkserver 1 CONT
wait $writer || fail "the write fails"
wait_until 15 finds mount.slow warning ":$MNT" || { cat "$WORK/health"; fail "a mount whose program has waited is not found"; }
jq -e '.findings[] | select(.alarm == "mount.slow" and (.words | test("has waited [0-9.]+ s for a call")))' "$WORK/health" >/dev/null || { cat "$WORK/health"; fail "it does not say how long"; }
[ "$(kfs_at 1 status --json | jq --arg m "$MNT" '.sessions[] | select(.mountpoint == $m) | .slowest_micros > 5000000')" = true ] || fail "the status does not say it"
! finds mount.slow warning ":$MNT2" || { cat "$WORK/health"; fail "the other mount is said to be slow, too"; }
# Two signs of life later it is still said: whoever looks once a minute sees it.
began=$SECONDS
until [ $((SECONDS - began)) -ge 5 ]; do sleep 0.2; done
finds mount.slow warning ":$MNT" || { cat "$WORK/health"; fail "it is forgotten at once"; }

kill_role mount 2 KILL
wait_until 30 finds mount.lost warning ":$MNT2" || { cat "$WORK/health"; fail "a mount that has lost its session is not found"; }
[ "$(kfs_at 1 status --json | jq .sessions_lost)" = 1 ] || fail "the status counts $(kfs_at 1 status --json | jq .sessions_lost) lost sessions"
none mount.away || { cat "$WORK/health"; fail "what has lost its session is said to be away, too"; }
umount -l "$MNT2" 2>/dev/null || :
pass
