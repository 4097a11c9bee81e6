#!/bin/bash
# After kill -9 of the mount process: lazily unmount, mount again, all that close or fsync acknowledged is there (P4).
# timeout: 120 long: 1800
. "$(dirname "$0")/lib.sh"
need_cluster
need_root
start_cluster --chunkservers 3
rounds=$(long && echo 20 || echo 1)
acknowledged=$WORK/acknowledged

# Writes files for ever; what is acknowledged goes to the local log: name, sum. Ends with the first error.
writer() {  # writer ROUND
  local i name sum
  for ((i = 0; ; ++i)); do
    head -c $((RANDOM * 4)) /dev/urandom >"$WORK/content"
    sum=$(sha256sum <"$WORK/content")
    name=round$1/file$i
    case $((i % 3)) in
      0) cat "$WORK/content" >"$MNT/$name" ;;                                                    # close
      1) dd if="$WORK/content" of="$MNT/$name" bs=7777 conv=fsync status=none ;;                  # fsync
      2) cat "$WORK/content" >"$MNT/$name.new" && mv "$MNT/$name.new" "$MNT/$name" ;;           # rename
    esac || return 0
    echo "$name $sum" >>"$acknowledged"
  done
}
: >"$acknowledged"
for round in $(seq "$rounds"); do
  mkdir "$MNT/round$round"
  # One file stays open: fsync alone has to be enough for it.
  exec 5>"$MNT/round$round/open"
  head -c 100000 /dev/urandom | tee "$WORK/open" >&5
  sync "$MNT/round$round/open"
  echo "round$round/open $(sha256sum <"$WORK/open")" >>"$acknowledged"
  begin=$(wc -l <"$acknowledged")
  writer "$round" 2>/dev/null & writer_pid=$!
  at=$((begin + 20 + RANDOM % 60))
  wait_until 60 lines_at_least "$acknowledged" $at || fail "the writer did not get to file $at"
  kill_role mount 1
  wait $writer_pid || fail "the writer ended with an error"
  exec 5>&- || :
  umount -l "$MNT"
  start_role mount 1
  mounted "$MNT" || fail "not mounted again"
  say "round $round: $(wc -l <"$acknowledged") files acknowledged"
  while read -r name sum; do
    [ "$(sha256sum <"$MNT/$name")" = "$sum" ] || fail "round $round: $name was acknowledged and is not as written"
  done <"$acknowledged"
done
pass
