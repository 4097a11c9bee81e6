#!/bin/bash
# timeout: 240 long: 600
# A metaserver is killed in each of the five phases, as originator before it sends and as follower before it looks at the
# request (--long: also after its answer): others can change the configuration again within seconds, the interrupted change
# is wholly there or wholly not on every member, as its command said, and the I/O of a mount whose volume another one owns goes on.
. "$(dirname "$0")/lib.sh"
need_cluster
need python3
export KFS_TEST_STOP=1
start_cluster --metaservers 3 --chunkservers 1
kfs=$(built kfs)
address() { local text; text=$(<"$CLUSTER/run/metaserver-$1.address") && echo "$text"; }
at() { local n=$1; shift; "$kfs" --secret-file "$CLUSTER/secret" --metaserver "$(address "$n")" "$@"; }
identity() { at "$1" cluster log -n 1 --json | python3 -c 'import json, sys; e = json.load(sys.stdin)[0]; print(e["generation"], e["checksum"])'; }
agree() { local a; a=$(identity 1) && [ "$a" = "$(identity 2)" ] && [ "$a" = "$(identity 3)" ]; }
together() { local n; for n in 1 2 3; do [ "$(at $n peer status | grep -c 'Peer in Cluster (Connected)')" = 2 ] || return 1; done; }
stopped() { grep -q '^State:.T' "/proc/$(pid_of metaserver "$1")/status" && [ ! -e "$CLUSTER/metaserver-$1/test-stop" ]; }

wait_until 15 together
# The volume belongs to metaserver 1; 2 originates, 3 follows.
at 1 volume info dev | grep -q "$(address 1)"
(
  i=0
  while [ ! -e "$WORK/enough" ]; do
    echo $i >"$MNT/tick" && echo "$((++i)) ${EPOCHREALTIME/./}000" >>"$WORK/ticks" || echo "error at $i" >>"$WORK/errors"
    sleep 0.02
  done
) &
writer=$!

change_works() { at 1 volume set dev user.after "$round" --timeout 3 >"$WORK/after" 2>&1; }
round=0
kill_at() {  # kill_at N MOMENT PHASE
  local victim=$1 moment=$2 phase=$3 code=0
  round=$((round + 1))
  echo "$moment $phase" >"$CLUSTER/metaserver-$victim/test-stop"
  { at 2 volume set dev user.round "$round" --timeout 8 >"$WORK/said" 2>&1 || exit $?; } &
  local command=$!
  wait_until 15 stopped "$victim" || fail "round $round: metaserver $victim did not come to '$moment $phase': $(<"$WORK/said")"
  kill_role metaserver "$victim"
  wait_until 20 change_works || fail "round $round ($victim, $moment $phase): no change is possible after 20 s: $(<"$WORK/after")"
  wait $command || code=$?
  start_role metaserver "$victim"
  wait_until 15 together || fail "round $round: metaserver $victim does not find back: $(at 2 peer status)"
  wait_until 15 agree || fail "round $round ($victim, $moment $phase): members differ: $(identity 1) / $(identity 2) / $(identity 3)"
  local is
  is=$(at 3 volume get dev user.round | grep -oE "\b$round\b" || :)
  case $code in
    0) [ "$is" = "$round" ] || fail "round $round ($moment $phase): an acknowledged change is not there" ;;
    1) [ -z "$is" ] || fail "round $round ($moment $phase): a refused change is there: $(<"$WORK/said")" ;;
    3 | 5) ;; # the one who was asked died: not known
    *) fail "round $round ($moment $phase): exit code $code: $(<"$WORK/said")" ;;
  esac
  echo "$victim $moment $phase: exit $code, ${is:+made}${is:-not made}" >>"$WORK/rounds"
}
for phase in LOCK STAGE BRICK COMMIT UNLOCK; do
  kill_at 2 send $phase
  kill_at 3 receive $phase
  if long; then kill_at 3 'done' $phase; fi
done
touch "$WORK/enough"
wait $writer
[ ! -e "$WORK/errors" ] || fail "the mount saw: $(head -3 "$WORK/errors")"
worst=$(awk '{ if (last && $2 - last > worst) worst = $2 - last; last = $2 } END { printf "%d", worst / 1000000 }' "$WORK/ticks")
say "$(wc -l <"$WORK/ticks") writes meanwhile, the longest pause $worst ms"
[ "$worst" -lt 3000 ] || fail "the mount noticed: a pause of $worst ms"
cat "$WORK/rounds"
pass
