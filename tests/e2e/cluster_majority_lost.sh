#!/bin/bash
# Two of three metaservers are lost for good. The one that is left gives them up, goes on serving what it owns, brings back what they
# owned from a backup, and takes in new ones. One that was given up and turns up all the same is out.
# timeout: 120 long: 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
second=$(address_of 2) third=$(address_of 3)
kfs_at 1 volume create data --owner "$second"
kfs_at 1 volume create more --owner "$third"
mount_through 1 data "$WORK/data"
head -c 3000000 /dev/urandom >"$WORK/random"
cp "$WORK/random" "$WORK/data/file"
sync "$WORK/data/file"
kfs_at 1 volume backup data "$WORK/backup.tar"
unmount "$WORK/data"
refused "is not lost, it is connected" 1 peer detach "$second" "$third" --lost --yes
refused "kfs peer detach --lost" 1 peer detach "$third"

kill_role metaserver 2 KILL
kill_role metaserver 3 KILL
rm -rf --one-file-system "$CLUSTER/metaserver-2"
mv "$CLUSTER/metaserver-3" "$WORK/metaserver-3"
generation() { kfs_at 1 peer status --json | jq .self.generation; }
before=$(generation)
refused "1 of 3 peers answer, 2 are needed" 1 volume set dev atime off --timeout 3
# All that are left have to agree; one that is only away is not given up by the way.
refused "missing: .*$third" 1 peer detach "$second" --lost --yes --timeout 3
says "volume data: its names were lost with $second" 1 peer detach "$second" "$third" --lost --dry-run ||
  { cat "$WORK/said-by-kfs"; fail "a dry run does not say what is lost"; }
echo no | refused "nothing was changed" 1 peer detach "$second" "$third" --lost
grep -q "volume more: owner: $third -> $(address_of 1)" "$WORK/said-by-kfs" ||
  { cat "$WORK/said-by-kfs"; fail "the question does not say what would happen"; }
[ "$(generation)" = "$before" ] || fail "a question was taken for an answer"
kfs_at 1 peer detach "$second" "$third" --lost --yes
[ "$(kfs_at 1 peer status --json | jq '.peers | length')" -le 2 ]
[ "$(answers "$MNT")" = ok ] || fail "the volume that was not lost is not served"
kfs_at 1 cluster log -n 1 | grep -q "volume data: its names were lost" || fail "the log does not say what was lost"
kfs_at 1 volume status | grep "data: volume \"data\" was lost with its metaserver's disk" || fail "volume status does not say it"

# What was lost, from its backup. Its chunks have stayed.
kfs_at 1 volume stop data --yes
kfs_at 1 volume restore data "$WORK/backup.tar" --yes
kfs_at 1 volume start data
mount_through 1 data "$WORK/data"
cmp "$WORK/random" "$WORK/data/file" || fail "the file is not what it was"
echo new >"$WORK/data/new"
unmount "$WORK/data"

# Not lost after all: it must neither serve what it owned nor take part.
mv "$WORK/metaserver-3" "$CLUSTER/metaserver-3"
start_role metaserver 3
knows() { grep -q cluster.detached "$CLUSTER/log/metaserver-3.log"; }
wait_until 10 knows || fail "who was given up is not told"
[ "$(kfs_at 3 peer status --json | jq .self.generation)" = "$(generation)" ] || fail "it has another configuration"
! timeout 10 "$KFS" mount -f "$third:/more" "$WORK/data" -o "secretfile=$CLUSTER/secret,soft,timeo=20" >"$WORK/again" 2>&1 ||
  fail "a metaserver that was given up serves its volume"
refused "was detached" 3 volume set dev atime off

# New ones: an empty one, and the one that is back, once nothing is left there that could be lost.
kfs_at 1 volume stop more --yes
kfs_at 1 volume delete more --yes
mkdir "$CLUSTER/metaserver-2"
start_role metaserver 2
kfs_at 1 peer probe "$second"
refused "holds the data of 1 volumes" 1 peer probe "$third"
kill_role metaserver 3 TERM
rm -rf --one-file-system "$CLUSTER/metaserver-3"
mkdir "$CLUSTER/metaserver-3"
start_role metaserver 3
kfs_at 1 peer probe "$third"
await_agreement 20 1 2 3
kill_role metaserver 2 KILL
kfs_at 3 volume set dev atime off
start_role metaserver 2
await_agreement 20 1 2 3
serves_chunks() { [ "$(kfs_at 2 chunkserver list --json | jq '[.[] | select(.up)] | length')" = 2 ]; }
wait_until 20 serves_chunks || { kfs_at 2 chunkserver list; fail "the chunkservers do not find the new metaservers"; }
[ "$(answers "$MNT")" = ok ]
pass
