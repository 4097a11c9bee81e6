#!/bin/bash
# Nothing new is placed on a chunkserver that is cordoned; what it has is read and written. Uncordoned it is used again.
# timeout: 90 long: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --chunkservers 2
chunks() { find "$CLUSTER/chunkserver-$1" -not -path '*/garbage/*' -name '*.data' | wc -l; }
place() { local text; text=$(<"$CLUSTER/run/chunkserver-$1.address") && echo "$text"; }
write() { local n; for n in $(seq 20); do echo "$1 $n" >"$MNT/$1-$n"; done; }

write first
[ "$(chunks 1)" -gt 0 ] && [ "$(chunks 2)" -gt 0 ] || fail "20 files are on one of two chunkservers"
kfs_at 1 chunkserver cordon "$(place 1)" >/dev/null
says cordoned 1 chunkserver list || fail "the list does not show it: $(<"$WORK/said-by-kfs")"
says 'nothing has changed' 1 chunkserver cordon "$(place 1)" || fail "asking for it twice says: $(<"$WORK/said-by-kfs")"
before=$(chunks 1)
write second
[ "$(chunks 1)" = "$before" ] || fail "$(($(chunks 1) - before)) chunks were placed on a chunkserver that is cordoned"
for n in $(seq 20); do
  [ "$(cat "$MNT/first-$n")" = "first $n" ] || fail "what it has cannot be read"
  echo "more" >>"$MNT/first-$n"
done
# Files that are written anew leave it.
for n in $(seq 20); do cp -a "$MNT/first-$n" "$MNT/new" && mv "$MNT/new" "$MNT/first-$n"; done
empty() { [ "$(chunks 1)" = 0 ]; }
wait_until 30 empty || fail "$(chunks 1) chunks are left on it"
removable() { kfs_at 1 chunkserver remove "$(place 1)" --dry-run >/dev/null 2>&1; }
wait_until 20 removable || fail "it cannot be removed: $(kfs_at 1 chunkserver remove "$(place 1)" --dry-run 2>&1)"
for n in $(seq 20); do [ "$(head -1 "$MNT/first-$n")" = "first $n" ] || fail "first-$n is not what it was"; done
kfs_at 1 chunkserver cordon "$(place 2)" >/dev/null
code=0
timeout 10 dd if=/dev/zero of="$MNT/nowhere" bs=1 count=1 2>"$WORK/nowhere" || code=$?
grep -q "No space left" "$WORK/nowhere" || fail "with all chunkservers cordoned a write ends with $code: $(<"$WORK/nowhere")"
for n in 1 2; do kfs_at 1 chunkserver uncordon "$(place $n)" >/dev/null; done
write third
[ "$(chunks 1)" -gt 0 ] || fail "it is not used again"

# With one metaserver, too, both answers of a removal come at once.
soon() {  # soon WHAT SINCE
  [ $((SECONDS - $2)) -lt 8 ] || fail "$1 takes $((SECONDS - $2)) s"
}
holds() { ! kfs_at 1 chunkserver remove "$(place 1)" --dry-run >"$WORK/said-by-kfs" 2>&1 && grep -q 'would be lost' "$WORK/said-by-kfs"; }
wait_until 10 holds || fail "one that holds chunks can be removed: $(<"$WORK/said-by-kfs")"
began=$SECONDS
refused 'would be lost' 1 chunkserver remove "$(place 1)"
soon "the refusal of a removal" $began
kill_role chunkserver 2
down() { kfs_at 1 chunkserver list --json | jq -e --arg a "$(place 2)" '.[] | select(.address == $a) | .up == false' >/dev/null; }
wait_until 15 down || fail "a chunkserver that was killed counts as up"
began=$SECONDS
kfs_at 1 chunkserver remove "$(place 2)" --lost --yes >/dev/null || fail "one that is gone cannot be given up"
soon "a removal" $began
pass
