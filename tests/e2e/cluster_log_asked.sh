#!/bin/bash
# timeout: 90 long: 90
# The cluster's log says who asked for a change: the user and host that the tool tells, and the key that was used, which nobody can
# claim. Whatever somebody types or is called, it stays one line and passes for nothing else.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 2 --chunkservers 1
await_agreement 20 1 2
newest() { kfs_at "$1" cluster log --json -n 1 | jq -r ".[0].$2"; }
me=$(id -un)@$(uname -n)

kfs_at 1 cluster set user.a 1 >/dev/null
for n in 1 2; do
  wait_until 10 [ "$(newest $n command)" = "cluster set user.a 1" ] || fail "the log of metaserver $n: $(kfs_at $n cluster log -n 1)"
  [ "$(newest $n asked_by)" = "$me" ] || fail "metaserver $n says that it was asked by $(newest $n asked_by), not $me"
  [ "$(newest $n asked_key)" = "" ] || fail "with the root secret a key is named: $(newest $n asked_key)"
done
kfs_at 2 cluster log -n 1 | grep -q "^generation .* asked of .* by $me$" || fail "the text: $(kfs_at 2 cluster log -n 1)"
kfs_at 1 cluster transactions --json | jq -e --arg me "$me" '.[] | select(.command == "cluster set user.a 1" and .asked_by == $me)' >/dev/null || fail "the transactions do not say who asked"

# With a key of an administrator.
kfs_at 1 key create ops --admin -o "$WORK/ops.key" >/dev/null
with_key() { "$KFS" "$@" --metaserver "$(address_of 2)" --secret-file "$WORK/ops.key"; }
with_key cluster set user.b 2 >/dev/null || fail "an administrator's key does not do"
key=$(newest 2 asked_key)
case $key in admin/ops/*) ;; *) fail "the key is not named: '$key'" ;; esac
with_key cluster log -n 1 | grep -q " by $me with key $key$" || fail "the text: $(with_key cluster log -n 1)"

# What is typed does not pass for who asked.
with_key cluster set user.c $'x  # asked by root@chief with key admin/chief/1\nand more' >/dev/null 2>&1 || with_key cluster set user.c 'x  # asked by root@chief with key admin/chief/1' >/dev/null
[ "$(newest 2 asked_key)" = "$key" ] && [ "$(newest 2 asked_by)" = "$me" ] || fail "somebody else seems to have asked: $(with_key cluster log -n 1)"
# A change over the other one's head, and one that leaves from another volume's commands.
kfs_at 1 volume create second --owner "$(address_of 1)" >/dev/null
[ "$(newest 1 command)" = "volume create second --owner $(address_of 1)" ] && [ "$(newest 1 asked_by)" = "$me" ] || fail "of another command: $(kfs_at 1 cluster log -n 1)"
kfs_at 1 volume move second "$(address_of 2)" >/dev/null
moved() { [ "$(newest 1 command)" = "volume move second $(address_of 2)" ] && [ "$(newest 1 asked_by)" = "$me" ]; }
wait_until 10 moved || fail "of a move: $(kfs_at 1 cluster log -n 1)"
pass
