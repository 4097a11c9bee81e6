#!/bin/bash
# The metaserver's disk fails under it: each write is an I/O error. The volume is closed, saying so, or the metaserver ends where its
# own records were met first; mounts wait, and everything that was acknowledged is there when the disk is well and it is restarted.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/own_disk_common.sh"

# Every name here was durable.
cat >"$WORK/writer.py" <<'P'
import os, sys
root, said, enough = sys.argv[1:]
n = 0
with open(said, "w") as acknowledged:
    while not os.path.exists(enough):
        fd = os.open(f"{root}/{n}", os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"%d" % n)
        os.fsync(fd)
        os.close(fd)
        print(n, file=acknowledged, flush=True)
        n += 1
P
python3 "$WORK/writer.py" "$MNT" "$WORK/said" "$WORK/enough" & writer=$!
events() { grep -cE ' store\.(write|log)_failed ' "$CLUSTER/log/metaserver-1.log" || :; }
for round in 1 2 3; do
  more() { lines_at_least "$WORK/said" "$1"; }
  wait_until 30 more $((round * 50)) || fail "round $round: the writer does not go on"
  metaserver=$(pid_of metaserver 1)
  before=$(events)
  shut_disk_down 0
  told() { [ "$(events)" -gt "$before" ]; }
  wait_until 20 told || fail "round $round: it goes on without a disk: $(tail -3 "$CLUSTER/log/metaserver-1.log")"
  dead "$metaserver" || kill_role metaserver 1
  umount "$CLUSTER/metaserver-1"
  mount_disk
  start_role metaserver 1
done
: >"$WORK/enough"
wait $writer || fail "the writer ended with an error"
while read -r n; do [ "$(cat "$MNT/$n")" = "$n" ] || fail "file $n of $(wc -l <"$WORK/said") is lost"; done <"$WORK/said"
say "$(wc -l <"$WORK/said") files through $round failures of the disk"
pass
