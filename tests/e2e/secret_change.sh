#!/bin/bash
# timeout: 240 long: 240
# A cluster goes over to a new root secret while it is mounted and written to, one metaserver after the other; 'kfs health' shows each
# step. Meanwhile the old secret opens mounts, and nothing else: it does not administer, no new chunkserver comes in by it, and neither
# does one that has gone over. Taken away, it ends what was mounted with it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
. "$(dirname "$0")/secret_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 1 --option soft --option timeo=150
await_agreement 20 1 2 3
not_found secret.old && not_found links.plain || fail "a new cluster is not well: $(kfs_at 1 health)"
must_succeed() { "$@" >"$WORK/said" 2>&1 || { cat "$WORK/said"; fail "failed: $*"; }; }
# refused_by WORDS SECRET COMMAND...: metaserver 1 refuses it, and says WORDS.
refused_by() {
  ! kfs_by "$2" 1 "${@:3}" >"$WORK/said" 2>&1 || fail "$2 may: ${*:3}"
  grep -qE "$1" "$WORK/said" || { cat "$WORK/said"; fail "'${*:3}' by $2 does not say '$1'"; }
}
# mount_by NAME SECRET [OPTIONS]
mount_by() {
  mkdir -p "$WORK/$1"
  "$KFS" mount -f "$(address_of 1):/dev" "$WORK/$1" -o "secretfile=$2,soft,timeo=150${3:+,$3}" >"$CLUSTER/log/$1.log" 2>&1 7>&- &
  wait_until 20 mounted "$WORK/$1" && wait_until 20 usable "$WORK/$1" || { cat "$CLUSTER/log/$1.log"; fail "it cannot be mounted with $2"; }
}
kfs_at 1 key create laptop --volume dev -o "$WORK/laptop.key" >/dev/null
kfs_at 1 key create ops --admin -o "$WORK/ops.key" >/dev/null
kfs_at 1 chunkserver invite early -o "$WORK/early.key" >/dev/null
mount_by laptop "$WORK/laptop.key" socketdir=
dd if=/dev/urandom of="$WORK/data" bs=1M count=6 status=none
cp "$WORK/data" "$MNT/data"
sync "$MNT/data"
mkdir "$MNT/w"
start_writer one "$MNT/w"
exec 8<>"$MNT/held"
echo held >&8

# ---- the metaservers go over, one after the other

make_next_secret
[ "$(stat -c %a "$CLUSTER/secret")" = 600 ] || fail "the new secret is open to others"
! grep -q "$(<"$CLUSTER/secret.old")" "$CLUSTER/secret" || fail "it is the old one"
metaserver_goes_over 1
await_progress one 30
# Two generations of members: a majority has to be found, and changes are made.
kfs_by "$CLUSTER/secret" 1 key create between --volume dev -o "$WORK/between.key" >"$WORK/said" 2>&1 || { cat "$WORK/said"; fail "no change can be made while members go over"; }
grep -q '^id = mount/between/.*/2$' "$WORK/between.key" || fail "a key of the new secret does not say so: $(grep id "$WORK/between.key")"
refused_by 'opens mounts only' "$CLUSTER/secret.old" status
found secret.old 'metaservers? ' || fail "health does not say who has to go over: $(health secret.old)"
for n in 2 3; do metaserver_goes_over $n; await_progress one 30; done
await_agreement 30 1 2 3
echo again >&8 || fail "a file that is open is not open any more"

# ---- what the old secret opens meanwhile

await_found secret.old "chunkserver 1 .*mounts .*kfs chunkserver invite"
mount_by late "$CLUSTER/secret.old" socketdir=
cmp "$WORK/late/data" "$WORK/data" || fail "a mount by the old secret reads something else"
cmp "$WORK/laptop/data" "$WORK/data" || fail "a mount by an old key reads something else"
refused_by 'opens mounts only' "$CLUSTER/secret.old" status
refused_by 'opens mounts only' "$CLUSTER/secret.old" key list
refused_by 'opens nothing any more' "$WORK/ops.key" status
refused_by 'kfs key export ops' "$WORK/ops.key" status
must_succeed kfs_by "$CLUSTER/secret" 1 key export ops -o "$WORK/ops.2.key"
must_succeed kfs_by "$WORK/ops.2.key" 1 status
refused_server() {  # refused_server WORDS SECRET: no chunkserver by it
  local stranger
  mkdir -p "$WORK/stranger"
  : >"$WORK/stranger.log"
  "$(built kfs-chunkserver)" --set data-dirs="$WORK/stranger" --set secret-file="$2" --set metaservers="$(address_of 1)" --set listen=127.0.0.1:0 >"$WORK/stranger.log" 2>&1 7>&- &
  stranger=$!
  wait_until 20 grep -qE "$1" "$WORK/stranger.log" || { cat "$WORK/stranger.log"; fail "a chunkserver by $2 is not told '$1'"; }
  kill "$stranger" 2>/dev/null || :
  wait "$stranger" || :
}
refused_server 'needs a new invitation' "$CLUSTER/secret.old"
refused_server 'needs a new invitation' "$WORK/early.key"

# ---- the chunkserver goes over

chunkserver_goes_over 1
await_progress one 60
echo 3 >/proc/sys/vm/drop_caches
for m in "$MNT" "$WORK/laptop" "$WORK/late"; do cmp "$m/data" "$WORK/data" || fail "$m does not read from the chunkserver that has gone over"; done
grep -q '^id = chunkserver/.*/2$' "$CLUSTER/chunkserver-1/kfs-disk.key" || fail "its key is not of the new secret"
await_found secret.old 'used by mounts .*mount them anew'
option chunkserver 1 secret-file "$CLUSTER/secret.old"
kill_role chunkserver 1 TERM
"$DEVCLUSTER" start --dir "$CLUSTER" chunkserver 1 >"$WORK/said" 2>&1 &
STARTING=$!
wait_until 30 grep -q 'has gone over to the root secret root/2' "$CLUSTER/log/chunkserver-1.log" || fail "one that has gone over comes by the old secret again"
kill $STARTING
wait $STARTING || :
kill_role chunkserver 1 TERM
option chunkserver 1 secret-file "$CLUSTER/chunkserver-1.key"
start_role chunkserver 1
await_progress one 60

# ---- mounts go over, the old secret ends

must_succeed kfs_by "$CLUSTER/secret" 1 key export laptop -o "$WORK/laptop.2.key"
mount_by over "$WORK/laptop.2.key"
exec 8>&-
stop_writer one "$MNT/w"
for n in 1 2 3; do forget_old_secret $n; done
await_agreement 30 1 2 3
await_not_found secret.old
ended() { ! timeout 30 ls "$1/w" >/dev/null 2>&1; }
for m in "$MNT" "$WORK/laptop" "$WORK/late"; do wait_until 60 ended "$m" || fail "$m goes on after the old secret has ended"; done
cmp "$WORK/over/data" "$WORK/data" || fail "a mount by a new key does not go on"
[ "$(ls "$WORK/over/w" | wc -l)" -gt 0 ] || fail "what was written is not there"
refused_by 'accepted no more' "$CLUSTER/secret.old" status
mkdir "$WORK/never"
! timeout 30 "$KFS" mount -f "$(address_of 1):/dev" "$WORK/never" -o "secretfile=$CLUSTER/secret.old,soft,timeo=50" >"$WORK/said" 2>&1 || fail "the old secret mounts"
grep -q 'accepted no more' "$WORK/said" || { cat "$WORK/said"; fail "it is not said that the old secret is accepted no more"; }
for m in "$MNT" "$WORK/laptop" "$WORK/late"; do umount -l "$m"; done
pass
