#!/bin/bash
# timeout: 150 long: 150
# Keys: what is mounted with one sees and does what the key allows, by TLS and by Unix sockets; a key for administration mounts
# nothing, one for mounts administers nothing; a revoked one opens nothing, and ends what was mounted with it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
start_cluster --chunkservers 1
mkdir -p "$MNT/projects/apollo"
echo inside >"$MNT/projects/file"
echo outside >"$MNT/outside"
chmod 600 "$MNT/projects/file"

key() {  # key NAME OPTION...
  kfs_at 1 key create "$@" -o "$WORK/$1.key" >"$WORK/said" 2>&1 || { cat "$WORK/said"; fail "no key $1 is made"; }
  [ "$(stat -c %a "$WORK/$1.key")" = 600 ] || fail "the file of a key is open to others"
}
# with_key NAME DIRECTORY [OPTIONS]
with_key() {
  mkdir -p "$WORK/$2"
  "$KFS" mount -f "$(address_of 1):/dev" "$WORK/$2" -o "secretfile=$WORK/$1.key,soft,timeo=50${3:+,$3}" >"$CLUSTER/log/$2.log" 2>&1 7>&- &
  MOUNTED=$!
  wait_until 20 mounted "$WORK/$2" && wait_until 20 usable "$WORK/$2" || { cat "$CLUSTER/log/$2.log"; fail "it cannot be mounted with $1"; }
}
not_with_key() {  # not_with_key WORDS NAME
  local code=0
  mkdir -p "$WORK/refused-$2"
  timeout 30 "$KFS" mount -f "$(address_of 1):/dev" "$WORK/refused-$2" -o "secretfile=$WORK/$2.key" >"$WORK/said" 2>&1 || code=$?
  [ $code != 0 ] && [ $code != 124 ] || fail "it can be mounted with $2"
  grep -qE "$1" "$WORK/said" || { cat "$WORK/said"; fail "the mount with $2 does not say '$1'"; }
  if ! grep -q 'kfs key create NAME --volume dev' "$WORK/said" || grep -q 'secret-file names' "$WORK/said"; then
    cat "$WORK/said"
    fail "who has a key is sent for the root secret, or not told how to have another one"
  fi
}

# ---- a directory, by both kinds of links

key team --volume dev --path /projects
for links in unix tcp; do
  option=
  [ $links = unix ] || option=socketdir=
  with_key team "team-$links" $option
  m=$WORK/team-$links
  [ "$(cat "$m/file")" = inside ] || fail "$links: a file below is not what it is"
  [ ! -e "$m/outside" ] && [ ! -e "$m/../outside" ] || fail "$links: it sees what is beside its directory"
  dd if=/dev/urandom of="$m/data-$links" bs=1M count=5 status=none
  sync "$m/data-$links"
  cmp "$m/data-$links" "$MNT/projects/data-$links" || fail "$links: data written with a key is not what is read with the secret"
done
[ "$(kfs_at 1 status --json | jq -r '[.sessions[].key] | map(select(. != "")) | unique | .[0]')" = "$(sed -n 's/^id = //p' "$WORK/team.key")" ] ||
  fail "status does not say with which key: $(kfs_at 1 status --json | jq -c .sessions)"

# ---- less than all rights

key reader --volume dev --read-only
with_key reader reader
[ "$(<"$WORK/reader/outside")" = outside ] || fail "a reader cannot read"
for change in "touch $WORK/reader/new" "rm $WORK/reader/outside" "chmod 777 $WORK/reader/outside" "truncate -s 0 $WORK/reader/outside"; do
  ! said=$($change 2>&1) || fail "a reader may: $change"
  grep -q 'Read-only file system' <<<"$said" || fail "$change: $said"
done
key squashed --volume dev --squash root=4711:4711
with_key squashed squashed
! cat "$WORK/squashed/projects/file" >/dev/null 2>&1 || fail "root of a squashed mount reads what is root's"
mkdir -m 777 "$MNT/all"
touch "$WORK/squashed/all/mine"
[ "$(stat -c %u:%g "$MNT/all/mine")" = 4711:4711 ] || fail "what a squashed root makes is $(stat -c %u:%g "$MNT/all/mine")'s"

# ---- who may what

key ops --admin
"$KFS" status --metaserver "$(address_of 1)" --secret-file "$WORK/ops.key" >/dev/null || fail "an administrator's key does not administer"
not_with_key 'kfs command' ops
code=0
"$KFS" status --metaserver "$(address_of 1)" --secret-file "$WORK/team.key" >"$WORK/said" 2>&1 || code=$?
[ $code != 0 ] && grep -q 'for mounts' "$WORK/said" || { cat "$WORK/said"; fail "a mount's key administers"; }
grep -q 'kfs key create NAME --admin' "$WORK/said" || { cat "$WORK/said"; fail "whoever would administer with a mount's key is not told what to do"; }
key far --volume dev --from 192.0.2.0/24
not_with_key 'may not be used from' far
kfs_at 1 volume create other >/dev/null
mkdir -p "$WORK/refused"
! timeout 30 "$KFS" mount -f "$(address_of 1):/other" "$WORK/refused" -o "secretfile=$WORK/team.key" >"$WORK/said" 2>&1 || fail "a key opens another volume"
kfs_at 1 key list --json | jq -e '[.[].name] | sort == ["far", "ops", "reader", "squashed", "team"]' >/dev/null || fail "the list: $(kfs_at 1 key list)"

kfs_at 1 key export reader >"$WORK/again.key"
cmp "$WORK/again.key" "$WORK/reader.key" || fail "a key that is exported is not the one that was made"
code=0
kfs_at 1 key export none >"$WORK/said" 2>&1 || code=$?
[ $code != 0 ] && grep -q 'there is no key "none"' "$WORK/said" || { cat "$WORK/said"; fail "the key of nobody is exported"; }

# ---- revoked

exec 8>"$WORK/team-tcp/held"
kfs_at 1 key revoke team >/dev/null
ended() { ! timeout 10 cat "$WORK/team-tcp/file" >/dev/null 2>&1; }
wait_until 10 ended || fail "a revoked key still reads"
! (echo late >&8) 2>/dev/null || ! sync "$WORK/team-tcp/held" 2>/dev/null || fail "a revoked key still writes"
exec 8>&-
not_with_key 'revoked' team
[ "$(<"$WORK/reader/outside")" = outside ] || fail "another key was ended, too"
kill_role metaserver 1
start_role metaserver 1
wait_until 20 usable "$WORK/reader" || fail "a mount with a key does not outlive a restart of the metaserver"
[ "$(<"$WORK/reader/outside")" = outside ] || fail "a reader cannot read after a restart"
not_with_key 'revoked' team
pass
