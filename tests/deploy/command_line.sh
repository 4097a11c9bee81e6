#!/usr/bin/env bash
# kfs: tables, JSON, exit codes, and the words of its errors.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cluster=$work/cluster kfs=$build/bin/kfs
cleanup() {
  "$devcluster" down --dir "$cluster" --purge >/dev/null 2>&1
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

check "help" "$kfs" --help
check "help of a command" "$kfs" volume create --help
check "version" "$kfs" version
refused "no command" 2 'Usage: kfs' "$kfs"
refused "half a command" 2 'create' "$kfs" volume
refused "an unknown command" 2 "nonsense" "$kfs" nonsense
refused "an argument is missing" 2 'NAME is required' "$kfs" volume info

# Daemons that are called wrongly.
meta=$build/bin/kfs-metaserver chunk=$build/bin/kfs-chunkserver
(umask 077 && printf '%064d' 7 >"$work/daemon-secret")
mkdir "$work/full" && touch "$work/full/something"
refused "a directory as configuration file" 2 'not a file' "$meta" --config "$work"
refused "a configuration file that is not there" 2 'No such file|not there|ENOENT' "$meta" --config "$work/none.toml"
refused "an unknown option" 2 'nonsense' "$chunk" --set nonsense=1
refused "an argument that is not known" 2 'nonsense' "$chunk" nonsense
refused "metaserver: another's directory" 1 'not empty' "$meta" --set data-dir="$work/full" --set listen=127.0.0.1:0 --set secret-file="$work/daemon-secret"
refused "chunkserver: another's directory" 1 'not empty' "$chunk" --set data-dirs="$work/full" --set metaservers=127.0.0.1:1 --set secret-file="$work/daemon-secret"
refused "chunkserver: no metaserver" 2 'metaservers is empty' "$chunk" --set data-dirs="$work/chunks" --set metaservers= --set secret-file="$work/daemon-secret"
refused "chunkserver: no data directory" 2 'data-dirs' "$chunk" --set secret-file="$work/daemon-secret"
refused "chunkserver: a port that is none" 2 'metaservers.*99999' "$chunk" --set data-dirs="$work/chunks" --set metaservers=m1:99999 --set secret-file="$work/daemon-secret"
refused "chunkserver: an address that is none" 2 'advertise.*foo:bar' "$chunk" --set data-dirs="$work/chunks" --set advertise=foo:bar --set secret-file="$work/daemon-secret"
refused "chunkserver: no port to listen on" 2 'listen' "$chunk" --set data-dirs="$work/chunks" --set listen=127.0.0.1 --set secret-file="$work/daemon-secret"
refused "metaserver: no port to listen on" 2 'listen' "$meta" --set listen=127.0.0.1 --set secret-file="$work/daemon-secret"
refused "metaserver: a port that is none" 2 'listen' "$meta" --set listen=127.0.0.1:70000 --set secret-file="$work/daemon-secret"
refused "metaserver: an address that is none" 2 'advertise.*foo:bar' "$meta" --set advertise=foo:bar --set secret-file="$work/daemon-secret"
refused "chunkserver: an address nobody can reach" 2 'advertise' "$chunk" --set data-dirs="$work/chunks" --set listen=0.0.0.0:0 --set secret-file="$work/daemon-secret"
says_why() {  # a chunkserver that reaches no metaserver: it says so
  "$chunk" --set data-dirs="$work/chunks" --set metaservers=127.0.0.1:1 --set listen=127.0.0.1:0 --set secret-file="$work/daemon-secret" \
    --set log-file="$work/chunk.log" & local pid=$! n
  for n in $(seq 300); do
    grep -q 'metaserver.not_registered.*cannot connect' "$work/chunk.log" 2>/dev/null && break
    sleep 0.1
  done
  kill $pid
  wait $pid
  [ "$n" -lt 300 ]
}
check "chunkserver: a metaserver that is not there" says_why

check "a cluster" "$devcluster" up --dir "$cluster" --build "$build" --chunkservers 2
KFS_METASERVER=$(cat "$cluster/run/metaserver-1.address") KFS_SECRET_FILE=$cluster/secret
export KFS_METASERVER KFS_SECRET_FILE
check "status" "$kfs" status
check "status --json: two chunkservers are up" bash -c "'$kfs' status --json | jq -e '[.chunkservers[] | select(.up)] | length == 2'"
check "status --ops" "$kfs" status --ops
check "df" "$kfs" df
check "df --json" bash -c "'$kfs' df --json | jq -e '.capacity > 0 and .available > 0'"
check "volume create" "$kfs" volume create second
refused "a volume that is there" 1 'second' "$kfs" volume create second
refused "a volume's name with a slash" 1 '' "$kfs" volume create a/b
check "volume list --json" bash -c "'$kfs' volume list --json | jq -e '[.[].name] | sort == [\"dev\", \"second\"]'"
check "volume info" "$kfs" volume info second
check "volume info --json" bash -c "'$kfs' volume info second --json | jq -e '.name == \"second\" and .replicas == 1'"
refused "a volume that is not there" 4 'nothere' "$kfs" volume info nothere
refused "delete of a started volume" 1 'kfs volume stop second' "$kfs" volume delete second
refused "stop asks" 1 'nothing was stopped' bash -c "echo no | '$kfs' volume stop second"
check "stop with yes typed" bash -c "echo y | '$kfs' volume stop second"
refused "delete asks for the name" 1 'nothing was deleted' bash -c "echo no | '$kfs' volume delete second"
check "a wrong answer deletes nothing" "$kfs" volume info second
check "delete with the name typed" bash -c "echo second | '$kfs' volume delete second"
refused "it is gone" 4 '' "$kfs" volume info second
check "create and delete --yes" bash -c "'$kfs' volume create third && '$kfs' volume stop third --yes && '$kfs' volume delete third --yes"
check "a dry run changes nothing" bash -c "'$kfs' volume stop dev --dry-run | grep -q 'would change' && '$kfs' volume info dev --json | jq -e .started"
check "cluster log" bash -c "'$kfs' cluster log --json | jq -e '.[0].command == \"volume delete third --yes\"'"
check "peer status" bash -c "'$kfs' peer status | grep -qx 'Number of Peers: 0'"
check "volume status --json" bash -c "'$kfs' volume status --json | jq -e '.chunkservers | length == 2'"
refused "a peer that is not there" 4 'nothere' "$kfs" peer detach nothere
check "completion of a volume's name" bash -c "source '$repo/cli/completion/kfs.bash' && COMP_WORDS=('$kfs') COMP_LINE='kfs volume info d' && COMP_POINT=\${#COMP_LINE} && _kfs && [ \"\${COMPREPLY[*]}\" = dev ]"

refused "nobody listens there" 3 'is kfs-metaserver running' "$kfs" status --metaserver 127.0.0.1:1
refused "a host that does not resolve" 3 'nosuchhost.invalid' "$kfs" status --metaserver nosuchhost.invalid
refused "no secret" 2 'secret' "$kfs" status --secret-file "$work/none"
(umask 077 && printf '%064d' 7 >"$work/wrong")
refused "a wrong secret" 3 "secret in .* is not the cluster's present one" "$kfs" status --secret-file "$work/wrong"
(umask 022 && printf '%064d' 7 >"$work/open")
refused "a secret that others may read" 2 'secret' "$kfs" status --secret-file "$work/open"

mkdir "$work/mnt"
refused "mount: wrong volume" 32 'nothere' "$kfs" mount "$KFS_METASERVER:/nothere" "$work/mnt"
refused "mount: no such directory" 32 'nodir' "$kfs" mount "$KFS_METASERVER:/dev" "$work/nodir"
refused "mount: no volume in the source" 1 'names no volume' "$kfs" mount "$KFS_METASERVER" "$work/mnt"
refused "mount: unknown option" 1 'not known' "$kfs" mount "$KFS_METASERVER:/dev" "$work/mnt" -o nonsense
refused "mount: nobody listens" 32 '' timeout 60 "$kfs" mount 127.0.0.1:1:/dev "$work/mnt"
check "mount in the background" "$kfs" mount "$KFS_METASERVER:/dev" "$work/mnt" -o "pidfile=$work/mount.pid"
check "a file" bash -c "echo x >'$work/mnt/x' && sync '$work/mnt/x'"
refused "mount: busy" 32 '' "$kfs" mount "$KFS_METASERVER:/dev" "$work/mnt"
refused "delete of a started volume, --yes" 1 'started' "$kfs" volume delete dev --yes
pid=$(cat "$work/mount.pid" 2>/dev/null)
check "remount read-only" "$build/bin/mount.kfs" "$KFS_METASERVER:/dev" "$work/mnt" -o remount,ro
refused "which it is then" 1 'Read-only file system' touch "$work/mnt/x"
check "remount read-write" "$build/bin/mount.kfs" "$KFS_METASERVER:/dev" "$work/mnt" -o remount,rw
check "which it is then" touch "$work/mnt/x"
check "umount" umount "$work/mnt"
gone() { [ ! -e "/proc/$1" ] || [ "$(awk '/^State:/ {print $2}' "/proc/$1/status")" = Z ]; }
check "the mount's process ends" wait_for 20000 gone "${pid:-none}"
finish
