#!/bin/bash
# Two administrators change the same option at different members, again and again, while a mount works: each command succeeds, or
# fails in words; in the end all members agree, and the history has the changes that were acknowledged and no others.
# timeout: 120 long: 900
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
seconds=10
if long; then seconds=600; fi
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
first_generation=$(standing 1 | cut -d' ' -f1)
# Values differ in each command, so that the history tells them apart. One line each: status, command, what it said.
administrate() {  # administrate N
  local n=0 end=$((SECONDS + seconds)) status said
  while [ $SECONDS -lt $end ]; do
    n=$((n + 1))
    status=0
    said=$(kfs_at "$1" volume set dev slow-op-ms "$((1000 * n + 10 * $1))" 2>&1) || status=$?
    printf '%s|%s|%s\n' "$status" "volume set dev slow-op-ms $((1000 * n + 10 * $1))" "$(tr '\n' ' ' <<<"$said")"
  done
}
start_writer worker "$MNT"
administrate 2 >"$WORK/admin-2" & one=$!
administrate 3 >"$WORK/admin-3" & other=$!
wait $one
wait $other
await_progress worker 5
stop_writer worker "$MNT"
await_agreement 10 1 2 3
cat "$WORK"/admin-? >"$WORK/admins"
awk -F'|' '$1 != 0 && ($1 != 1 && $1 != 5 || length($3) < 20)' "$WORK/admins" >"$WORK/odd"
[ ! -s "$WORK/odd" ] || { head -5 "$WORK/odd"; fail "commands failed without words"; }
say "$(grep -c '^0' "$WORK/admins") changes, $(grep -vc '^0' "$WORK/admins" || :) refused"
for n in 2 3; do [ "$(grep -c '^0' "$WORK/admin-$n")" -ge 3 ] || { head -5 "$WORK/admin-$n"; fail "the administrator at metaserver $n got nothing done"; }; done

# The history: pages of at most 100, newest first.
history() {  # history N
  kfs_at "$1" cluster log --json -n 100000 >"$WORK/log.json"
  python3 - "$WORK/log.json" "$first_generation" <<'P'
import json, sys
for entry in reversed(json.load(open(sys.argv[1], encoding="utf-8"))):
    if entry["generation"] > int(sys.argv[2]):
        print(entry["generation"], entry["checksum"], entry["command"], sep="|")
P
}
for n in 1 2 3; do history "$n" >"$WORK/history-$n"; done
cmp "$WORK/history-1" "$WORK/history-2"
cmp "$WORK/history-1" "$WORK/history-3"
cut -d'|' -f3 "$WORK/history-1" | sort >"$WORK/made"
[ -z "$(uniq -d "$WORK/made")" ] || fail "a change was made twice: $(uniq -d "$WORK/made" | head -1)"
[ "$(tail -1 "$WORK/history-1" | cut -d'|' -f1,2 | tr '|' ' ')" = "$(standing 1)" ] || fail "the newest of the history is not what they have"
# Exit status 5: nobody knows; either may be.
# (The last 1000 generations are kept.)
oldest=$(head -1 "$WORK/history-1" | cut -d'|' -f1)
awk -F'|' -v oldest="$oldest" '$1 == 0 && match($3, /generation [0-9]+/) && substr($3, RSTART + 11, RLENGTH - 11) + 0 >= oldest {print $2}' \
  "$WORK/admins" | sort >"$WORK/acknowledged"
[ "$(wc -l <"$WORK/acknowledged")" -ge 6 ] || fail "what commands say has no generations"
awk -F'|' '$1 == 0 || $1 == 5 {print $2}' "$WORK/admins" | sort >"$WORK/possible"
comm -23 "$WORK/acknowledged" "$WORK/made" >"$WORK/lost"
comm -13 "$WORK/possible" "$WORK/made" >"$WORK/unasked"
[ ! -s "$WORK/lost" ] || { head -5 "$WORK/lost"; fail "acknowledged changes are not in the history"; }
[ ! -s "$WORK/unasked" ] || { head -5 "$WORK/unasked"; fail "the history has changes that were refused"; }
pass
