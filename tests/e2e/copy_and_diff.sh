#!/bin/bash
# cp -a within the mount and diff -r of the copies.
# timeout: 300 long: 1800
. "$(dirname "$0")/lib.sh"
start_cluster --chunkservers 3
make_tree "$WORK/tree" "$(long && echo 5000 || echo 600)"
cp -a "$WORK/tree" "$MNT/one"
cp -a "$MNT/one" "$MNT/two"
same_tree "$WORK/tree" "$MNT/two"
same_tree "$MNT/one" "$MNT/two"
pass
