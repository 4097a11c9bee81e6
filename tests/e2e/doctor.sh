#!/bin/bash
# timeout: 120
# What kfs doctor says on a machine with mounts: of a mount that is well, one with an option that costs, one whose process is stopped or
# dead; of servers, with the mount's own key and no other word on the command line; and that what hangs costs a few seconds.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
unset KFS_METASERVER KFS_SECRET_FILE KFS_TLS
start_cluster --chunkservers 2
second_mount --option mount.sync
source=$(awk -v m="$MNT" '$2 == m {print $1}' /proc/self/mounts)

# doctor ARGUMENT...: its JSON is in $WORK/doctor, its exit code in $code.
doctor() {
  local began=$SECONDS
  code=0
  "$KFS" doctor "$@" --json >"$WORK/doctor" 2>"$WORK/err" || code=$?
  [ $((SECONDS - began)) -le 15 ] || fail "kfs doctor $* takes $((SECONDS - began)) s"
  [ "$code" = "$(jq .exit_code "$WORK/doctor")" ] || { cat "$WORK/doctor" "$WORK/err"; fail "kfs doctor $* exits with $code"; }
}
# finds SEVERITY SUBJECT WORDS: a finding whose subject begins so and whose words match.
finds() {
  jq -e --arg v "$1" --arg s "$2" --arg w "$3" '.findings[] | select(.severity == $v and (.subject | startswith($s)) and (.words | test($w)))' "$WORK/doctor" >/dev/null ||
    { cat "$WORK/doctor"; fail "no $1 of $2: $3"; }
}
none() {  # none SEVERITY SUBJECT
  ! jq -e --arg v "$1" --arg s "$2" '.findings[] | select(.severity == $v and (.subject | startswith($s)))' "$WORK/doctor" >/dev/null ||
    { cat "$WORK/doctor"; fail "a $1 of $2"; }
}

# The metaserver, the volume and the key are the mount's.
doctor "$MNT"
finds ok "mount $MNT" 'answers'
finds ok "metaserver $(address_of 1)" 'medians of 3'
finds ok "volume " 'is started'
finds ok "/dev/fuse" 'can be opened'
[ "$(jq '[.findings[] | select(.check == "reach" and .severity == "ok" and (.subject | startswith("chunkserver ")))] | length' "$WORK/doctor")" = 2 ] || { cat "$WORK/doctor"; fail "not both chunkservers are reached"; }
none warning "mount $MNT"
doctor "$MNT2"
finds warning "mount $MNT2" 'sync'
[ "$code" -ge 1 ] || fail "a warning is no exit code"
"$KFS" doctor "$MNT" >"$WORK/out" || :
grep -qx "ok        mount $MNT: of $source answers" "$WORK/out" || { cat "$WORK/out"; fail "the lines for people"; }

# By a mount's key: what administrators may ask is not known, and that is no warning.
kfs_at 1 key create doctors --volume "${source##*:/}" -o "$WORK/key" >/dev/null
doctor "$source" --secret-file "$WORK/key"
finds ok "volume " 'is started'
finds note "chunkservers" 'cannot tell: a mount.s key'
none critical ""

# A chunkserver that hangs, and a mount that does.
kill_role chunkserver 2 STOP
doctor "$MNT"
[ "$code" = 2 ] || { cat "$WORK/doctor"; fail "a chunkserver that hangs: exit code $code"; }
finds critical "chunkserver " 'does not answer within'
finds ok "chunkserver " 'medians of 3'
kill_role chunkserver 2 CONT
kill_role mount 1 STOP
doctor "$MNT" --metaserver "$(address_of 1)" --secret-file "$CLUSTER/secret"
finds warning "mount $MNT" 'does not answer within a second'
kill_role mount 1 CONT

kill_role mount 2 KILL
doctor "$MNT2" --secret-file "$CLUSTER/secret"
finds critical "mount $MNT2" 'its process has died'
umount -l "$MNT2"
code=0
"$KFS" doctor "$MNT2" >"$WORK/out" 2>&1 || code=$?
[ $code = 4 ] || { cat "$WORK/out"; fail "where nothing is mounted: exit code $code"; }

kill_role metaserver 1
doctor "$source" --secret-file "$CLUSTER/secret"
[ "$code" = 2 ] || fail "no metaserver: exit code $code"
finds critical "metaserver " 'is not reached'
start_role metaserver 1
wait_until 20 ls "$MNT" >/dev/null || fail "the mount does not go on"
pass
