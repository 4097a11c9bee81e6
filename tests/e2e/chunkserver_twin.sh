#!/bin/bash
# timeout: 180 long: 300
# A copy of a chunkserver's data directory, started beside it, gets nothing: it says why and ends, however often it tries, also while
# metaservers are started again and when one of them has lost its memory of addresses. Nothing that was written is lost, and no
# writer sees an error. A chunkserver that moves to another address is taken there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
all=$(address_of 1),$(address_of 2),$(address_of 3)
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
place() { local text; text=$(<"$CLUSTER/run/chunkserver-1.address") && echo "$text"; }
registered() {  # registered ADDRESS: with every metaserver
  local n
  for n in 1 2 3; do kfs_at $n status --wait "$1" --timeout 30 >/dev/null || fail "$1 is not registered with metaserver $n"; done
}
says_why() { grep -qE 'chunkserver\.runs_twice .*runs at .* already.*a copy must never run' "$1"; }
copied() {  # of a chunkserver that is down
  rm -rf "$WORK/copy"
  cp -a "$CLUSTER/chunkserver-1" "$WORK/copy"
}
port=$(free_port)
copy_of_1=("$(built kfs-chunkserver)" --set data-dirs="$WORK/copy" --set secret-file="$CLUSTER/secret" --set listen="127.0.0.1:$port"
  --set metaservers="$all")

mkdir "$MNT/before" "$MNT/w"
for i in $(seq 20); do echo "before $i" >"$MNT/before/$i"; done
sync
kill_role chunkserver 1 TERM
copied
start_role chunkserver 1

# ---- beside the original

start_writer w "$MNT/w"
code=0
"${copy_of_1[@]}" >>"$WORK/copy.log" 2>&1 || code=$?   # if it does not end, the test's time does
[ $code = 3 ] || fail "the copy ends with exit code $code: $(tail -3 "$WORK/copy.log")"
says_why "$WORK/copy.log" || fail "the copy does not say why it ends: $(tail -3 "$WORK/copy.log")"
await_progress w 10

# As systemd would start it again, but without pauses.
while [ ! -e "$WORK/enough" ]; do
  "${copy_of_1[@]}" >>"$WORK/copy.log" 2>&1 || :
  echo >>"$WORK/attempts"
done &
trying=$!
attempts() { wc -l <"$WORK/attempts"; }
tried() { [ "$(attempts)" -ge "$1" ]; }
await_attempts() { wait_until 30 tried $(($(attempts) + 3)) || fail "the copy does not end: $(tail -3 "$WORK/copy.log")"; }
wait_until 20 test -s "$WORK/attempts" || fail "the copy does not end: $(tail -3 "$WORK/copy.log")"
for n in 1 2 3; do
  kill_role metaserver $n
  start_role metaserver $n
  await_attempts
done
await_agreement 20 1 2 3
registered "$(place)"
await_progress w 20

# ---- a metaserver without memory

kill_role metaserver 3 TERM
mv "$CLUSTER/metaserver-3/cluster" "$WORK/cluster-of-3"
start_role metaserver 3
mended() { kfs_at 1 peer repair "$(address_of 3)" >"$WORK/repair" 2>&1; }
wait_until 10 mended || fail "metaserver 3 is not mended: $(<"$WORK/repair")"
await_agreement 20 1 2 3
await_attempts
registered "$(place)"
await_attempts

touch "$WORK/enough"
wait_until 20 dead $trying || fail "the copy does not end"
! grep ' metaserver.registered' "$WORK/copy.log" || fail "the copy was taken beside the original"
for n in 1 2 3; do
  [ "$(grep -c 'chunkserver.up .*'"address=127.0.0.1:$port" "$CLUSTER/log/metaserver-$n.log")" = 0 ] || fail "metaserver $n has taken the copy"
done
# Metaserver 3 was started twice, and had to be told once each time that there are two.
lines=$(grep -c 'chunkserver.runs_twice' "$CLUSTER/log/metaserver-3.log")
{ [ "$lines" -ge 1 ] && [ "$lines" -le 6 ]; } || fail "metaserver 3 speaks $lines times of the copy"

# ---- moved

kill_role chunkserver 1
moved=127.0.0.1:$(free_port)
sed -i "s/^listen = .*/listen = \"$moved\"/" "$CLUSTER/conf/chunkserver-1.toml"
start_role chunkserver 1
registered "$moved"
await_progress w 20
stop_writer w "$MNT/w"
for i in $(seq 20); do [ "$(cat "$MNT/before/$i")" = "before $i" ] || fail "before/$i is not what it was"; done

# ---- a copy whose original is down has moved; the original then is what comes second

sync
kill_role chunkserver 1 TERM
copied
"${copy_of_1[@]}" >"$WORK/copy.log" 2>&1 &
copy=$!
registered "127.0.0.1:$port"
code=0
"$(built kfs-chunkserver)" --config "$CLUSTER/conf/chunkserver-1.toml" >"$WORK/original.log" 2>&1 || code=$?
{ [ $code = 3 ] && says_why "$WORK/original.log"; } || fail "the original beside a copy that was taken: exit code $code, $(tail -3 "$WORK/original.log")"
for i in $(seq 20); do [ "$(cat "$MNT/before/$i")" = "before $i" ] || fail "before/$i cannot be read from the copy"; done
[ "$(answers "$MNT")" = ok ] || fail "nothing can be written with the copy"
kill $copy
wait_until 20 dead $copy || fail "the copy does not end when it is told to"
rm -rf "$CLUSTER/chunkserver-1"
cp -a "$WORK/copy" "$CLUSTER/chunkserver-1"
start_role chunkserver 1
registered "$moved"
[ "$(answers "$MNT")" = ok ] || fail "nothing can be written when it has moved back"
pass
