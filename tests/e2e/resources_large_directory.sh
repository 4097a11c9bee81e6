#!/bin/bash
# One directory with 50 000 files (KFS_LONG: 1 000 000): memory bounded, listing takes seconds and is complete.
# timeout: 240 long: 7200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/resources_common.sh"
workloads=$(built kfs-bench-workloads)
start_cluster --chunkservers 1
files=$(long && echo 1000000 || echo 50000)
note_descriptors
# By one process: what several at once in one directory do to each other is a question of speed (docs/benchmarks.md).
"$workloads" create --dir "$MNT/files" --count "$files" --threads 1
memory_below 2048 "with $files files"
begin=$SECONDS
listed=$(ls -U "$MNT/files" | sort -u | wc -l)
say "readdir of $files entries: $((SECONDS - begin)) s"
[ "$listed" = "$files" ] || fail "$listed of $files entries listed"
[ $((SECONDS - begin)) -le $((5 + files / 20000)) ] || fail "readdir took $((SECONDS - begin)) s"
[ "$(ls -U "$MNT/files" | wc -l)" = "$files" ] || fail "entries listed twice"
memory_below 2048 "after listing"
no_descriptor_leak
if ! long; then rm -rf "$MNT/files"; fi
pass
