#!/bin/bash
# MooseFS: one master, one chunkserver, goal 1, no trash. The change log is written before the answer (CHANGELOG_SAVE_MODE 1,
# so that changes survive kill -9), chunks are synced when they are closed.
. "$(dirname "$(readlink -f "$0")")/common.sh"
to_master=9419 to_chunkservers=9420 to_clients=9421 chunkserver=9423
peer_mount() { inside mfsmount "$MNT" -H $IP -P $to_clients -o mfsioretries=30 >>"$BASE/mount.log" 2>&1; }
writable() { echo x >"$MNT/.probe" && sync "$MNT/.probe"; }   # once the chunkserver has registered
peer_up() {
  need mfsmaster moosefs-master
  need mfschunkserver moosefs-chunkserver
  need mfsmount moosefs-client
  make_namespace || return 1
  mkdir -p "$BASE/master" "$BASE/chunkserver" "$BASE/disk"
  cp /var/lib/mfs/metadata.mfs.empty "$BASE/master/metadata.mfs" || return 1
  echo "* / rw,alldirs,maproot=0" >"$BASE/exports.cfg"
  : >"$BASE/topology.cfg"
  cat >"$BASE/master.cfg" <<C
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $BASE/master
EXPORTS_FILENAME = $BASE/exports.cfg
TOPOLOGY_FILENAME = $BASE/topology.cfg
CHANGELOG_SAVE_MODE = 1
MATOML_LISTEN_HOST = $IP
MATOML_LISTEN_PORT = $to_master
MATOCS_LISTEN_HOST = $IP
MATOCS_LISTEN_PORT = $to_chunkservers
MATOCL_LISTEN_HOST = $IP
MATOCL_LISTEN_PORT = $to_clients
C
  echo "$BASE/disk" >"$BASE/disks.cfg"
  cat >"$BASE/chunkserver.cfg" <<C
WORKING_USER = root
WORKING_GROUP = root
DATA_PATH = $BASE/chunkserver
HDD_CONF_FILENAME = $BASE/disks.cfg
HDD_FSYNC_BEFORE_CLOSE = 1
MASTER_HOST = $IP
MASTER_PORT = $to_chunkservers
BIND_HOST = $IP
CSSERV_LISTEN_HOST = $IP
CSSERV_LISTEN_PORT = $chunkserver
C
  background master nsenter --net="/run/netns/$NAMESPACE" mfsmaster -f -c "$BASE/master.cfg" start
  background chunkserver nsenter --net="/run/netns/$NAMESPACE" mfschunkserver -f -c "$BASE/chunkserver.cfg" start
  wait_for 30 peer_mount || return 1
  wait_for 60 writable || return 1
  inside mfssetgoal -r 1 "$MNT" >&2 && inside mfssettrashtime -r 0 "$MNT" >&2 || return 1
  rm -f "$MNT/.probe"
}
peer_down() { :; }
peer_version() {
  echo "MooseFS $(dpkg-query -W -f '${Version}' moosefs-master), 1 chunkserver, goal 1; names survive kill -9, not synced; fsync reaches the chunkserver, its disk when the chunk is closed"
}
main "$@"
