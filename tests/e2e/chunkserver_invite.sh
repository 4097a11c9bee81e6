#!/bin/bash
# timeout: 150 long: 150
# A chunkserver joins by an invitation, once (and can be stopped while it waits to): it gets a key of its own, never has the cluster's
# secret, and serves mounts that have the secret, and mounts that have a key. Somebody else finds nothing in the invitation
# afterwards, nor in another role; a chunkserver that was removed comes back by a new one only, and one that has the secret goes over
# to a key.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --metaservers 3 --chunkservers 1
all=$(address_of 1),$(address_of 2),$(address_of 3)
host=$(address_of 1)
host=${host%:*}
await_agreement 20 1 2 3

invite() { kfs_at 2 chunkserver invite "$1" -o "$WORK/$1.key" "${@:2}" >"$WORK/said" 2>&1 || { cat "$WORK/said"; fail "no invitation is made"; }; }
declare -A SERVER
# serve NAME KEYFILE: a chunkserver on $WORK/NAME.
serve() {
  mkdir -p "$WORK/$1"
  "$(built kfs-chunkserver)" --set data-dirs="$WORK/$1" --set secret-file="$2" --set listen="$host:0" --set metaservers="$all" \
    --set address-file="$WORK/$1.address" >>"$CLUSTER/log/$1.log" 2>&1 7>&- &
  SERVER[$1]=$!
}
registered() {  # with every metaserver
  local n
  wait_until 30 test -s "$WORK/$1.address" || fail "$1 does not start: $(tail -3 "$CLUSTER/log/$1.log")"
  for n in 1 2 3; do
    kfs_at $n status --wait "$(<"$WORK/$1.address")" --timeout 30 >/dev/null || fail "$1 is not registered with metaserver $n: $(tail -3 "$CLUSTER/log/$1.log")"
  done
}
stop() {  # stop NAME [SIGNAL]
  kill "-${2:-TERM}" "${SERVER[$1]}"
  wait_until 20 dead "${SERVER[$1]}" || fail "$1 does not end"
  rm -f "$WORK/$1.address"
}
# ends WORDS NAME KEYFILE: a chunkserver that does not come up, and says why.
ends() {
  local code=0
  mkdir -p "$WORK/$2"
  timeout 90 "$(built kfs-chunkserver)" --set data-dirs="$WORK/$2" --set secret-file="$3" --set listen="$host:0" --set metaservers="$all" \
    >"$WORK/said" 2>&1 || code=$?
  [ $code != 0 ] && [ $code != 124 ] || fail "$2 runs with $3"
  grep -qE "$1" "$WORK/said" || { cat "$WORK/said"; fail "$2 with $3 does not say '$1'"; }
}
uuid_of() { sed -n 's/.* ready .*uuid=\([0-9a-f-]*\).*/\1/p' "$CLUSTER/log/$1.log" | tail -1; }
number_of() { kfs_at 1 chunkserver list --json | jq -r --arg u "$(uuid_of "$1")" '.[] | select(.uuid == $u) | .id'; }

# ---- it joins, while a metaserver is down

invite guest
[ "$(stat -c %a "$WORK/guest.key")" = 600 ] || fail "the invitation is open to others"
says 'guest .*one chunkserver joins' 1 key list || fail "the invitation is not listed"
kill_role metaserver 1
kill_role metaserver 2
kill_role metaserver 3
serve guest "$WORK/guest.key"
wait_until 20 grep -q 'join.waits' "$CLUSTER/log/guest.log" || fail "it does not say what it waits for"
kill -TERM "${SERVER[guest]}"
wait_until 10 dead "${SERVER[guest]}" || fail "it cannot be stopped while it waits to join"
wait "${SERVER[guest]}" || fail "stopped while it waited to join it ended with $?"
start_role metaserver 2
start_role metaserver 3
await_agreement 20 2 3
serve guest "$WORK/guest.key"
wait_until 40 test -s "$WORK/guest.address" || fail "it does not join: $(tail -3 "$CLUSTER/log/guest.log")"
start_role metaserver 1
await_agreement 20 1 2 3
registered guest
! kfs_at 1 key list | grep -q guest || fail "the invitation is not used up"
[ "$(stat -c %a "$WORK/guest/kfs-disk.key")" = 600 ] || fail "its key is open to others"
! grep -rqsF "$(<"$CLUSTER/secret")" "$WORK/guest" || fail "it has the cluster's secret"

# ---- data on it, for a mount with the secret and for one with a key

kfs_at 1 chunkserver cordon 1 >/dev/null
on_guest() { find "$WORK/guest" -path '*/v*' -type f | grep -q .; }
dd if=/dev/urandom of="$MNT/data" bs=1M count=8 status=none
sync "$MNT/data"
on_guest || fail "nothing was written to it"
kfs_at 1 key create reader --volume dev --read-only -o "$WORK/reader.key" >/dev/null
mkdir "$WORK/reader"
"$KFS" mount -f "$(address_of 1):/dev" "$WORK/reader" -o "secretfile=$WORK/reader.key" >"$CLUSTER/log/reader.log" 2>&1 7>&- &
wait_until 20 mounted "$WORK/reader" && wait_until 20 usable "$WORK/reader" || fail "it cannot be mounted with a key"
cmp "$WORK/reader/data" "$MNT/data" || fail "a mount with a key reads something else"

# ---- the key stays; the invitation opens nothing more

stop guest KILL
serve guest "$WORK/guest.key"
registered guest
echo 3 >/proc/sys/vm/drop_caches
cmp "$WORK/reader/data" "$MNT/data" || fail "the data is not what it was after a restart"
ends 'used up|not known|revoked' stranger "$WORK/guest.key"
! "$KFS" status --metaserver "$(address_of 1)" --secret-file "$WORK/guest.key" >"$WORK/said" 2>&1 || fail "an invitation administers"
ends 'is for|not for chunkservers' stranger "$WORK/reader.key"
invite over --expires 2s
over() { kfs_at 1 key list --json | jq -e '.[] | select(.name == "over") | .expired' >/dev/null; }
wait_until 10 over || fail "an invitation does not end"
ends '(expired|over).*kfs chunkserver invite' stranger "$WORK/over.key"
must_fail kfs_at 1 chunkserver invite forever --expires 1000d -o "$WORK/forever.key"
[ ! -e "$WORK/forever.key" ] || fail "a refused invitation leaves a file"

# ---- the disks of one are no help to another

invite second
mkdir "$WORK/second"
serve second "$WORK/second.key"
registered second
stop second
cp "$WORK/guest/kfs-disk.key" "$WORK/second/kfs-disk.key"
ends 'key of another chunkserver' second "$WORK/guest.key"

# ---- removed, it comes back by another invitation only

invite third
serve third "$WORK/third.key"
registered third
number=$(number_of third)
stop third
kfs_at 1 chunkserver remove "$number" >/dev/null || kfs_at 1 chunkserver remove "$number" --lost --yes >/dev/null || fail "it cannot be removed"
serve third "$WORK/third.key"
refused_here() { grep -q 'not of this cluster, or was removed' "$CLUSTER/log/third.log"; }
wait_until 20 refused_here || fail "a removed one is not refused: $(tail -3 "$CLUSTER/log/third.log")"
stop third
invite fourth
serve third "$WORK/fourth.key"
registered third
stop third

# ---- one that has the secret goes over to a key of its own

invite plain
invite over-to-key --for 1
kill_role chunkserver 1 TERM
cp -a "$CLUSTER/chunkserver-1" "$WORK/taken"
ends 'NAME --for 1' taken "$WORK/plain.key"
sed -i "s#^secret-file.*#secret-file = \"$WORK/over-to-key.key\"#" "$CLUSTER/conf/chunkserver-1.toml"
start_role chunkserver 1
[ -s "$CLUSTER/chunkserver-1/kfs-disk.key" ] || fail "it has no key of its own"
kfs_at 1 chunkserver uncordon 1 >/dev/null
kfs_at 1 status --wait "$(<"$CLUSTER/run/chunkserver-1.address")" --timeout 30 >/dev/null || fail "it does not register with its own key"
dd if=/dev/urandom of="$MNT/more" bs=1M count=8 status=none
sync "$MNT/more"
cmp "$MNT/more" "$WORK/reader/more" || fail "what was written afterwards is not what is read"
# (Its invitation is used up, and was for nobody else.)
ends 'used up|not known|revoked' stranger "$WORK/over-to-key.key"
unmount "$WORK/reader"
stop guest
pass
