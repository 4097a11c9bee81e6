#!/bin/bash
# A command walks the states of the protocol, and 'kfs cluster transitions' shows them: a read and a change on a healthy cluster
# go straight through.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3
await_agreement 20 1 2 3
straight='Default, Lock sent, Stage op sent, Brick op sent, Commit op sent, Unlock sent, Default'
# The states that transaction ID of metaserver 2 went through, without those where it stayed.
states() {
  kfs_at 2 cluster transitions "$1" | sed -n "s/.*Transitioning from '\(.*\)' to '\(.*\)' due to event '.*'$/\1|\2/p" |
    awk -F'|' 'NR == 1 {printf "%s", $1} $1 != $2 {printf ", %s", $2} NR > 1 && $1 != last {printf " (gap)"} {last = $2}'
}
transaction=$(kfs_at 2 volume status --json | jq -r .transaction)
walked=$(states "$transaction")
[ "$walked" = "$straight" ] || fail "volume status walked: $walked"
kfs_at 2 volume set dev atime off
transaction=$(kfs_at 2 cluster log --json | jq -r '.[0].transaction')
walked=$(states "$transaction")
[ "$walked" = "$straight" ] || fail "volume set walked: $walked"
# A refusal by the members is seen, too, and changes nothing.
before=$(standing 2)
refused 'started: stop it first' 2 volume delete dev --yes
[ "$(standing 2)" = "$before" ] || fail "a refused change changed something"
[ "$(kfs_at 2 cluster transactions --json | jq -r '.[0].outcome')" != 'done' ] || fail "the refused change is listed as done"
pass
