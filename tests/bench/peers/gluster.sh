#!/bin/bash
# GlusterFS: a volume of one brick, mounted with FUSE. flush-behind is off, so that close waits for the brick as it does in KFS.
. "$(dirname "$(readlink -f "$0")")/common.sh"
g() { inside gluster --glusterd-sock="$RUN/glusterd.sock" --mode=script "$@"; }
brick_up() { [ "$(g volume status vol --xml 2>/dev/null | grep -c '<status>1</status>')" -ge 1 ]; }
peer_mount() {
  inside glusterfs --process-name fuse --volfile-server=$IP --volfile-id=vol -p "$RUN/client.pid" -l "$BASE/client.log" "$MNT"
}
peer_up() {
  need glusterd glusterfs-server
  need glusterfs glusterfs-client
  make_namespace || return 1
  mkdir -p "$BASE/glusterd" "$BASE/brick" /var/log/glusterfs /var/run/gluster
  cat >"$BASE/glusterd.vol" <<V
volume management
    type mgmt/glusterd
    option working-directory $BASE/glusterd
    option run-directory $RUN
    option glusterd-sockfile $RUN/glusterd.sock
    option transport-type socket
    option transport.socket.bind-address $IP
    option transport.address-family inet
    option transport.socket.read-fail-log off
    option transport.socket.listen-port 24007
    option ping-timeout 0
    option event-threads 1
    option max-port 60999
end-volume
V
  background glusterd-out nsenter --net="/run/netns/$NAMESPACE" glusterd -N -f "$BASE/glusterd.vol" -p "$RUN/glusterd.pid" -l "$BASE/glusterd.log"
  wait_for 30 g volume list || return 1
  g volume create vol "$IP:$BASE/brick" force >&2 && g volume set vol performance.flush-behind off >&2 && g volume start vol >&2 || return 1
  wait_for 30 brick_up || return 1
  peer_mount
}
peer_down() {
  local file n=0
  [ ! -e "$RUN/glusterd.sock" ] || g volume stop vol force >/dev/null 2>&1
  while read -r file; do n=$((n + 1)); cp "$file" "$RUN/brick-$n.pid"; done < <(find "$RUN" -mindepth 2 -name '*.pid' 2>/dev/null)
}
peer_version() {
  echo "$(glusterfs --version | head -1), 1 brick, flush-behind off; names durable as on the brick's local file system; fsync reaches the disk"
}
main "$@"
