#!/bin/bash
# Several chunkservers on one file system: df and kfs df show that one once, and each chunkserver for itself.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_cluster
need python3
start_cluster --chunkservers 3
# Its capacity, without what it keeps for root, and what is available of it.
size_of() { df -k --output=used,avail "$1" | awk 'END {print $1 + $2, $2}'; }
check() {
  local disk mount
  read -r -a disk <<<"$(size_of "$CLUSTER/chunkserver-1")"
  read -r -a mount <<<"$(size_of "$MNT")"
  [ "${mount[0]}" -le $((disk[0] + disk[0] / 100)) ] && [ "${mount[0]}" -ge $((disk[0] / 2)) ] &&
    [ "${mount[1]}" -le $((disk[1] + disk[1] / 20)) ] && [ "${mount[1]}" -gt 0 ]
}
wait_until 20 check || fail "df of the mount: $(size_of "$MNT"), of the disk: $(size_of "$CLUSTER/chunkserver-1")"
read -r -a mount <<<"$(size_of "$MNT")"
kfs_df=$(kfs_at 1 df --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
sizes = [c["capacity"] for c in d["chunkservers"]]
assert len(sizes) == 3 and min(sizes) > 0, sizes
print(d["capacity"] // 1024)')
[ "$kfs_df" -le $((mount[0] + mount[0] / 100)) ] && [ "$kfs_df" -ge $((mount[0] - mount[0] / 100)) ] ||
  fail "kfs df says $kfs_df KiB, df of the mount ${mount[0]}"
# With one of them down the file system is as large as before.
kill_role chunkserver 2
wait_until 30 check || fail "with a chunkserver down: $(size_of "$MNT")"
pass
