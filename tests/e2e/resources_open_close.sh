#!/bin/bash
# 100 000 opens and closes: no descriptor is left open, memory stays bounded.
# timeout: 180 long: 1800
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/resources_common.sh"
workloads=$(built kfs-bench-workloads)
start_cluster --chunkservers 1
files=$(long && echo 100000 || echo 5000)
opens=100000
note_descriptors
"$workloads" create --dir "$MNT/files" --count "$files" --threads 4
memory_below 1024 "after $files creates"
"$workloads" open --dir "$MNT/files" --count "$files" --ops "$opens" --threads 4
memory_below 1024 "after $opens opens and closes"
no_descriptor_leak
pass
