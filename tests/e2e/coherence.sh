#!/bin/bash
# Two mounts show each other everything at once.
# timeout: 240 long: 600
. "$(dirname "$0")/lib.sh"
coherence=$(built kfs-coherence)
start_cluster --chunkservers 3
second_mount
"$coherence" "$MNT" "$MNT2"
pass
