#!/bin/bash
# A network that falls into two parts, three metaservers in one and two in the other: the three make changes, the two refuse them
# in words; mounts in both parts work with the volumes of their part; when the network is whole again, all agree within seconds.
#
# Each process has a network namespace of its own; a further one routes between them, or does not. The chunkserver is in both parts.
# Nothing is left of it all when the processes that hold the namespaces end.
# timeout: 120 long: 600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need ip unshare nsenter

holders=() daemons=()
on_exit() {
  local directory pid
  [ "$status" != 1 ] || tail -n 25 "$CLUSTER"/log/*.log >&2   # of cleanup, which runs this
  for directory in $(awk -v work="$WORK/" 'index($2, work) == 1 {print $2}' /proc/self/mounts); do
    umount "$directory" 2>/dev/null || umount -l "$directory"
  done
  for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${daemons[@]}"; do wait_until 10 dead "$pid" || kill -9 "$pid"; done
  for pid in "${holders[@]}"; do kill -9 "$pid"; done
}
own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
hold() {  # hold: a new network namespace; its holder is in $HELD
  unshare --net sleep infinity 2>"$WORK/unshare" &
  HELD=$!
  wait_until 5 own_network $HELD || skip "a network namespace cannot be made: $(cat "$WORK/unshare")"
  holders+=("$HELD")
}
in_net() { local pid=$1; shift; nsenter "--net=/proc/$pid/ns/net" "$@"; }

# Hosts 1 to 5 metaservers, 6 the chunkserver, 7 and 8 mounts; 1 to 3 and 7 are one part, 4, 5 and 8 the other.
mkdir -p "$CLUSTER"/{log,run}
chmod 755 "$WORK"
hold
router=$HELD
in_net "$router" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>"$WORK/ip" || skip "a namespace cannot route: $(cat "$WORK/ip")"
net=()
for host in 1 2 3 4 5 6 7 8; do
  hold
  net[host]=$HELD
  in_net "$router" ip link add "port$host" type veth peer name eth0 netns "$HELD" 2>"$WORK/ip" || skip "no veth: $(cat "$WORK/ip")"
  in_net "$router" ip address add 10.87.1.1/32 dev "port$host"
  in_net "$router" ip link set "port$host" up
  in_net "$router" ip route add "10.87.0.$host/32" dev "port$host"
  in_net "$HELD" ip link set lo up
  in_net "$HELD" ip address add "10.87.0.$host/32" dev eth0
  in_net "$HELD" ip link set eth0 up
  in_net "$HELD" ip route add default via 10.87.1.1 dev eth0 onlink
done
between_the_parts() {  # between_the_parts add|del
  local one other
  for one in 1 2 3 7; do
    for other in 4 5 8; do
      echo "rule $1 from 10.87.0.$one to 10.87.0.$other blackhole"
      echo "rule $1 from 10.87.0.$other to 10.87.0.$one blackhole"
    done
  done | in_net "$router" ip -batch -
}
cut_in_two() { between_the_parts add; }
whole_again() { between_the_parts del; }

# ---- the cluster

od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$CLUSTER/secret"
chmod 600 "$CLUSTER/secret"
METASERVER=$(built kfs-metaserver) CHUNKSERVER=$(built kfs-chunkserver)
serve() {  # serve HOST NAME PROGRAM OPTION=VALUE...
  local host=$1 name=$2 program=$3
  shift 3
  nsenter "--net=/proc/${net[host]}/ns/net" "$program" "${@/#/--set=}" "--set=listen=10.87.0.$host:7400" \
    "--set=secret-file=$CLUSTER/secret" "--set=address-file=$CLUSTER/run/$name.address" >"$CLUSTER/log/$name.log" 2>&1 &
  daemons+=($!)
  wait_until 20 test -s "$CLUSTER/run/$name.address" || fail "$name does not start"
}
kfs_at() {  # from the host itself
  local n=$1
  shift
  in_net "${net[n]}" "$KFS" "$@" --metaserver "10.87.0.$n:7400" --secret-file "$CLUSTER/secret"
}
mount_at() {  # mount_at HOST METASERVER VOLUME DIRECTORY
  mkdir -p "$4"
  nsenter "--net=/proc/${net[$1]}/ns/net" "$KFS" mount -f "10.87.0.$2:7400:/$3" "$4" -o "secretfile=$CLUSTER/secret" >"$CLUSTER/log/mount-$3.log" 2>&1 &
  daemons+=($!)
  wait_until 20 mounted "$4" && wait_until 20 usable "$4" || fail "volume $3 cannot be mounted"
}
for n in 1 2 3 4 5; do
  mkdir "$CLUSTER/metaserver-$n"
  serve "$n" "metaserver-$n" "$METASERVER" "data-dir=$CLUSTER/metaserver-$n"
done
for n in 2 3 4 5; do kfs_at 1 peer probe "10.87.0.$n:7400"; done
await_agreement 20 1 2 3 4 5
mkdir "$CLUSTER/chunkserver-1"
serve 6 chunkserver-1 "$CHUNKSERVER" "data-dirs=$CLUSTER/chunkserver-1" metaservers=10.87.0.1:7400,10.87.0.4:7400
for n in 1 4; do kfs_at "$n" status --wait 10.87.0.6:7400 --timeout 20 >/dev/null || fail "the chunkserver is not at metaserver $n"; done
kfs_at 1 volume create many --owner 10.87.0.1
kfs_at 1 volume create few --owner 10.87.0.4
mount_at 7 2 many "$WORK/many"
mount_at 8 5 few "$WORK/few"
start_writer many "$WORK/many"
start_writer few "$WORK/few"
await_progress many 10
await_progress few 10

# ---- in two

before=$(standing 1)
cut_in_two
began=$SECONDS
refused 'missing: .*10\.87\.0\.[123]' 4 volume set many atime off --timeout 4
[ $((SECONDS - began)) -le 7 ] || fail "the refusal took $((SECONDS - began)) s"
refused '.' 5 volume set few atime off --timeout 4
[ "$(standing 4)" = "$before" ] && [ "$(standing 5)" = "$before" ] || fail "the lesser part has changed something"
says '10\.87\.0\.4' 2 volume set many slow-op-ms 900 || { cat "$WORK/said-by-kfs"; fail "the greater part does not say who is missing"; }
grep -q '10\.87\.0\.5' "$WORK/said-by-kfs" || { cat "$WORK/said-by-kfs"; fail "the greater part names one of the two"; }
says '^generation' 3 volume set few atime off || fail "the greater part cannot change the options of the other's volume"
await_progress many 5
await_progress few 5

# ---- whole

whole_again
await_agreement 10 1 2 3 4 5
[ "$(standing 4)" != "$before" ]
says '^generation' 5 volume reset few atime || fail "the lesser part cannot change anything afterwards"
await_agreement 10 1 2 3 4 5
await_progress many 5
await_progress few 5
stop_writer many "$WORK/many"
stop_writer few "$WORK/few"
for name in many few; do below "$(longest_pause $name)" 3 || fail "the mount of $name stood still for $(longest_pause $name) s"; done
pass
