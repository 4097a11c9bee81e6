#!/bin/bash
# rm -rf empties a tree, also while it is the current directory of a process, also from two mounts at once.
. "$(dirname "$0")/lib.sh"
start_cluster --chunkservers 3
second_mount
make_tree "$MNT/tree" "$(long && echo 5000 || echo 600)"
(cd "$MNT/tree/part0" && rm -rf "$MNT/tree" && must_fail touch new)
[ ! -e "$MNT/tree" ]
make_tree "$MNT/tree" 400
rm -rf "$MNT/tree" & first=$!
rm -rf "$MNT2/tree" & second=$!
wait $first || fail "rm -rf on the first mount failed"
wait $second || fail "rm -rf on the second mount failed"
[ -z "$(ls -A "$MNT")" ]
[ -z "$(ls -A "$MNT2")" ]
pass
