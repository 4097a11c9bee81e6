#!/bin/bash
# One of three metaservers was away while the others took in chunkservers and made a volume; then those two are lost for good. It gives
# them up, and knows nothing of what they had numbered since: no number may come to mean something else, and backups of both volumes
# bring back all files. One of the lost turns up: what only it knows stays on its disk.
# timeout: 180 long: 300
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
start_cluster --metaservers 3 --chunkservers 3
await_agreement 20 1 2 3
second=$(address_of 2) third=$(address_of 3)
kfs_at 1 volume create data --owner "$second"
for n in 2 3; do  # empty ones, that are not known yet
  gone=$(<"$CLUSTER/run/chunkserver-$n.address")
  kill_role chunkserver $n
  kfs_at 1 chunkserver remove "$gone" --lost --yes || fail "chunkserver $n cannot be removed"
  rm -rf --one-file-system "$CLUSTER/chunkserver-$n"
  mkdir "$CLUSTER/chunkserver-$n"
done

kill_role metaserver 1
for n in 2 3; do start_role chunkserver $n; done
up() { kfs_at "$1" chunkserver list --json | jq -r '[.[] | select(.up) | .id] | sort | join(" ")'; }
are_up() { [ "$(up "$1" | wc -w)" = "$2" ]; }
wait_until 20 are_up 2 3 || fail "new chunkservers are not taken in: $(kfs_at 2 chunkserver list)"
kfs_at 2 volume create secret --owner "$third"
mount_through 2 data "$WORK/data"
mount_through 2 secret "$WORK/secret"
for v in data secret; do
  for n in $(seq 30); do echo "$v $n" >"$WORK/$v/file-$n"; done
  sync -f "$WORK/$v/file-1"
  kfs_at 2 volume backup $v "$WORK/$v.tar"
done
unmount "$WORK/data"
unmount "$WORK/secret"
number=$(tar xOf "$WORK/secret.tar" kfs-backup.json | jq .volume)

for n in 2 3; do kill_role metaserver $n KILL; kill_role chunkserver $n; done
rm -rf --one-file-system "$CLUSTER/metaserver-2"
start_role metaserver 1
kfs_at 1 volume list --json | jq -e 'all(.name != "secret")' >/dev/null || fail "it has heard of the volume: nothing is tested"
kfs_at 1 peer detach "$second" "$third" --lost --yes
for n in 3 2; do  # not in the order of their numbers
  start_role chunkserver $n
  wait_until 20 are_up 1 $((5 - n)) || fail "chunkserver $n is not taken in: $(kfs_at 1 chunkserver list)"
done

check() {  # check VOLUME
  kfs_at 1 volume start "$1"
  mount_through 1 "$1" "$WORK/$1"
  for n in $(seq 30); do [ "$(<"$WORK/$1/file-$n")" = "$1 $n" ] || fail "$1/file-$n is not what it was"; done
  unmount "$WORK/$1"
}
kfs_at 1 volume stop data --yes
kfs_at 1 volume restore data "$WORK/data.tar" --yes
check data

# A new volume does not get the number of the one that is not known, whose chunks stay.
kfs_at 1 volume create new
[ "$(kfs_at 1 volume list --json | jq '.[] | select(.name == "new") | .id')" -gt "$number" ] || fail "the number of a lost volume is given out again"
refused "there is no volume .secret.*kfs volume create secret --number $number" 1 volume restore secret "$WORK/secret.tar" --yes
refused "number 1 " 1 volume create other --number 1
kfs_at 1 volume create secret --number "$number"
refused "was lost with its metaserver" 1 volume backup secret "$WORK/again.tar"
kfs_at 1 volume restore secret "$WORK/secret.tar" --yes
check secret

# What only one that was given up has stays there, and is not lost by letting it in again.
kfs_at 1 volume stop secret --yes
chunks() { find "$CLUSTER"/chunkserver-*/v"$number" -name '*.data' 2>/dev/null | wc -l; }
no_chunks() { [ "$(chunks)" = 0 ]; }
[ "$(chunks)" -ge 30 ] || fail "there are $(chunks) chunks of the volume: nothing is tested"
kfs_at 1 volume delete secret --yes
refused "no volume of number $number" 1 volume create other --number "$number"
wait_until 30 no_chunks || fail "$(chunks) chunks of a deleted volume stay"
start_role metaserver 3
knows() { grep -q cluster.detached "$CLUSTER/log/metaserver-3.log"; }
wait_until 10 knows || fail "who was given up is not told"
refused "holds the data of 1 volumes" 1 peer probe "$third"
refused "kfs --metaserver $third volume backup" 1 peer probe "$third"
# It can still be copied from there, and what was made after the last backup with it.
kfs_at 3 volume backup secret "$WORK/late.tar" || fail "what only one that was given up has cannot be backed up"
kfs_at 3 volume backup secret "$WORK/late.tar" --force || fail "it cannot be backed up twice"
[ "$(tar xOf "$WORK/late.tar" kfs-backup.json | jq .volume)" = "$number" ] || fail "the backup is of another volume"
refused 'no data of a volume "none"' 3 volume backup none "$WORK/none.tar"
kfs_at 1 health --json >"$WORK/health" || :
! jq -e '.findings[] | select(.alarm == "cluster.behind")' "$WORK/health" >/dev/null || { cat "$WORK/health"; fail "one that is no member is said to catch up"; }
[ -n "$(find "$CLUSTER/metaserver-3/volumes/$number" -name '*.log' -o -name CURRENT)" ] || fail "what it has is removed"
[ "$(answers "$MNT")" = ok ]
pass
