# shellcheck shell=bash
# For tests in which a cluster goes over to a new root secret, or to TLS: the files of devcluster's daemons are changed, and the
# daemons started anew, one after the other. Sourced after metaservers_common.sh.

# option ROLE N NAME VALUE: in that daemon's file; an empty VALUE takes it away.
option() {
  local file=$CLUSTER/conf/$1-$2.toml
  grep -v "^$3 = " "$file" >"$file.new" || :
  [ -z "$4" ] || echo "$3 = \"$4\"" >>"$file.new"
  mv "$file.new" "$file"
}
again() { kill_role "$1" "$2" TERM; start_role "$1" "$2"; }   # again ROLE N

# health ALARM: the words and what is next of that finding, a line each; nothing when it is not found.
health() {
  { "$KFS" health --json --metaserver "$(address_of 1)" --secret-file "$CLUSTER/secret" 2>/dev/null || :; } |
    jq -r --arg a "$1" '.findings[] | select(.alarm == $a) | "\(.severity): \(.words) -> \(.next)"'
}
found() { grep -qE "$2" <<<"$(health "$1")"; }           # found ALARM WORDS
not_found() { [ -z "$(health "$1")" ]; }           # not_found ALARM
await_found() { wait_until 20 found "$1" "$2" || { "$KFS" health --metaserver "$(address_of 1)" --secret-file "$CLUSTER/secret"; fail "health does not find $1 with '$2': $(health "$1")"; }; }
await_not_found() { wait_until 20 not_found "$1" || fail "health still finds $1: $(health "$1")"; }

# kfs_by SECRET N COMMAND...: kfs, asking metaserver N by another secret or key.
kfs_by() { "$KFS" "${@:3}" --metaserver "$(address_of "$2")" --secret-file "$1"; }

# The next root secret takes the place of $CLUSTER/secret, which stays as $CLUSTER/secret.old.
make_next_secret() {
  kfs_at 1 key root --after "$CLUSTER/secret" -o "$CLUSTER/secret.next" >"$WORK/said" || fail "no root secret is made"
  cp -p "$CLUSTER/secret" "$CLUSTER/secret.old"
  mv "$CLUSTER/secret.next" "$CLUSTER/secret"
}
# metaserver_goes_over N: the old one's name is set with the new one's, which is in its place by now.
metaserver_goes_over() {
  option metaserver "$1" old-secret-file "$CLUSTER/secret.old"
  again metaserver "$1"
}
# chunkserver_goes_over N: by an invitation of its own.
chunkserver_goes_over() {
  kfs_at 1 chunkserver invite "over-$1" --for "$1" -o "$CLUSTER/chunkserver-$1.key" >"$WORK/said" || { cat "$WORK/said"; fail "no invitation for chunkserver $1"; }
  option chunkserver "$1" secret-file "$CLUSTER/chunkserver-$1.key"
  again chunkserver "$1"
}
forget_old_secret() { option metaserver "$1" old-secret-file ""; again metaserver "$1"; }   # forget_old_secret N
