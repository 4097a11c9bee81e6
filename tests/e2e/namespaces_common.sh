# shellcheck shell=bash
# For tests with a network of their own: each host is a network namespace, a further one routes between them, or does not.
# Nothing is left of it all when the processes that hold the namespaces end. Sourced after metaservers_common.sh, whose kfs_at it
# replaces; there is no devcluster then.
need_root
need ip unshare nsenter

HOLDERS=() DAEMONS=() NET=()
on_exit() {
  local directory pid
  [ "${status:-0}" != 1 ] || tail -n 25 "$CLUSTER"/log/*.log >&2   # of cleanup, which runs this
  for directory in $(awk -v work="$WORK/" 'index($2, work) == 1 {print $2}' /proc/self/mounts); do
    umount "$directory" 2>/dev/null || umount -l "$directory"
  done
  for pid in "${DAEMONS[@]}"; do kill "$pid" 2>/dev/null; done
  for pid in "${DAEMONS[@]}"; do wait_until 10 dead "$pid" || kill -9 "$pid"; done
  for pid in "${HOLDERS[@]}"; do kill -9 "$pid"; done
}
own_network() { [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
hold() {  # hold: a new network namespace; its holder is in $HELD
  unshare --net sleep infinity 2>"$WORK/unshare" &
  HELD=$!
  wait_until 5 own_network $HELD || skip "a network namespace cannot be made: $(<"$WORK/unshare")"
  HOLDERS+=("$HELD")
}
in_net() { local pid=$1; shift; nsenter "--net=/proc/$pid/ns/net" "$@"; }
host_address() { echo "10.87.0.$1"; }   # host_address HOST; a metaserver's or a chunkserver's port is 7400

make_hosts() {  # make_hosts COUNT: hosts 1 to COUNT, each reaches each
  local host
  mkdir -p "$CLUSTER"/{log,run}
  chmod 755 "$WORK"
  od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$CLUSTER/secret"
  chmod 600 "$CLUSTER/secret"
  hold
  ROUTER=$HELD
  in_net "$ROUTER" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' 2>"$WORK/ip" || skip "a namespace cannot route: $(<"$WORK/ip")"
  for host in $(seq "$1"); do
    hold
    NET[host]=$HELD
    in_net "$ROUTER" ip link add "port$host" type veth peer name eth0 netns "$HELD" 2>"$WORK/ip" || skip "no veth: $(<"$WORK/ip")"
    in_net "$ROUTER" ip address add 10.87.1.1/32 dev "port$host"
    in_net "$ROUTER" ip link set "port$host" up
    in_net "$ROUTER" ip route add "$(host_address "$host")/32" dev "port$host"
    in_net "$HELD" ip link set lo up
    in_net "$HELD" ip address add "$(host_address "$host")/32" dev eth0
    in_net "$HELD" ip link set eth0 up
    in_net "$HELD" ip route add default via 10.87.1.1 dev eth0 onlink
  done
}
between() {  # between add|del "HOST..." "HOST...": what is sent between the two parts vanishes, or no longer
  local one other
  for one in $2; do
    for other in $3; do
      echo "rule $1 from $(host_address "$one") to $(host_address "$other") blackhole"
      echo "rule $1 from $(host_address "$other") to $(host_address "$one") blackhole"
    done
  done | in_net "$ROUTER" ip -batch -
}

# serve HOST NAME PROGRAM OPTION=VALUE...: its process is in $SERVED.
serve() {
  local host=$1 name=$2 program=$3
  shift 3
  rm -f "$CLUSTER/run/$name.address"
  nsenter "--net=/proc/${NET[host]}/ns/net" "$program" "${@/#/--set=}" "--set=listen=$(host_address "$host"):7400" \
    "--set=secret-file=$CLUSTER/secret" "--set=address-file=$CLUSTER/run/$name.address" >>"$CLUSTER/log/$name.log" 2>&1 &
  SERVED=$!
  DAEMONS+=("$SERVED")
  wait_until 20 test -s "$CLUSTER/run/$name.address" || fail "$name does not start"
}
serve_metaserver() {  # serve_metaserver HOST
  mkdir -p "$CLUSTER/metaserver-$1"
  serve "$1" "metaserver-$1" "$(built kfs-metaserver)" "data-dir=$CLUSTER/metaserver-$1"
}
serve_chunkserver() {  # serve_chunkserver HOST METASERVERS: several with commas
  mkdir -p "$CLUSTER/chunkserver-$1"
  serve "$1" "chunkserver-$1" "$(built kfs-chunkserver)" "data-dirs=$CLUSTER/chunkserver-$1" "metaservers=$2"
}
kfs_at() {  # from the host itself
  local n=$1
  shift
  in_net "${NET[n]}" "$KFS" "$@" --metaserver "$(host_address "$n"):7400" --secret-file "$CLUSTER/secret"
}
mount_at() {  # mount_at HOST METASERVER VOLUME DIRECTORY
  mkdir -p "$4"
  nsenter "--net=/proc/${NET[$1]}/ns/net" "$KFS" mount -f "$(host_address "$2"):7400:/$3" "$4" -o "secretfile=$CLUSTER/secret" \
    >"$CLUSTER/log/mount-$3.log" 2>&1 &
  DAEMONS+=($!)
  wait_until 20 mounted "$4" && wait_until 20 usable "$4" || fail "volume $3 cannot be mounted"
}
