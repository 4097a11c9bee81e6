#!/bin/bash
# timeout: 90 long: 300
# A metaserver is away, killed or stopped, while the others make a hundred changes. Back again it has the configuration of the others
# within seconds, in one jump and without having been told of each change; its volumes are served again, one that was made meanwhile
# for it is there, one that was deleted meanwhile is not, and what it knows of the history is what the others know.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 1 --option chunkserver.inventory-interval=1
await_agreement 20 1 2 3
third=$(address_of 3)
kfs_at 1 volume create data --owner "$third" >/dev/null
mount_through 1 data "$WORK/data"
mkdir "$WORK/data/files"
generation() { kfs_at "$1" peer status --json | jq .self.generation; }
number() { kfs_at "$1" volume list --json | jq --arg n "$2" '.[] | select(.name == $n) | .id'; }
learned() { grep -c ' cluster\.learned ' "$CLUSTER/log/metaserver-3.log" || :; }
gone_at() { kfs_at "$1" peer status --json | jq -e --arg a "$third" '.peers[] | select(.address == $a) | .connected == false' >/dev/null; }
option_of() { kfs_at 3 volume list --json | jq -r --arg o "$2" --arg n "$1" '.[] | select(.name == $n) | .options[$o] // ""'; }

# hundred ROUND: asked of the two in turn; none may be refused, and each says that one member did not hear of it.
hundred() {
  local i made
  kfs_at 1 volume create "meanwhile-$1" --owner "$third" >"$WORK/changed" || fail "no volume can be made for one that is away: $(<"$WORK/changed")"
  kfs_at 2 volume stop "before-$1" --yes >/dev/null && kfs_at 1 volume delete "before-$1" --yes >/dev/null || fail "the volume before-$1 cannot be deleted"
  for i in $(seq 95); do
    case $((i % 5)) in
      0) made="chunkserver label 1 round=$1 place=p$i" ;;
      1) made="cluster set user.note $1-$i" ;;
      *) made="volume set data user.x $1-$i" ;;
    esac
    # shellcheck disable=SC2086
    kfs_at $((i % 2 + 1)) $made >"$WORK/changed" 2>&1 || fail "$1, change $i ($made): $(<"$WORK/changed")"
  done
  kfs_at 1 volume set data atime off >"$WORK/changed"
  grep -q "not reached, will catch up: $third" "$WORK/changed" || fail "a change does not say who has missed it: $(<"$WORK/changed")"
  kfs_at 2 volume reset data atime >/dev/null
}

# comes_back ROUND CAME LEARNED-BEFORE: the one that was away has everything that it should.
comes_back() {
  local round=$1 is newest at
  is=$(generation 1)
  await_agreement 10 1 2 3
  [ "$(generation 3)" = "$is" ] || fail "$round: catching up made changes"
  say "$round: it agreed after $((SECONDS - $2)) s"
  [ $(($(learned) - $3)) = 1 ] || fail "$round: it took $(($(learned) - $3)) jumps"
  [ "$(option_of data user.x)" = "$round-94" ] || fail "$round: an option of its volume is $(option_of data user.x)"
  [ "$(kfs_at 3 chunkserver list --json | jq -r '.[0].labels | "\(.round) \(.place)"')" = "$round p95" ] || fail "$round: it does not have the labels"

  # The mount goes on, with its open files.
  wait_until 15 goes_on "$round" "$at_stop" || fail "$round: the mount of its volume does not go on"
  stop_writer "$round" "$WORK/data/files"
  rm "$WORK"/data/files/*

  # What was made and deleted meanwhile.
  mount_through 3 "meanwhile-$round" "$WORK/meanwhile-$round"
  [ "$(answers "$WORK/meanwhile-$round")" = ok ] || fail "$round: the volume that was made meanwhile cannot be used"
  [ -z "$(number 3 "before-$round")" ] || fail "$round: it lists the volume that was deleted meanwhile"
  database_gone() { [ ! -e "$CLUSTER/metaserver-3/volumes/$deleted" ]; }
  wait_until 5 database_gone || fail "$round: it keeps the database of the volume that was deleted meanwhile"
  chunks_gone() { [ "$(find "$CLUSTER/chunkserver-1/v$deleted" -name '*.data' 2>/dev/null | wc -l)" = 0 ]; }
  wait_until 15 chunks_gone || fail "$round: chunks of the volume that was deleted meanwhile stay"

  # Of the history: all from before, and the newest. Nothing that the others do not have, too.
  for at in 1 3; do kfs_at $at cluster log -n 1000 --json | jq -c '.[] | [.generation, .checksum, .command, .transaction]' | sort >"$WORK/log-$at"; done
  [ -z "$(comm -13 "$WORK/log-1" "$WORK/log-3")" ] || fail "$round: its history has $(comm -13 "$WORK/log-1" "$WORK/log-3" | head -3)"
  kfs_at 3 cluster log -n 1000 --json | jq '.[].generation' >"$WORK/has"
  newest=$(head -1 "$WORK/has")
  [ "$newest" = "$is" ] || fail "$round: the newest entry of its history is $newest, the generation $is"
  grep -qx "$left" "$WORK/has" && grep -qx "$((left - 1))" "$WORK/has" || fail "$round: its history has lost what it knew before"
  kfs_at 3 cluster log >/dev/null || fail "$round: its history cannot be shown"
  [ "$(kfs_at 1 cluster log -n 1000 --json | jq length)" -ge 100 ] || fail "$round: the others do not have the history"

  # It changes things itself.
  says '^generation' 3 volume set data user.back "$round" || fail "$round: it cannot change anything"
  ! grep -q 'not reached' "$WORK/said-by-kfs" || { cat "$WORK/said-by-kfs"; fail "$round: not all are reached"; }
  await_agreement 10 1 2 3
  unmount "$WORK/meanwhile-$round"
}

leave() {  # leave ROUND HOW: it is away, and the others know
  kfs_at 1 volume create "before-$1" --owner "$third" >/dev/null
  deleted=$(number 1 "before-$1")
  mount_through 2 "before-$1" "$WORK/before-$1"
  head -c 300000 /dev/urandom >"$WORK/before-$1/file"
  unmount "$WORK/before-$1"
  start_writer "$1" "$WORK/data/files"
  await_agreement 10 1 2 3
  left=$(generation 3)
  kill_role metaserver 3 "$2"
  wait_until 15 gone_at 1 && wait_until 15 gone_at 2 || fail "$1: the others do not notice"
  at_stop=$(written_by "$1")
}

leave killed KILL
hundred killed
before=$(learned) came=$SECONDS
start_role metaserver 3
comes_back killed $came "$before"

leave stopped STOP
hundred stopped
before=$(learned) came=$SECONDS
kill_role metaserver 3 CONT
comes_back stopped $came "$before"
[ "$(answers "$MNT")" = ok ]
unmount "$WORK/data"
pass
