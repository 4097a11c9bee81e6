#!/bin/bash
# Random operations from two mounts on the same files agree with one model.
# timeout: 90 long: 900
. "$(dirname "$0")/lib.sh"
fsx=$(built kfs-fsx)
start_cluster --chunkservers 3
second_mount
share=$(long && echo 300 || echo 5)
"$fsx" --dir "$MNT" --dir "$MNT2" --processes 2 --ops 100000000 --seconds "$share" --seed "$SEED" --strict
"$fsx" --dir "$MNT" --dir "$MNT2" --processes 4 --files 3 --ops 100000000 --seconds "$share" --seed $((SEED + 1)) --strict \
  --base $(((64 << 20) - (128 << 10)))
pass
