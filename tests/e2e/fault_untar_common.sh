# shellcheck shell=bash
# Sourced by the tests that kill a server in the middle of a parallel untar; not a test itself.
# The untar must go on and end without an error, the tree must be the source's, in this mount and in a new one.

# untar_while_killing ROLE...: one round by default, 20 with KFS_LONG
untar_while_killing() {
  local rounds round files parts=4 part at role roles=("$@") pids log=$WORK/progress
  rounds=$(long && echo 20 || echo 1)
  files=$(long && echo 2500 || echo 1000)
  say "seed $SEED, $rounds round(s)"
  for part in $(seq $parts); do
    make_tree "$WORK/source/$part" $((files / parts))
    tar --format=posix -C "$WORK/source" -cf "$WORK/$part.tar" "$part"
  done
  for round in $(seq "$rounds"); do
    mkdir "$MNT/round$round"
    : >"$log"
    pids=()
    for part in $(seq $parts); do
      tar -C "$MNT/round$round" -xpvf "$WORK/$part.tar" >>"$log" 2>"$WORK/errors.$part" & pids+=($!)
    done
    at=$((files / 10 + RANDOM % (files * 7 / 10)))
    wait_until 60 lines_at_least "$log" $at || fail "round $round: the untar did not get to file $at"
    say "round $round: kill $* at file $(wc -l <"$log")"
    for role in "${roles[@]}"; do kill_role "$role" 1; done
    for role in "${roles[@]}"; do start_role "$role" 1; done
    for part in $(seq $parts); do
      wait "${pids[part - 1]}" || { head "$WORK/errors.$part"; fail "round $round: tar ended with an error"; }
    done
    for part in $(seq $parts); do same_tree "$WORK/source/$part" "$MNT/round$round/$part"; done
  done
  second_mount
  for round in $(seq "$rounds"); do
    for part in $(seq $parts); do same_tree "$WORK/source/$part" "$MNT2/round$round/$part"; done
  done
}
