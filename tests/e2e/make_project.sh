#!/bin/bash
# make -j builds a program, finds nothing to do the second time, and rebuilds what depends on a changed file only.
. "$(dirname "$0")/lib.sh"
need make gcc ar
start_cluster --chunkservers 3
make_project "$MNT/project"
cd "$MNT/project"
make -j4 check >"$WORK/make.log"
make -q program || fail "the second make found something to do"
printf '/* changed */\n' >>part_7.h
make -n program >"$WORK/again.log"
[ "$(grep -c -- ' -c ' "$WORK/again.log")" = 2 ] || fail "not exactly part_7.c and main.c are rebuilt: $(<"$WORK/again.log")"
make -j4 check >>"$WORK/make.log"
make clean >/dev/null
[ -z "$(find . -name '*.o')" ]
pass
