#!/bin/bash
# A network that falls into two parts, three metaservers in one and two in the other: the three make changes, the two refuse them
# in words; mounts in both parts work with the volumes of their part; when the network is whole again, all agree within seconds.
# The chunkserver is in both parts.
# timeout: 120 long: 600
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
. "$(dirname "$0")/namespaces_common.sh"

# Hosts 1 to 5 metaservers, 6 the chunkserver, 7 and 8 mounts; 1 to 3 and 7 are one part, 4, 5 and 8 the other.
make_hosts 8
cut_in_two() { between add "1 2 3 7" "4 5 8"; }
whole_again() { between del "1 2 3 7" "4 5 8"; }

# ---- the cluster

for n in 1 2 3 4 5; do serve_metaserver $n; done
for n in 2 3 4 5; do kfs_at 1 peer probe "10.87.0.$n:7400"; done
await_agreement 20 1 2 3 4 5
serve_chunkserver 6 10.87.0.1:7400,10.87.0.4:7400
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
