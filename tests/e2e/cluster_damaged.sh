#!/bin/bash
# timeout: 180 long: 900
# A metaserver whose configuration database is damaged while it is stopped: each kind of file, in several places, always on a copy of
# the same directory. Either it starts, shows only what once was the configuration and agrees with the others; or it refuses to start,
# this time and the next, in words that say what to do; or it ends, in words, when it comes to
# what is damaged. The others do not notice. An empty directory and 'kfs peer repair' mend it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3 --chunkservers 1
await_agreement 20 1 2 3
third=$(address_of 3)
kfs_at 1 volume list --json | jq -e --arg a "$(address_of 1)" '.[0].owner == $a' >/dev/null || fail "the volume is not with metaserver 1"
change() { kfs_at $(($1 % 2 + 1)) volume set dev "user.note$(($1 % 40))" "a value that takes some room, so that there is something to be damaged: $1" >/dev/null; }

# Tables of several sizes, and a log with something in it.
for round in 1 2 3; do
  for i in $(seq 25); do change $((round * 25 + i)); done
  await_agreement 10 1 2 3
  [ $round = 3 ] || { kill_role metaserver 3 TERM; start_role metaserver 3; }
done
await_agreement 10 1 2 3
kill_role metaserver 3
mv "$CLUSTER/metaserver-3" "$WORK/whole"
# Its configuration is not the newest when it comes back.
change 1000
identity=$(standing 1)

start_writer others "$MNT"
history() { kfs_at 1 cluster log -n 1000 --json | jq -r '.[] | "\(.generation) \(.checksum)"' | sort -u >"$WORK/history"; }
history

# damage FILE PLACE: 64 bytes are others at that part of a hundred of it; or the rest is cut off.
damage() {
  python3 - "$@" "$RANDOM" <<'P'
import os, random, sys
path, place, seed = sys.argv[1:]
size = os.path.getsize(path)
if place == "cut":
    os.truncate(path, size // 2)
    sys.exit()
at = max(0, min(size * int(place) // 100, size - 64))
with open(path, "r+b") as f:
    f.seek(at)
    old = f.read(64)
    f.seek(at)
    f.write(bytes(b ^ r for b, r in zip(old, random.Random(seed).choices(range(1, 256), k=64))))
P
}
try_start() { timeout 60 "$DEVCLUSTER" start --dir "$CLUSTER" metaserver 3 </dev/null >"$WORK/start" 2>&1; }
# Everything that it says of itself was once decided.
was_decided() {
  local is
  is=$(standing 3 2>/dev/null) || return 0   # it does not answer yet, or not any more
  [ -n "$is" ] || return 0
  history
  grep -qxF "$is" "$WORK/history" || fail "$what: it serves '$is', which was never the configuration"
}
ended() { [ -s "$CLUSTER/run/metaserver-3.exit" ]; }
settled() { ended || { was_decided && agree 1 2 3 2>/dev/null; }; }
shows() { kfs_at "$1" volume list --json | jq -S '[.[] | {name, id, owner, options}]'; }

refused=0
case_of() {  # case_of FILE PLACE
  local what="$1, $2" logged code try outcome
  rm -rf --one-file-system "$CLUSTER/metaserver-3"
  cp -a "$WORK/whole" "$CLUSTER/metaserver-3"
  damage "$CLUSTER/metaserver-3/cluster/$1" "$2"
  for try in first second; do
    logged=$(wc -l <"$CLUSTER/log/metaserver-3.log")
    outcome="refuses to start"
    if try_start; then
      wait_until 10 settled || { kfs_at 3 peer status || :; fail "$what: it runs, and does not agree with the others: $(standing 3)"; }
      if ! ended; then
        { shows 3 || ended; } >"$WORK/shows-3"
        ended || cmp -s "$WORK/shows-3" <(shows 1) || fail "$what: it agrees, and shows other volumes: $(<"$WORK/shows-3")"
        echo "$what, $try try: agrees" >>"$WORK/outcomes"
        ended || kill_role metaserver 3 || ended   # at this very moment
        break
      fi
      outcome="ends when it has read what is damaged"  # which is not all read at the start
    fi
    # In words: not a crash, not a hang.
    ended || fail "$what: it neither serves nor ends: $(<"$WORK/start")"
    code=$(<"$CLUSTER/run/metaserver-3.exit")
    [ "$code" -ge 1 ] && [ "$code" -le 125 ] || fail "$what: it ended with exit code $code: $(<"$WORK/start")"
    tail -n +$((logged + 1)) "$CLUSTER/log/metaserver-3.log" >"$WORK/words"
    # It cannot be opened; or what it is asked for at the start cannot be read; or what is read later.
    grep -qE ' is damaged: .*(restore the directory from a copy|kfs peer repair)|start_failed .*: Corruption: .*/metaserver-3/cluster/| C kfs-metaserver.*Corruption: ' \
      "$WORK/words" || fail "$what: it $outcome, and does not say what to do: $(tail -3 "$WORK/words")"
    refused=$((refused + 1))
    echo "$what, $try try: $outcome" >>"$WORK/outcomes"
  done
  [ "$(standing 1)" = "$identity" ] && [ "$(standing 2)" = "$identity" ] || fail "$what: the others have another configuration: $(standing 1), $(standing 2)"
}
places="15 50 85 cut"
long && places="0 5 $(seq -s ' ' 10 10 90) 95 99 cut"
for kind in '*.sst' '*.log' 'MANIFEST-*' 'CURRENT'; do
  # The largest of its kind, and the newest.
  # shellcheck disable=SC2086
  files=$(cd "$WORK/whole/cluster" && { find . -name "$kind" -size +0 -printf '%s %f\n' | sort -n | tail -1; find . -name "$kind" -size +0 -printf '%s %f\n' | sort -k2 | tail -1; } | cut -d' ' -f2 | sort -u)
  [ -n "$files" ] || fail "there is no $kind to be damaged"
  for file in $files; do
    for place in $places; do case_of "$file" "$place"; done
  done
done
sed 's/^/  /' "$WORK/outcomes"
[ $refused -gt 0 ] || fail "no damage was found at all"

# ---- the others have not noticed

await_progress others 5
stop_writer others "$MNT"
below "$(longest_pause others)" 2 || fail "the mount stood still for $(longest_pause others) s"
for n in 1 2; do
  ! grep -E ' [EC] kfs-metaserver| cluster\.(peer_rejected|stranger|unexpected_event)' "$CLUSTER/log/metaserver-$n.log" || fail "metaserver $n has something to complain of"
done
change 1001 || fail "nothing can be changed while one is damaged"

# ---- mended

rm -rf --one-file-system "$CLUSTER/metaserver-3"
mkdir "$CLUSTER/metaserver-3"
start_role metaserver 3
repaired() { kfs_at 1 peer repair "$third" >"$WORK/repaired" 2>&1; }
wait_until 10 repaired || fail "it cannot be mended: $(<"$WORK/repaired")"
await_agreement 10 1 2 3
change 1002
await_agreement 10 1 2 3
votes() { [ "$(kfs_at 1 peer status --json | jq --arg a "$third" '.peers[] | select(.address == $a) | .votes')" = true ]; }
wait_until 5 votes || fail "it has no vote after it was mended"
kill_role metaserver 2
says '^generation' 3 volume set dev user.mended yes || { cat "$WORK/said-by-kfs"; fail "its vote does not count"; }
start_role metaserver 2
await_agreement 10 1 2 3
[ "$(answers "$MNT")" = ok ]
pass
