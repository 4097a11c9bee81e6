#!/bin/bash
# Two builds run at once in one mount, one more in another mount, none disturbs the others.
. "$(dirname "$0")/lib.sh"
need make gcc ar
start_cluster --chunkservers 3
second_mount
for copy in one two three; do make_project "$MNT/$copy"; done
make -C "$MNT/one" -j2 check >"$WORK/one.log" 2>&1 & one=$!
make -C "$MNT/two" -j2 check >"$WORK/two.log" 2>&1 & two=$!
make -C "$MNT2/three" -j2 check >"$WORK/three.log" 2>&1 & three=$!
wait $one || { cat "$WORK/one.log"; fail "the first build failed"; }
wait $two || { cat "$WORK/two.log"; fail "the second build failed"; }
wait $three || { cat "$WORK/three.log"; fail "the build in the second mount failed"; }
for copy in one two three; do [ "$("$MNT2/$copy/program")" = 1830 ]; done
cmp "$MNT/one/libparts.a" "$MNT2/one/libparts.a"
pass
