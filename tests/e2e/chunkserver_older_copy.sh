#!/bin/bash
# A chunkserver that is started on an older copy of its data directory is not used, however often it is started: it says why and ends,
# `kfs health` says so with both ways out, and no reader gets old data. With the right directory everything is as it was. A copy that was
# made while it ran is known, too, and one that is all there is can be gone on with.
# timeout: 120 long: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --chunkservers 1
dir=$CLUSTER/chunkserver-1
sockets() { find /run/kfs -type s -name "*-$(place)"; }
place() { local text; text=$(<"$CLUSTER/run/chunkserver-1.address") && echo "$text"; }
write() { printf '%s' "$1" | dd of="$MNT/pre" conv=notrunc,fsync status=none; }
healthy() { ! { kfs_at 1 health --json 2>/dev/null || :; } | grep -q chunkserver.older_copy; }
put() {  # put COPY: in place of what is there, which is printed
  kill_role chunkserver 1 TERM
  mv "$dir" "$WORK/right"
  cp -a "$1" "$dir"
}
put_right_back() { rm -rf "$dir"; mv "$WORK/right" "$dir"; start_role chunkserver 1; }
refused_start() {
  local code=0
  timeout 30 "$(built kfs-chunkserver)" --config "$CLUSTER/conf/chunkserver-1.toml" >"$WORK/copy.log" 2>&1 || code=$?
  [ $code = 3 ] || fail "started on an older copy it ends with exit code $code: $(tail -3 "$WORK/copy.log")"
  grep -q 'chunkserver.older_copy .*put the right data directory back.*accept-older-copy=' "$WORK/copy.log" || fail "it does not say why: $(tail -3 "$WORK/copy.log")"
}

write old
kill_role chunkserver 1 TERM
cp -a "$dir" "$WORK/older"
start_role chunkserver 1
kfs_at 1 status --wait "$(place)" --timeout 30 >/dev/null || fail "it is not registered again"
write new
[ -n "$(sockets)" ] || fail "it has no socket while it runs"

# ---- refused, each time it is started

put "$WORK/older"
for _ in 1 2 3; do refused_start; done
[ -z "$(sockets)" ] || fail "it leaves its socket behind: $(sockets)"
[ -e "$dir/kfs-disk.age" ] || fail "there is no age on the disk"
kfs_at 1 health --json >"$WORK/health" || :
grep -q chunkserver.older_copy "$WORK/health" || fail "kfs health does not say so: $(<"$WORK/health")"
grep -q accept-older-copy= "$WORK/health" || fail "kfs health does not tell the way out: $(<"$WORK/health")"
kill_role metaserver 1
start_role metaserver 1
refused_start
put_right_back
[ "$(timeout 30 cat "$MNT/pre")" = new ] || fail "with the right directory it reads $(cat "$MNT/pre")"
wait_until 10 healthy || fail "kfs health still speaks of an older copy"

# ---- a copy made while it ran

cp -a "$dir" "$WORK/live"
write yet
age() { sed -n 's/^age=//p' "$1/kfs-disk.age"; }
# The age of the copy's next start has been shown: heartbeats are more frequent than ages.
older() { [ "$(age "$dir")" -gt "$(($(age "$WORK/live") + 1))" ]; }
n=0
until older; do n=$((n + 1)); [ $n -lt 60 ] || fail "its age does not rise while it is written to"; write yet; sleep 0.5; done
put "$WORK/live"
refused_start

# ---- the copy is all there is

age=$(grep -o 'accept-older-copy=[0-9]*' "$WORK/copy.log" | tail -1 | cut -d= -f2)
echo "accept-older-copy = $age" >>"$CLUSTER/conf/chunkserver-1.toml"
start_role chunkserver 1
kfs_at 1 status --wait "$(place)" --timeout 30 >/dev/null || fail "the copy is not taken: $(tail -3 "$CLUSTER/log/chunkserver-1.log")"
wait_until 10 healthy || fail "kfs health speaks of a copy that was accepted"
direct() { timeout 30 dd if="$MNT/pre" iflag=direct bs=4096 status=none; }
[ "$(direct)" = new ] || fail "the copy reads $(direct)"
kill_role chunkserver 1 TERM
start_role chunkserver 1   # the option is still there
kfs_at 1 status --wait "$(place)" --timeout 30 >/dev/null || fail "it is not taken a second time"
# What was right is older now.
kill_role chunkserver 1 TERM
rm -rf "$dir"
mv "$WORK/right" "$dir"
refused_start
grep -q 'another copy of it was accepted on .*this one has data which the accepted one has not' "$WORK/copy.log" || fail "it does not say which has what: $(tail -3 "$WORK/copy.log")"
{ kfs_at 1 health --json || :; } | jq -e '.findings[] | select(.alarm == "chunkserver.older_copy" and (.words | test("another copy of it was accepted")))' >/dev/null || fail "kfs health does not say so"
pass
