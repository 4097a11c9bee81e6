#!/bin/bash
# Random operations with mmap, truncate and punch hole agree with a model; the window also lies across two chunks.
# timeout: 120 long: 1500
. "$(dirname "$0")/lib.sh"
fsx=$(built kfs-fsx)
start_cluster --chunkservers 3
share=$(long && echo 400 || echo 6)
"$fsx" --dir "$MNT" --ops 100000000 --seconds "$share" --seed "$SEED" --mmap --strict
"$fsx" --dir "$MNT" --ops 100000000 --seconds "$share" --seed $((SEED + 1)) --mmap --strict --base $(((64 << 20) - (128 << 10)))
"$fsx" --dir "$MNT" --ops 100000000 --seconds "$share" --seed $((SEED + 2)) --mmap --strict --processes 3 --files 4 --max-size 1m
pass
