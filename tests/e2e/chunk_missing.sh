#!/bin/bash
# A chunk that its chunkserver does not have any more: reading it is EIO, the logs and `kfs health` say which, until it is back, or nothing
# names it.
# timeout: 90 long: 90
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --chunkservers 1
dir=$CLUSTER/chunkserver-1
direct() { timeout 30 dd if="$MNT/$1" iflag=direct bs=4096 status=none; }
finding() { { kfs_at 1 health --json 2>/dev/null || :; } | jq -e '.findings[] | select(.alarm == "chunk.missing")' >"$WORK/finding"; }
no_finding() { ! finding; }
lose() {
  kill_role chunkserver 1 TERM
  mv "$dir/v1" "$WORK/v1"
  start_role chunkserver 1
  kfs_at 1 status --wait "$(<"$CLUSTER/run/chunkserver-1.address")" --timeout 30 >/dev/null
}
for f in a b; do echo "$f" >"$MNT/$f"; sync "$MNT/$f"; done
echo never >"$MNT/c"; rm "$MNT/c"

lose
no_finding || fail "there is a finding before anybody has asked"
if direct a >"$WORK/read" 2>&1; then fail "a chunk that is not there is read: $(<"$WORK/read")"; fi
grep -q 'Input/output error' "$WORK/read" || fail "not EIO: $(<"$WORK/read")"
wait_until 15 finding || fail "kfs health does not say so"
grep -q "inode $(stat -c %i "$MNT/a")" "$WORK/finding" || fail "it does not name the inode: $(<"$WORK/finding")"
grep -q 'names 1 chunk that' "$WORK/finding" || fail "it does not count: $(<"$WORK/finding")"
grep -q "chunk.missing volume=dev server=1 .*ino=$(stat -c %i "$MNT/a") " "$CLUSTER/log/metaserver-1.log" || fail "the metaserver's log does not say so"
grep -q 'chunk.not_here chunk=v1/' "$CLUSTER/log/chunkserver-1.log" || fail "the chunkserver's log does not say so"
direct b >"$WORK/read" 2>&1 || :
two() { finding && grep -q 'names 2 chunks' "$WORK/finding"; }
wait_until 15 two || fail "the second is not counted: $(<"$WORK/finding")"

# ---- back

kill_role chunkserver 1 TERM
rm -rf "$dir/v1"
mv "$WORK/v1" "$dir/v1"
start_role chunkserver 1
wait_until 30 no_finding || fail "there is a finding with all chunks in their place: $(<"$WORK/finding")"
for f in a b; do [ "$(direct $f)" = $f ] || fail "$f is not what it was"; done

# ---- given up

lose
direct a >"$WORK/read" 2>&1 || :
wait_until 15 finding || fail "kfs health does not say so a second time"
# A change puts no zeros in its place.
timeout 30 truncate -s 1 "$MNT/b" || fail "a truncation does not end"
if direct b >"$WORK/read" 2>&1; then fail "a chunk that is not there is read after a truncation: $(od -c "$WORK/read")"; fi
rm "$MNT/a" "$MNT/b"
wait_until 60 no_finding || fail "nothing names it, and there is a finding: $(<"$WORK/finding")"
pass
